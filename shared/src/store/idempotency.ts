/**
 * Idempotency keys: the answer is stored in the transaction that makes the job, so that the two exist together.
 *
 * A second request with the same key waits on the first one's row, and then finds its answer.
 */
import { type Kysely, type Selectable, sql } from 'kysely';
import type { Trx } from './database.ts';
import type { Tables } from './tables.ts';

export interface IdempotencyKey {
  readonly tenantId: string;
  /** Method and path. */
  readonly scope: string;
  readonly key: string;
  /** Hash of the body. */
  readonly fingerprint: string;
}

const lifetime = sql`now() + interval '24 hours'`;

export type KnownKey =
  | { readonly kind: 'replay'; readonly status: number; readonly response: string }
  | { readonly kind: 'reused' };
export type Reservation = { readonly kind: 'new' } | KnownKey;

export async function reserveKey(trx: Trx, key: IdempotencyKey): Promise<Reservation> {
  const made = await trx
    .insertInto('waybill.idempotency_keys')
    .values({
      tenant_id: key.tenantId,
      scope: key.scope,
      key: key.key,
      fingerprint: key.fingerprint,
      status: 0,
      response: '',
      expires_at: lifetime as never,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'scope', 'key'])
        .doUpdateSet({ fingerprint: key.fingerprint, status: 0, response: '', expires_at: lifetime as never })
        .where('waybill.idempotency_keys.expires_at', '<=', sql<Date>`now()`),
    )
    .returning('key')
    .executeTakeFirst();
  if (made) return { kind: 'new' };
  const row = await trx
    .selectFrom('waybill.idempotency_keys')
    .selectAll()
    .where('tenant_id', '=', key.tenantId)
    .where('scope', '=', key.scope)
    .where('key', '=', key.key)
    .executeTakeFirstOrThrow();
  return toReservation(row, key);
}

/** The answer a key has already; null: none, or it has run out. For a look before the body is judged anew. */
export async function findAnswer(db: Kysely<Tables>, key: IdempotencyKey): Promise<KnownKey | null> {
  const row = await db
    .selectFrom('waybill.idempotency_keys')
    .selectAll()
    .where('tenant_id', '=', key.tenantId)
    .where('scope', '=', key.scope)
    .where('key', '=', key.key)
    .where('expires_at', '>', sql<Date>`now()`)
    .executeTakeFirst();
  return row ? toReservation(row, key) : null;
}

function toReservation(row: Selectable<Tables['waybill.idempotency_keys']>, key: IdempotencyKey): KnownKey {
  if (row.fingerprint !== key.fingerprint) return { kind: 'reused' };
  return { kind: 'replay', status: row.status, response: row.response };
}

export async function storeAnswer(trx: Trx, key: IdempotencyKey, status: number, response: string): Promise<void> {
  await trx
    .updateTable('waybill.idempotency_keys')
    .set({ status, response })
    .where('tenant_id', '=', key.tenantId)
    .where('scope', '=', key.scope)
    .where('key', '=', key.key)
    .execute();
}
