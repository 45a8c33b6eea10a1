/** Rows of the reference's lists for servers of one's own: LocalAI, llama.cpp, LightLLM, vLLM. */
import { describe, expect, test } from 'vitest';
import { readError } from '../errors.ts';

type Headers = Readonly<Record<string, string>>;
const failureOf = (status: number, body: object, headers: Headers = {}) =>
  readError({ status, headers, body: JSON.stringify(body) }, 0);
const withError = (error: object) => ({ error: { message: 'a message', ...error } });

describe('an error of LocalAI', () => {
  const loading = { ...withError({ code: 'model_loading', type: 'model_loading' }), loading: { model: 'x' } };
  test.for<[string, number, object, Headers, string, number | null]>([
    ['no key', 401, withError({ message: 'An authentication key is required', code: 401 }), {}, 'auth', null],
    ['an unknown model', 404, withError({ code: 404 }), {}, 'model_not_found', null],
    ['an invalid request', 422, withError({ code: 422 }), {}, 'invalid_request', null],
    ['a model that loads', 503, loading, { 'retry-after': '5' }, 'model_loading', 5_000],
    ['a model that loads, by code', 503, withError({ code: 'model_loading' }), {}, 'model_loading', null],
    ['a model that loads, by type', 503, withError({ type: 'model_loading' }), {}, 'model_loading', null],
    ['a load that failed before', 503, withError({ code: 503 }), { 'retry-after': '30' }, 'overloaded', 30_000],
    ['no room for a backend', 503, withError({ message: 'no backend capacity' }), {}, 'overloaded', null],
    ['a backend that failed', 500, withError({ code: 500 }), {}, 'server_error', null],
  ])('%s', ([, status, body, headers, kind, retryAfterMs]) => {
    expect(failureOf(status, body, headers)).toMatchObject({ kind, retryAfterMs });
  });
});

describe('an error of llama.cpp', () => {
  test.for<[string, number, object, string]>([
    ['a model that loads', 503, { code: 503, message: 'Loading model', type: 'unavailable_error' }, 'model_loading'],
    ['a server without room', 503, { code: 503, message: 'No slot', type: 'unavailable_error' }, 'overloaded'],
    ['an invalid request', 400, { code: 400, type: 'invalid_request_error' }, 'invalid_request'],
    [
      'a long prompt',
      400,
      { code: 400, type: 'exceed_context_size_error', n_prompt_tokens: 9_000, n_ctx: 4_096 },
      'context_length',
    ],
    ['a long prompt, by code', 400, { code: 'exceed_context_size_error' }, 'context_length'],
    ['a feature that is off, by code', 400, { code: 'not_supported_error' }, 'unsupported_feature'],
    ['a bad key', 401, { code: 401, type: 'authentication_error' }, 'auth'],
    ['a wrong path', 404, { code: 404, type: 'not_found_error' }, 'model_not_found'],
    ['a fault', 500, { code: 500, type: 'server_error' }, 'server_error'],
    ['a feature that is off', 501, { code: 501, type: 'not_supported_error' }, 'unsupported_feature'],
    ['a feature that is off, by type', 400, { code: 400, type: 'not_supported_error' }, 'unsupported_feature'],
  ])('%s', ([, status, error, kind]) => {
    expect(failureOf(status, withError(error)).kind).toBe(kind);
  });
});

describe('an error of LightLLM', () => {
  test.for<[string, number, object, string]>([
    ['an invalid request', 400, { type: 'BadRequestError', code: 400 }, 'invalid_request'],
    ['a server that is busy, by type', 500, { type: 'RateLimitError' }, 'rate_limit'],
    ['an internal failure, or a wrong run mode', 417, {}, 'server_error'],
    ['a server that is busy', 429, { type: 'RateLimitError', code: 429 }, 'rate_limit'],
    ['a call that was cancelled', 499, {}, 'cancelled'],
    ['an unhealthy server', 503, {}, 'overloaded'],
  ])('%s', ([, status, error, kind]) => {
    expect(failureOf(status, withError(error)).kind).toBe(kind);
  });

  test('a field that fails validation', () => {
    expect(failureOf(422, { detail: [{ loc: ['body'], msg: 'bad', type: 'enum' }] }).kind).toBe('invalid_request');
  });
});

describe('an error of vLLM', () => {
  const long = "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens.";
  test.for<[string, number, object, string]>([
    ['an invalid request', 400, withError({ type: 'BadRequestError', code: 400 }), 'invalid_request'],
    ['a long prompt', 400, withError({ type: 'BadRequestError', code: 400, message: long }), 'context_length'],
    [
      'a long prompt in the old shape',
      400,
      { object: 'error', message: long, type: 'BadRequestError', code: 400 },
      'context_length',
    ],
    ['an invalid request in the old shape', 400, { object: 'error', message: 'bad', code: 400 }, 'invalid_request'],
    [
      'tools that the server was not started for',
      400,
      withError({ code: 400, message: '"auto" tool choice requires --enable-auto-tool-choice to be set' }),
      'unsupported_feature',
    ],
    ['a bad key', 401, { error: 'Unauthorized' }, 'auth'],
    ['an unknown model', 404, withError({ type: 'NotFoundError', code: 404 }), 'model_not_found'],
    ['a field that fails validation', 422, { detail: 'bad' }, 'invalid_request'],
    ['a fault', 500, withError({ type: 'InternalServerError', code: 500 }), 'server_error'],
  ])('%s', ([, status, body, kind]) => {
    expect(failureOf(status, body).kind).toBe(kind);
  });
});
