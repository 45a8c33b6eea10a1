/** Rows of the reference's list for Groq: status, body and headers -> kind, wait and scope. */
import { describe, expect, test } from 'vitest';
import { readError } from '../errors.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
type Headers = Readonly<Record<string, string>>;
const failureOf = (status: number, body: unknown, headers: Headers = {}) =>
  readError({ status, headers, body: typeof body === 'string' ? body : JSON.stringify(body) }, nowMs);

interface ErrorFields {
  readonly code?: string | null;
  readonly type?: string;
  readonly message?: string;
}
const base = { message: 'a message', type: 'invalid_request_error', param: null, code: null };

describe('an error of Groq', () => {
  const limited = (what: string) =>
    `Rate limit reached for model \`x\` on ${what}: Limit 100, Used 99, Requested 10. Please try again in 14m24s.`;
  test.for<[string, number, ErrorFields, string, number | null]>([
    ['a bad request', 400, {}, 'invalid_request', null],
    ['a tool call that did not parse', 400, { code: 'tool_use_failed' }, 'bad_output', null],
    ['JSON that did not validate', 400, { code: 'json_validate_failed' }, 'bad_output', null],
    ['a body that does not make sense', 422, {}, 'invalid_request', null],
    ['a bad key', 401, { code: 'invalid_api_key' }, 'auth', null],
    ['no access', 403, { type: 'permissions_error' }, 'permission', null],
    ['an unknown model', 404, { code: 'model_not_found' }, 'model_not_found', null],
    ['too many bytes', 413, {}, 'too_large', null],
    [
      'a prompt above the limit per minute',
      413,
      { code: 'rate_limit_exceeded', type: 'tokens' },
      'exceeds_limit',
      null,
    ],
    ['a dependency that failed', 424, {}, 'server_error', null],
    [
      'a limit per minute',
      429,
      { code: 'rate_limit_exceeded', message: limited('tokens per minute (TPM)') },
      'rate_limit',
      864_000,
    ],
    [
      'tokens per day',
      429,
      { code: 'rate_limit_exceeded', message: limited('tokens per day (TPD)') },
      'quota_period',
      864_000,
    ],
    [
      'requests per day',
      429,
      { code: 'rate_limit_exceeded', message: limited('requests (RPD)') },
      'quota_period',
      864_000,
    ],
    ['no room in the flex tier', 498, { code: 'capacity_exceeded' }, 'capacity_tier', null],
    ['no room in the flex tier, by status', 498, {}, 'capacity_tier', null],
    ['a call that was cancelled', 499, {}, 'cancelled', null],
    ['a fault of theirs', 500, {}, 'server_error', null],
    ['a bad gateway', 502, {}, 'server_error', null],
    ['an overload', 503, {}, 'overloaded', null],
  ])('%s', ([, status, change, kind, retryAfterMs]) => {
    expect(failureOf(status, { error: { ...base, ...change } })).toMatchObject({ kind, retryAfterMs });
  });
});
