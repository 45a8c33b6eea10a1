/** Rows of the reference's list for Cohere: status and text -> kind, wait and scope. */
import { expect, test } from 'vitest';
import { type FailureKind, failureRule, type PauseScope } from '../../domain/failure.ts';
import { failureInAnswer, readError } from './errors.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
const day = 86_400_000;
const failureOf = (status: number, message: string, headers = {}, atMs = nowMs) =>
  readError({ status, headers, body: JSON.stringify({ id: 'r1', message }) }, atMs);
const trial = (limit: string) => `You are using a Trial key, which is limited to ${limit}. You can upgrade it.`;

test.for<[string, number, string, FailureKind, PauseScope | null]>([
  ['a bad request', 400, 'invalid request: list of documents must not be empty', 'invalid_request', null],
  [
    'a long prompt',
    400,
    'too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.',
    'context_length',
    null,
  ],
  ['a long answer', 400, 'too many tokens: max tokens must be less than or equal to 4096', 'context_length', null],
  ['a feature of other models', 400, 'invalid request: thinking is not supported', 'unsupported_feature', null],
  ['two penalties', 400, 'invalid request: cannot specify both penalties', 'unsupported_feature', null],
  ['a missing key', 401, 'no api key supplied', 'auth', 'credential'],
  ['an invalid key', 401, 'invalid api token', 'auth', 'credential'],
  ['an expired key', 401, 'Your API key has expired.', 'auth', 'credential'],
  ['a bill', 402, 'Please add or update your payment method to continue', 'billing', 'account'],
  ['a bill until next month', 402, 'Your billing capacity will reset next month.', 'billing', 'account'],
  ['a forbidden call', 403, 'forbidden', 'permission', 'credential'],
  ['an unknown model', 404, "model 'xyz' not found", 'model_not_found', 'model'],
  ['an unknown address', 404, '404 page not found', 'config', 'provider'],
  ['a request that cannot be processed', 422, 'unprocessable', 'invalid_request', null],
  ['a limit per minute', 429, 'You are past the per minute request limit', 'rate_limit', null],
  ['a limit per minute of a trial key', 429, trial('20 API calls / minute'), 'rate_limit', null],
  ['a limit of tokens', 429, 'trial token rate limit exceeded, limit is 100000 tokens per minute', 'rate_limit', null],
  ['the month of a trial key', 429, trial('1000 API calls / month'), 'quota_period', 'account'],
  ['the month of a model', 429, 'limited to 1000 API calls / month', 'quota_period', 'account_model'],
  ['a text that is blocked', 498, 'a deny-listed token', 'content_filter', null],
  ['a call that was cancelled', 499, 'request cancelled', 'cancelled', null],
  ['a fault of theirs', 500, 'internal server error', 'server_error', null],
  ['a feature that does not exist', 501, 'not implemented', 'unsupported_feature', null],
  ['an overload', 503, 'service unavailable', 'overloaded', null],
  ['a timeout of theirs', 504, 'gateway timeout', 'timeout', null],
])('%s', ([, status, message, kind, scope]) => {
  const found = failureOf(status, message);
  expect(found).toMatchObject({ kind, httpStatus: status, message: `HTTP ${status}` });
  // What it takes out is its own, or that of its kind.
  expect(found.scope ?? failureRule(found.kind).pause?.scope ?? null).toBe(scope);
});

test.for<[string, string, object, string, number | null]>([
  ['the header of a limit', 'slow down', { 'retry-after': '7' }, '2026-11-21T12:00:00Z', 7_000],
  ['nothing', 'slow down', {}, '2026-11-21T12:00:00Z', null],
  ['the first of the next month', trial('1000 API calls / month'), {}, '2026-11-21T12:00:00Z', 9.5 * day],
  ['the first of the next year', trial('1000 API calls / month'), {}, '2026-12-31T23:59:59Z', 1_000],
  [
    'the month, whatever the limit per minute says',
    trial('1000 API calls / month'),
    { 'retry-after': '7' },
    '2026-11-30T00:00:00Z',
    day,
  ],
  ['at most 24 days', trial('1000 API calls / month'), {}, '2026-12-02T00:00:00Z', 24 * day],
])('a limit says when to come back by %s', ([, message, headers, at, expected]) => {
  expect(failureOf(429, message, headers, Date.parse(at)).retryAfterMs).toBe(expected);
});

test('a text without JSON is read as it is', () => {
  expect(readError({ status: 404, headers: {}, body: '404 page not found' }, nowMs).kind).toBe('config');
});

test.for<[string, FailureKind]>([
  ['too many tokens: size limit exceeded by 280 tokens', 'context_length'],
  ['You are past the per minute request limit', 'rate_limit'],
  [trial('20 API calls / minute'), 'rate_limit'],
  ['something went wrong', 'server_error'],
])('inside an answer, where there is no status, "%s" is %s', ([message, kind]) => {
  expect(failureInAnswer(message, nowMs)).toMatchObject({ kind, httpStatus: 200 });
});

test('inside an answer, too, a month ends where it ends', () => {
  const found = failureInAnswer(`${trial('1000 API calls / month')}, too many requests`, nowMs);
  expect(found).toMatchObject({ kind: 'quota_period', scope: 'account', retryAfterMs: 9.5 * day });
});
