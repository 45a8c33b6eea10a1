/** Rows of the reference's table for OpenAI: status, body and headers -> kind, wait and scope. */
import { describe, expect, test } from 'vitest';
import type { PauseScope } from '../../../domain/failure.ts';
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

describe('an error of OpenAI', () => {
  const limit = { code: 'rate_limit_exceeded', type: 'requests' } as const;
  const tools = "Function tools with reasoning_effort are not supported for x. Use /v1/responses or set it to 'none'.";
  test.for<[string, number, ErrorFields, string, PauseScope?]>([
    ['a long prompt by type', 400, { type: 'context_length_exceeded' }, 'context_length'],
    ['a long prompt by code', 400, { code: 'context_length_exceeded' }, 'context_length'],
    ['a long prompt in other words', 400, { message: 'Your input exceeds the context length.' }, 'context_length'],
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
    ['a prompt that the filter caught', 400, { code: 'content_filter' }, 'content_filter'],
    ['a bad key', 401, { code: 'invalid_api_key' }, 'auth'],
    ['a user outside the organisation', 401, { message: 'You must be a member of an organization' }, 'auth'],
    ['an address that is not authorised', 401, { message: 'Your IP is not authorized' }, 'auth'],
    ['a country by code', 403, { code: 'unsupported_country_region_territory' }, 'region'],
    ['a country by text', 403, { message: 'Country, region, or territory not supported' }, 'region'],
    ['a project without the model', 403, { message: 'Project does not have access to model x' }, 'permission'],
    ['an unknown model', 404, { code: 'model_not_found' }, 'model_not_found'],
    [
      'a model that is unknown, or not granted',
      404,
      { code: 'model_not_found', message: 'The model `x` does not exist or you do not have access to it.' },
      'model_not_found',
      'credential_model',
    ],
    ['a timeout of theirs', 408, {}, 'timeout'],
    ['a conflict', 409, {}, 'server_error'],
    ['too many requests', 429, limit, 'rate_limit'],
    ['too many tokens', 429, { ...limit, type: 'tokens' }, 'rate_limit'],
    ['a request that never fits', 429, { ...limit, message: 'Request too large for gpt-x on TPM' }, 'exceeds_limit'],
    ['no quota by type', 429, { type: 'insufficient_quota' }, 'billing', 'account'],
    ['no quota by code', 429, { code: 'insufficient_quota' }, 'billing', 'account'],
    ['no credit', 429, { code: 'credit_balance_exhausted' }, 'billing', 'account'],
    ['a spend limit of the organisation', 429, { code: 'organization_spend_limit_exceeded' }, 'billing', 'account'],
    ['a spend limit of the project', 429, { code: 'project_spend_limit_exceeded' }, 'billing', 'credential'],
    ['a usage limit of the organisation', 429, { code: 'organization_usage_limit_exceeded' }, 'billing', 'account'],
    ['no room in the flex tier by code', 429, { code: 'resource_unavailable' }, 'capacity_tier'],
    ['no room in the flex tier by text', 429, { message: 'Resource unavailable.' }, 'capacity_tier'],
    ['a fault of theirs', 500, { type: 'server_error' }, 'server_error'],
    ['an overload', 503, { message: 'Slow down' }, 'overloaded'],
  ])('%s', ([, status, change, kind, scope]) => {
    const failure = failureOf(status, { error: { ...base, ...change } });
    expect(failure).toMatchObject({ kind, httpStatus: status });
    expect(failure.scope).toBe(scope);
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
