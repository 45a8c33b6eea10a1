/** Rows of the reference's list for OpenRouter: the code is the status, and `metadata` says the rest. */
import { describe, expect, test } from 'vitest';
import type { PauseScope } from '../../../domain/failure.ts';
import { readError } from '../errors.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
type Headers = Readonly<Record<string, string>>;
const failureOf = (status: number, metadata: object, message = 'a message', headers: Headers = {}) =>
  readError({ status, headers, body: JSON.stringify({ error: { code: status, message, metadata } }) }, nowMs);

describe('an error type of OpenRouter', () => {
  test.for<[string, number, string]>([
    ['context_length_exceeded', 400, 'context_length'],
    ['string_too_long', 400, 'context_length'],
    ['max_tokens_exceeded', 400, 'context_length'],
    ['token_limit_exceeded', 402, 'billing'],
    ['payment_required', 402, 'billing'],
    ['in_flight_budget_exhausted', 402, 'rate_limit'],
    ['weight_exceeds_budget', 402, 'exceeds_limit'],
    ['authentication', 401, 'auth'],
    ['permission_denied', 403, 'permission'],
    ['rate_limit_exceeded', 429, 'rate_limit'],
    ['provider_overloaded', 503, 'overloaded'],
    ['provider_overloaded', 529, 'overloaded'],
    ['provider_unavailable', 502, 'server_error'],
    ['timeout', 504, 'timeout'],
    ['timeout', 524, 'timeout'],
    ['timeout', 408, 'timeout'],
    ['invalid_request', 400, 'invalid_request'],
    ['invalid_prompt', 400, 'invalid_request'],
    ['unprocessable', 422, 'invalid_request'],
    ['precondition_failed', 412, 'invalid_request'],
    ['invalid_image', 400, 'invalid_request'],
    ['not_found', 404, 'model_not_found'],
    ['content_policy_violation', 403, 'content_filter'],
    ['refusal', 400, 'content_filter'],
    ['server', 500, 'server_error'],
    ['unmapped', 400, 'server_error'],
  ])('%s with status %i is %s', ([type, status, kind]) => {
    expect(failureOf(status, { error_type: type })).toMatchObject({ kind, httpStatus: status });
  });
});

describe('an error of OpenRouter', () => {
  const flight = { limit_source: 'openrouter_in_flight_budget', error_type: 'payment_required' };
  const budget = { error_type: 'permission_denied', resets_at: '2026-11-21T13:00:00Z' };
  const moderation = 'x requires moderation and your input was flagged for "y"';
  test.for<[string, number, object, string, string]>([
    ['a budget in flight is a limit, though the type says bill', 402, flight, '', 'rate_limit'],
    ['a bill of an unknown type', 402, {}, 'Insufficient credits', 'billing'],
    ['a guardrail budget', 403, { ...budget, limit_source: 'openrouter_guardrail_budget' }, '', 'quota_period'],
    ['a workspace budget', 403, { ...budget, limit_source: 'openrouter_workspace_budget' }, '', 'quota_period'],
    ['a limit of the key', 403, { ...budget, limit_source: 'openrouter_key_limit' }, '', 'quota_period'],
    ['a flagged prompt by its reasons', 403, { reasons: ['hate'] }, '', 'content_filter'],
    ['a flagged prompt by its input', 403, { flagged_input: 'a prompt' }, '', 'content_filter'],
    ['a prompt a guardrail caught', 403, { patterns: ['iban'] }, '', 'content_filter'],
    ['a flagged prompt by text', 403, {}, moderation, 'content_filter'],
    ['no access', 403, {}, '', 'permission'],
    ['a country', 403, { error_type: 'permission_denied' }, 'Not available in your country', 'region'],
  ])('%s', ([, status, metadata, message, kind]) => {
    expect(failureOf(status, metadata, message).kind).toBe(kind);
  });

  test.for<[string, number, object, PauseScope | undefined]>([
    ['a limit of the key', 403, { limit_source: 'openrouter_key_limit' }, 'credential'],
    ['a guardrail, which keys have', 403, { limit_source: 'openrouter_guardrail_budget' }, 'credential'],
    ['a budget of the workspace', 403, { limit_source: 'openrouter_workspace_budget' }, 'account'],
    ['a bill', 402, { error_type: 'payment_required' }, 'account'],
    ['a limit', 429, { error_type: 'rate_limit_exceeded' }, undefined],
  ])('takes out what it is about: %s', ([, status, metadata, scope]) => {
    expect(failureOf(status, metadata).scope).toBe(scope);
  });

  test('is told by its code where it has no type', () => {
    const codeOf = (status: number, code: string) =>
      readError({ status, headers: {}, body: JSON.stringify({ error: { code, message: 'x' } }) }, 0).kind;
    expect(codeOf(402, 'weight_exceeds_budget')).toBe('exceeds_limit');
    expect(codeOf(400, 'string_too_long')).toBe('context_length');
  });

  test.for<[string, number, object, Headers, number | null]>([
    ['a budget in flight, by header', 402, flight, { 'retry-after': '5' }, 5_000],
    ['a budget, by its reset', 403, { ...budget, limit_source: 'openrouter_key_limit' }, {}, 3_600_000],
    ['a limit, by its body', 429, { retry_after: 1.5 }, {}, 1_500],
    [
      'a limit, by its reset in milliseconds',
      429,
      {},
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(nowMs + 2_500) },
      2_500,
    ],
    ['a bill', 402, {}, {}, null],
  ])('says when to come back: %s', ([, status, metadata, headers, expected]) => {
    expect(failureOf(status, metadata, 'a message', headers).retryAfterMs).toBe(expected);
  });

  test('never shows the flagged prompt', () => {
    const failure = failureOf(403, { reasons: ['hate'], flagged_input: 'a prompt' });
    expect(failure.message).toBe('HTTP 403 input_flagged');
  });
});
