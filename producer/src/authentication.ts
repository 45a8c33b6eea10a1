/** Who is calling: a bearer API key, nowhere but in the Authorization header. */
import { createHash } from 'node:crypto';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { hashesEqual } from '@waybill/shared/security/api-key.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { authenticate, type Caller, defaultTenantId, type Scope, scopes } from '@waybill/shared/store/tenants.ts';
import type { Request, RequestHandler, Response } from 'express';

const failuresPerMinute = 20;
const minuteMs = 60_000;
const maxAddresses = 10_000;
const maxKeyLength = 512;

export interface Authenticator {
  /** @throws Problem */
  callerOf(key: string | null, address: string): Promise<Caller>;
}

/** The first admin key is held by the operator, not by the database: it is compared in memory. */
export function createAuthenticator(database: Database, adminKey: string, now: () => number = Date.now): Authenticator {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const admin = digest(adminKey);
  const failures = new Map<string, { count: number; untilMs: number }>();
  const fail = (address: string) => {
    if (failures.size >= maxAddresses) failures.clear();
    const seen = failures.get(address);
    if (!seen || seen.untilMs <= now()) failures.set(address, { count: 1, untilMs: now() + minuteMs });
    else seen.count += 1;
  };
  const isThrottled = (address: string): boolean => {
    const seen = failures.get(address);
    return seen !== undefined && seen.untilMs > now() && seen.count >= failuresPerMinute;
  };
  return {
    async callerOf(key, address) {
      if (key === null)
        throw new Problem('missing_api_key', 'Cannot tell who is calling: send `Authorization: Bearer <API key>`');
      if (key.length <= maxKeyLength && hashesEqual(digest(key), admin))
        return { tenantId: defaultTenantId, keyId: 'key_admin', scopes };
      const result =
        key.length <= maxKeyLength ? await authenticate(database, key, new Date(now())) : { kind: 'invalid' as const };
      if (result.kind === 'ok') return result.caller;
      // A throttled address still gets in with a good key: wrong ones alone are slowed down.
      if (isThrottled(address))
        throw new Problem(
          'too_many_failed_logins',
          'Cannot check the API key: too many wrong ones came from this address',
          { retryAfterSeconds: 60 },
        );
      fail(address);
      if (result.kind === 'revoked') throw new Problem('api_key_revoked', 'Cannot use the API key: it was revoked');
      if (result.kind === 'expired') throw new Problem('api_key_expired', 'Cannot use the API key: it has expired');
      throw new Problem('invalid_api_key', 'Cannot use the API key: it is not one of this server');
    },
  };
}

/** Express middleware: the caller ends up in `response.locals.caller`. */
export function requireScope(authenticator: Authenticator, scope: Scope): RequestHandler {
  return async (request: Request, response: Response, next) => {
    const caller = await authenticator.callerOf(bearerOf(request), request.socket.remoteAddress ?? '');
    if (!caller.scopes.includes(scope) && !caller.scopes.includes('admin')) {
      throw new Problem('insufficient_scope', `Cannot do this with the API key: it lacks the scope "${scope}"`);
    }
    response.locals.caller = caller;
    next();
  };
}

function bearerOf(request: Request): string | null {
  const match = /^Bearer +(\S.*)$/i.exec(request.headers.authorization ?? '');
  return match?.[1] ?? null;
}

export const callerOf = (response: Response): Caller => response.locals.caller as Caller;
