import { expect, test } from 'vitest';
import type { FailureKind } from '../../domain/failure.ts';
import { nowMs } from '../fixture-call.ts';
import { failureInAnswer } from './error-inside.ts';

test.for<[string, unknown, FailureKind]>([
  ['its status as code', { code: 503 }, 'overloaded'],
  ['its status as text', { code: '429' }, 'rate_limit'],
  ['a limit by its code', { code: 'rate_limit_exceeded' }, 'rate_limit'],
  ['a limit that is never met', { code: 'rate_limit_exceeded', message: 'Request too large for x' }, 'exceeds_limit'],
  ['a limit of a day', { code: 'rate_limit_exceeded', message: 'tokens per day (TPD)' }, 'quota_period'],
  ['no quota', { code: 'insufficient_quota' }, 'billing'],
  ['an invalid request by type', { type: 'invalid_request_error' }, 'invalid_request'],
  ['an invalid request of vLLM', { type: 'BadRequestError' }, 'invalid_request'],
  ['a long prompt of vLLM', { type: 'BadRequestError', message: 'maximum context length is 9' }, 'context_length'],
  ['an invalid image', { code: 'invalid_image_format' }, 'invalid_request'],
  ['an image that is too small', { code: 'image_too_small' }, 'invalid_request'],
  ['an image that could not be fetched', { code: 'failed_to_download_image' }, 'unsupported_feature'],
  ['a policy', { code: 'bio_policy' }, 'content_filter'],
  ['a server error', { code: 'server_error' }, 'server_error'],
  ['a number that is no status', { code: 3_505 }, 'server_error'],
  ['a text alone', 'it broke', 'server_error'],
])('an error inside an answer is known by %s', ([, error, kind]) => {
  expect(failureInAnswer({ error }, nowMs)).toMatchObject({ kind, httpStatus: 200 });
});

test.for<[string, object, number | null]>([
  ['in its text', { code: 'rate_limit_exceeded', message: 'Please try again in 1.5s.' }, 1_500],
  ['in its metadata', { code: 429, metadata: { retry_after: 3 } }, 3_000],
  ['not at all', { code: 429 }, null],
  ['as an instant', { code: 429, metadata: { resets_at: '2026-11-21T13:00:00Z' } }, 3_600_000],
])('its wait is read when it stands there %s', ([, error, expected]) => {
  expect(failureInAnswer({ error }, nowMs).retryAfterMs).toBe(expected);
});
