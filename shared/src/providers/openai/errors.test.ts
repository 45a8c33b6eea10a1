/** Rows of the reference's tables for OpenAI, Groq and Mistral: status, body and headers -> kind and wait. */
import { describe, expect, test } from 'vitest';
import { isHtml, readError } from './errors.ts';

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

describe('an error of OpenAI', () => {
  const limit = { code: 'rate_limit_exceeded', type: 'requests' } as const;
  const tools = "Function tools with reasoning_effort are not supported for x. Use /v1/responses or set it to 'none'.";
  test.for<[string, number, ErrorFields, string]>([
    ['a long prompt by code', 400, { code: 'context_length_exceeded' }, 'context_length'],
    ['a long prompt by text', 400, { message: "This model's maximum context length is 128000." }, 'context_length'],
    ['an unsupported parameter', 400, { code: 'unsupported_parameter' }, 'unsupported_feature'],
    ['an unsupported value', 400, { code: 'unsupported_value' }, 'unsupported_feature'],
    ['tools beside reasoning', 400, { message: tools }, 'unsupported_feature'],
    ['an invalid prompt', 400, { code: 'invalid_prompt' }, 'content_filter'],
    ['a prompt against the policy', 400, { code: 'content_policy_violation' }, 'content_filter'],
    ['a prompt against the policy for biology', 400, { code: 'bio_policy' }, 'content_filter'],
    ['a prompt against misalignment', 400, { code: 'misalignment_policy_violation' }, 'content_filter'],
    ['an invalid image', 400, { code: 'invalid_image_url' }, 'invalid_request'],
    ['an image that is too large', 400, { code: 'image_too_large' }, 'invalid_request'],
    ['any other invalid request', 400, {}, 'invalid_request'],
    ['a bad key', 401, { code: 'invalid_api_key' }, 'auth'],
    ['a user outside the organisation', 401, { message: 'You must be a member of an organization' }, 'auth'],
    ['an address that is not authorised', 401, { message: 'Your IP is not authorized' }, 'auth'],
    ['a country by code', 403, { code: 'unsupported_country_region_territory' }, 'region'],
    ['a country by text', 403, { message: 'Country, region, or territory not supported' }, 'region'],
    ['a project without the model', 403, { message: 'Project does not have access to model x' }, 'permission'],
    ['an unknown model', 404, { code: 'model_not_found' }, 'model_not_found'],
    ['a timeout of theirs', 408, {}, 'timeout'],
    ['a conflict', 409, {}, 'server_error'],
    ['too many requests', 429, limit, 'rate_limit'],
    ['too many tokens', 429, { ...limit, type: 'tokens' }, 'rate_limit'],
    ['a request that never fits', 429, { ...limit, message: 'Request too large for gpt-x on TPM' }, 'exceeds_limit'],
    ['no quota by type', 429, { type: 'insufficient_quota' }, 'billing'],
    ['no quota by code', 429, { code: 'insufficient_quota' }, 'billing'],
    ['no credit', 429, { code: 'credit_balance_exhausted' }, 'billing'],
    ['a spend limit of the organisation', 429, { code: 'organization_spend_limit_exceeded' }, 'billing'],
    ['a spend limit of the project', 429, { code: 'project_spend_limit_exceeded' }, 'billing'],
    ['a usage limit of the organisation', 429, { code: 'organization_usage_limit_exceeded' }, 'billing'],
    ['no room in the flex tier by code', 429, { code: 'resource_unavailable' }, 'capacity_tier'],
    ['no room in the flex tier by text', 429, { message: 'Resource unavailable.' }, 'capacity_tier'],
    ['a fault of theirs', 500, { type: 'server_error' }, 'server_error'],
    ['an overload', 503, { message: 'Slow down' }, 'overloaded'],
  ])('%s', ([, status, change, kind]) => {
    expect(failureOf(status, { error: { ...base, ...change } })).toMatchObject({ kind, httpStatus: status });
  });

  test.for([
    ['by code', { code: 'failed_to_download_image', message: 'Error while downloading' }],
    ['by text', { code: 'invalid_image_url', message: 'Failed to download image from https://…' }],
  ] as const)('an image that could not be fetched moves on, for another provider may: %s', ([, change]) => {
    expect(failureOf(400, { error: { ...base, ...change } }).kind).toBe('unsupported_feature');
  });

  test.for<[string, string, Headers, number | null]>([
    ['milliseconds', '', { 'retry-after-ms': '1234', 'retry-after': '2' }, 1_234],
    ['seconds', '', { 'retry-after': '2' }, 2_000],
    ['its text', 'Please try again in 6m0s. Visit our site.', {}, 360_000],
    [
      'the reset of what is used up',
      '',
      { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '1m2s' },
      62_000,
    ],
    ['nothing', '', {}, null],
  ])('a limit says when to come back by %s', ([, message, headers, expected]) => {
    expect(failureOf(429, { error: { ...base, ...limit, message } }, headers)).toMatchObject({
      kind: 'rate_limit',
      retryAfterMs: expected,
    });
  });
});

describe('an error of Groq', () => {
  const limited = (what: string) =>
    `Rate limit reached for model \`x\` on ${what}: Limit 100, Used 99, Requested 10. Please try again in 14m24s.`;
  test.for<[string, number, ErrorFields, string, number | null]>([
    ['a bad request', 400, {}, 'invalid_request', null],
    ['a tool call that did not parse', 400, { code: 'tool_use_failed' }, 'bad_output', null],
    ['JSON that did not validate', 400, { code: 'json_validate_failed' }, 'bad_output', null],
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

describe('a page in place of an error', () => {
  const page = '<!DOCTYPE html><html><body>Not Found</body></html>';
  test.for<[string, number, string, Headers, string]>([
    ['of status 404 is a wrong address', 404, page, {}, 'config'],
    [
      'of status 404 is known by its header',
      404,
      'Not Found',
      { 'content-type': 'text/html; charset=utf-8' },
      'config',
    ],
    ['of status 502 is a proxy whose server is down', 502, page, {}, 'server_error'],
    ['that is empty is judged by its status', 503, '', {}, 'overloaded'],
    ['that is plain text is judged by its status', 404, '404 page not found', {}, 'model_not_found'],
  ])('%s', ([, status, body, headers, kind]) => {
    expect(failureOf(status, body, headers)).toMatchObject({ kind, message: `HTTP ${status}` });
  });

  test.for([
    ['a page', page, true],
    ['a page after space', `\n  ${page}`, true],
    ['a page without a doctype', '<html lang="en">', true],
    ['JSON that speaks of a page', '{"error":"<html>"}', false],
  ] as const)('is known by its start: %s', ([, body, expected]) => {
    expect(isHtml({}, body)).toBe(expected);
  });
});

test('a failure is told by status and code, never by its text', () => {
  const error = { ...base, code: 'invalid_api_key', message: 'Incorrect API key provided: sk-secret' };
  expect(failureOf(401, { error }).message).toBe('HTTP 401 invalid_api_key');
});
