/** Rows of the reference's table for Azure, and some of OpenAI's behind them: status and body -> kind, wait and scope. */
import { expect, test } from 'vitest';
import { type FailureKind, failureRule, type PauseScope } from '../../domain/failure.ts';
import { readError } from './errors.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
type Headers = Readonly<Record<string, string>>;
const failureOf = (status: number, error: object, headers: Headers = {}) =>
  readError({ status, headers, body: JSON.stringify({ error }) }, nowMs);

const innererror = {
  code: 'ResponsibleAIPolicyViolation',
  content_filter_result: { hate: { filtered: true, severity: 'high' } },
};
const filtered = { message: 'The response was filtered', type: null, param: 'prompt', status: 400 };

test.for<[string, number, object, FailureKind, PauseScope | null]>([
  ['a filtered prompt', 400, { ...filtered, code: 'content_filter', innererror }, 'content_filter', null],
  ['a filtered prompt, by its code alone', 400, { ...filtered, code: 'content_filter' }, 'content_filter', null],
  ['a filtered prompt, by its inner code alone', 400, { ...filtered, code: null, innererror }, 'content_filter', null],
  ['a filtered prompt, by a code of its own', 400, { code: 'ResponsibleAIPolicyViolation' }, 'content_filter', null],
  ['another inner error', 400, { code: 'BadRequest', innererror: { code: 'Other' } }, 'invalid_request', null],
  ['a wrong key', 401, { code: '401', message: 'Access denied due to invalid subscription key' }, 'auth', 'credential'],
  [
    'a missing role',
    401,
    { code: 'PermissionDenied', message: 'The principal lacks the data action' },
    'auth',
    'credential',
  ],
  ['a token that is over', 401, { code: 'Unauthorized' }, 'auth', 'credential'],
  ['a deployment that does not exist', 404, { code: 'DeploymentNotFound' }, 'model_not_found', 'model'],
  ['a wrong path', 404, { code: '404', message: 'Resource not found' }, 'config', 'provider'],
  ['a model that does not exist', 404, { code: 'model_not_found' }, 'model_not_found', 'model'],
  ['a wrong version', 400, { code: 'BadRequest', message: 'API version not supported' }, 'config', 'provider'],
  [
    'a version before its model',
    400,
    { message: 'Model x is enabled only for api versions 2024-12-01-preview and later' },
    'config',
    'provider',
  ],
  ['a model of another kind', 400, { code: 'OperationNotSupported', message: 'x' }, 'unsupported_feature', null],
  [
    'a field the version does not know',
    400,
    { code: null, message: 'Unrecognized request argument supplied: verbosity' },
    'unsupported_feature',
    null,
  ],
  [
    'a limit by its status',
    429,
    { code: '429', message: 'Requests have exceeded token rate limit' },
    'rate_limit',
    null,
  ],
  ['a limit by its name', 429, { code: 'RateLimitReached' }, 'rate_limit', null],
  ['a limit in other words', 429, { code: 'too_many_requests', type: 'too_many_requests' }, 'rate_limit', null],
  ['a limit, whatever its text says', 429, { code: '429', message: 'The limit of tokens per day' }, 'rate_limit', null],
  ["OpenAI's long prompt", 400, { code: 'context_length_exceeded' }, 'context_length', null],
  ["OpenAI's unsupported value", 400, { code: 'unsupported_value' }, 'unsupported_feature', null],
  ["OpenAI's invalid request", 400, { type: 'invalid_request_error' }, 'invalid_request', null],
  ["OpenAI's empty quota", 429, { code: 'insufficient_quota', type: 'insufficient_quota' }, 'billing', 'account'],
  [
    'a closed network',
    403,
    { code: '403', message: 'Access denied due to Virtual Network rules' },
    'permission',
    'credential_model',
  ],
  ['a conflict', 409, {}, 'server_error', null],
  ['a fault of theirs', 500, { code: 'InternalServerError' }, 'server_error', null],
  ['an overload', 503, { code: 'ServiceUnavailable' }, 'overloaded', null],
])('%s', ([, status, error, kind, scope]) => {
  const found = failureOf(status, error);
  expect(found).toMatchObject({ kind, httpStatus: status });
  // What it takes out is its own, or that of its kind.
  expect(found.scope ?? failureRule(found.kind).pause?.scope ?? null).toBe(scope);
});

const limit = { code: '429' };
test.for<[string, string, Headers, number | null]>([
  ['milliseconds', 'Please retry after 9 seconds.', { 'retry-after-ms': '1234', 'retry-after': '2' }, 1_234],
  ['seconds', 'Please retry after 9 seconds.', { 'retry-after': '2' }, 2_000],
  ['its text, where a gateway lost the headers', 'Please retry after 9 seconds. See https://…', {}, 9_000],
  ['its text in other words', 'Rate limit is exceeded. Try again in 30 seconds.', {}, 30_000],
  ['the reset of what is used up', '', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '5' }, 5_000],
  ['nothing it can mean', 'Please retry after 99999999 seconds.', {}, null],
  ['nothing, when it says now', 'Please retry after 0 seconds.', {}, null],
  ['nothing', '', {}, null],
])('a limit says when to come back by %s', ([, message, headers, expected]) => {
  expect(failureOf(429, { ...limit, message }, headers)).toMatchObject({ kind: 'rate_limit', retryAfterMs: expected });
});

test.for<[string, number, string, FailureKind]>([
  ['a page of a wrong address', 404, '<html>Not Found</html>', 'config'],
  ['no body', 503, '', 'overloaded'],
  ['a list', 400, '[]', 'invalid_request'],
])('%s is judged by its status', ([, status, body, kind]) => {
  expect(readError({ status, headers: {}, body }, nowMs).kind).toBe(kind);
});

test('a failure is told by status and code, never by its text', () => {
  const error = { code: 'DeploymentNotFound', message: 'The API deployment secret-name does not exist' };
  expect(failureOf(404, error).message).toBe('HTTP 404 deploymentnotfound');
});
