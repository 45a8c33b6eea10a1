/** Rows of the reference's table for Ollama's own API: status and text -> kind, scope. */
import { describe, expect, test } from 'vitest';
import type { FailureKind, PauseScope } from '../../domain/failure.ts';
import { failureInAnswer, readError } from './errors.ts';

const failureOf = (status: number, error: string, more: object = {}, headers = {}) =>
  readError({ status, headers, body: JSON.stringify({ error, ...more }) }, 0);

const crashed = 'llama runner process has terminated';
type Row = readonly [name: string, status: number, text: string, kind: FailureKind, scope?: PauseScope];
const rows: readonly Row[] = [
  ['an unknown model', 404, "model 'nope' not found", 'model_not_found'],
  ['a model that is not pulled', 404, 'model "nope" not found, try pulling it first', 'model_not_found'],
  ['a model without tools', 400, 'registry.ollama.ai/library/x:latest does not support tools', 'unsupported_feature'],
  ['a model without thinking', 400, '"x" does not support thinking', 'unsupported_feature'],
  ['a model that cannot chat', 400, '"x" does not support chat', 'unsupported_feature'],
  ['a model that cannot embed', 501, 'this model does not support embeddings', 'unsupported_feature'],
  ['a model that lacks more', 400, 'model is missing capabilities: vision', 'unsupported_feature'],
  ['an effort of newer servers', 400, 'invalid think value: "max" (must be "high" …)', 'unsupported_feature'],
  ['a bad body', 400, 'json: cannot unmarshal string into Go struct field', 'invalid_request'],
  ['a long prompt', 400, 'the input length exceeds the context length', 'context_length'],
  ['a long prompt, told by the runner', 500, 'it exceeds the available context size', 'context_length'],
  ['a cloud model without sign-in', 401, 'unauthorized', 'auth'],
  ['a cloud model that is switched off', 403, 'ollama cloud is disabled', 'permission', 'model'],
  ['a limit of the cloud', 429, 'you have reached your hourly usage limit', 'rate_limit'],
  ['a call that was cancelled', 499, 'request canceled', 'cancelled'],
  ['a runner that crashed', 500, `${crashed}: exit status 2`, 'server_error', 'model'],
  ['a runner that is gone', 500, 'llama runner process no longer running: -1', 'server_error', 'model'],
  ['a runner that broke off', 500, 'an error was encountered while running the model', 'server_error', 'model'],
  ['a model that cannot be loaded', 500, `${crashed}: error loading model`, 'server_error', 'model'],
  ['a model file that is broken', 500, 'unable to load model: /x', 'server_error', 'model'],
  ['too little memory', 500, 'model requires more system memory (9 GiB) than is available', 'server_error', 'model'],
  ['too little memory of the card', 500, 'cudaMalloc failed: out of memory', 'server_error', 'model'],
  ['a card that failed', 500, 'CUDA error: an illegal memory access', 'server_error', 'model'],
  ['any other fault', 500, 'something broke', 'server_error'],
  ['a cloud out of reach', 502, 'upstream error', 'server_error'],
  ['a full queue', 503, 'server busy, please try again.  maximum pending requests exceeded', 'overloaded'],
  ['a model that loads', 503, 'llm server loading model', 'model_loading'],
];

describe('an error of Ollama', () => {
  test.for(rows)('%s', ([, status, text, kind, scope]) => {
    expect(failureOf(status, text)).toEqual({
      kind,
      message: `HTTP ${status}`,
      httpStatus: status,
      retryAfterMs: null,
      ...(scope === undefined ? {} : { scope }),
    });
  });

  test('a sign-in that it offers stays with it', () => {
    const failure = failureOf(401, 'unauthorized', { signin_url: 'https://ollama.com/connect?key=abc' });
    expect(failure).toMatchObject({ kind: 'auth', message: 'HTTP 401' });
  });

  test('a wait that it names is passed on', () => {
    expect(failureOf(429, 'slow down', {}, { 'retry-after': '4' }).retryAfterMs).toBe(4_000);
  });

  test.for(rows.filter(([, , , , scope]) => scope === 'model').filter(([, status]) => status === 500))(
    'means the same inside an answer of status 200: %s',
    ([, , text, kind, scope]) => {
      expect(failureInAnswer({ error: text }, 0)).toEqual({
        kind,
        scope,
        message: 'HTTP 500',
        httpStatus: 200,
        retryAfterMs: null,
      });
    },
  );
});
