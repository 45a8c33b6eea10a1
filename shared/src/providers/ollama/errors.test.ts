/** Rows of the reference's table for Ollama's own API: status and text -> kind. */
import { describe, expect, test } from 'vitest';
import { readError } from './errors.ts';

const failureOf = (status: number, error: string, more: object = {}, headers = {}) =>
  readError({ status, headers, body: JSON.stringify({ error, ...more }) }, 0);

describe('an error of Ollama', () => {
  test.for<[string, number, string, string]>([
    ['an unknown model', 404, "model 'nope' not found", 'model_not_found'],
    ['a model that is not pulled', 404, 'model "nope" not found, try pulling it first', 'model_not_found'],
    ['a model without tools', 400, 'registry.ollama.ai/library/x:latest does not support tools', 'unsupported_feature'],
    ['a model without thinking', 400, '"x" does not support thinking', 'unsupported_feature'],
    ['a model that cannot chat', 400, '"x" does not support chat', 'unsupported_feature'],
    ['a model that lacks more', 400, 'model is missing capabilities: vision', 'unsupported_feature'],
    ['a bad body', 400, 'json: cannot unmarshal string into Go struct field', 'invalid_request'],
    ['a long prompt', 400, 'the input length exceeds the context length', 'context_length'],
    ['a limit of the cloud', 429, 'you have reached your hourly usage limit', 'rate_limit'],
    ['a cloud model that is switched off', 403, 'ollama cloud is disabled', 'permission'],
    ['a call that was cancelled', 499, 'request canceled', 'cancelled'],
    ['a runner that crashed', 500, 'llama runner process has terminated: exit status 2', 'server_error'],
    ['a model that cannot be loaded', 500, 'llama runner process has terminated: error loading model', 'server_error'],
    ['too little memory', 500, 'model requires more system memory (9 GiB) than is available', 'server_error'],
    ['a cloud out of reach', 502, 'upstream error', 'server_error'],
    ['a full queue', 503, 'server busy, please try again.  maximum pending requests exceeded', 'overloaded'],
    ['a model that loads', 503, 'llm server loading model', 'model_loading'],
  ])('%s', ([, status, text, kind]) => {
    expect(failureOf(status, text)).toMatchObject({ kind, httpStatus: status, message: `HTTP ${status}` });
  });

  test('a cloud model without sign-in', () => {
    const failure = failureOf(401, 'unauthorized', { signin_url: 'https://ollama.com/connect?key=abc' });
    expect(failure).toMatchObject({ kind: 'auth', message: 'HTTP 401' });
  });

  test('a wait that it names is passed on', () => {
    expect(failureOf(429, 'slow down', {}, { 'retry-after': '4' }).retryAfterMs).toBe(4_000);
  });
});
