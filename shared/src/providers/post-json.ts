/** The HTTP request every dialect ends in: JSON, posted. */
import type { Secret } from '../security/secret.ts';
import type { HttpWritten } from './dialect.ts';

/** @param body fields that are null or undefined are left out: unset, in both words */
export function postJson(
  url: string,
  auth: Readonly<Record<string, string>>,
  body: Readonly<Record<string, unknown>>,
  warnings: Iterable<string>,
): HttpWritten {
  return {
    kind: 'request',
    http: {
      url,
      headers: { 'content-type': 'application/json', ...auth },
      body: JSON.stringify(withoutUnset(body)),
      warnings: [...warnings],
    },
  };
}

/** A server of one's own may ask for nothing. */
export const bearer = (credential: Secret | null): Record<string, string> =>
  credential ? { authorization: `Bearer ${credential.reveal()}` } : {};

export const withoutUnset = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
