/** The Idempotency-Key header: quoted and bare forms of one key are the same key. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { IdempotencyKey } from '@waybill/shared/store/idempotency.ts';
import type { Request } from 'express';
import { fingerprintOf } from './enqueue.ts';

export function idempotencyKeyOf(request: Request, tenantId: string, body: unknown): IdempotencyKey | null {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return null;
  const text = Array.isArray(header) ? header.join(',') : header;
  const key = /^"(.*)"$/.exec(text)?.[1] ?? text;
  if (!/^[\x20-\x7e]{1,255}$/.test(key)) {
    throw new Problem(
      'invalid_idempotency_key',
      `Cannot use the Idempotency-Key: expected 1 to 255 printable ASCII characters, received ${key.length}`,
      { param: 'idempotency-key' },
    );
  }
  // `/bulk` and `/bulk/` are one route.
  const path = request.path.replace(/(.)\/+$/, '$1');
  return { tenantId, scope: `${request.method} ${path}`, key, fingerprint: fingerprintOf(body) };
}
