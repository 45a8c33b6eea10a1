/** Rows of the reference's list for Mistral: status, body and headers -> kind, wait and scope. */
import { describe, expect, test } from 'vitest';
import { readError } from '../errors.ts';

type Headers = Readonly<Record<string, string>>;
const failureOf = (status: number, body: unknown, headers: Headers = {}) =>
  readError({ status, headers, body: JSON.stringify(body) }, 0);

describe('an error of Mistral', () => {
  const flat = { object: 'error', message: 'a message', type: 'x', param: null, code: null };
  test.for<[string, number, object, string]>([
    ['a bad key', 401, flat, 'auth'],
    ['a bill', 402, flat, 'billing'],
    ['no access', 403, flat, 'permission'],
    ['an unknown model', 404, flat, 'model_not_found'],
    [
      'a field that fails validation',
      422,
      { detail: [{ loc: ['body', 'n'], msg: 'bad', type: 'x' }] },
      'invalid_request',
    ],
    [
      'a field that it does not know',
      422,
      { detail: [{ loc: ['body', 'store'], msg: 'Extra inputs are not permitted', type: 'extra_forbidden' }] },
      'config',
    ],
    ['a rate limit by type', 429, { ...flat, type: 'rate_limited' }, 'rate_limit'],
    ['a rate limit', 429, { ...flat, type: 'rate_limited', code: '1300', raw_status_code: 429 }, 'rate_limit'],
    ['no room in the tier by code', 429, { ...flat, code: '3505' }, 'overloaded'],
    ['no room in the tier by text', 429, { ...flat, message: 'Service tier capacity exceeded' }, 'overloaded'],
    ['a fault of theirs', 500, flat, 'server_error'],
    ['a bad gateway', 502, flat, 'server_error'],
    ['an overload', 503, flat, 'overloaded'],
  ])('%s', ([, status, body, kind]) => {
    expect(failureOf(status, body).kind).toBe(kind);
  });

  test('a rate limit says when to come back', () => {
    expect(failureOf(429, { ...flat, code: '1300' }, { 'retry-after': '3' }).retryAfterMs).toBe(3_000);
  });
});
