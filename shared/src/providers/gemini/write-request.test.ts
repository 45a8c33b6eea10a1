import { describe, expect, test } from 'vitest';
import type { CallInput } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { plainQuirks } from '../quirks.ts';
import { writeRequest } from './write-request.ts';

function write(change: object = {}, more: Partial<CallInput> = {}) {
  const result = writeRequest(callInput(change, { model: 'gemini-3.8-flash', ...more }));
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return { ...result.http, body: JSON.parse(result.http.body) as Record<string, unknown> };
}
const hi = { role: 'user', parts: [{ text: 'Hi' }] };

test('a request goes to the model with its credential in a header, and nothing that was not asked for', () => {
  expect(write()).toEqual({
    url: 'https://api.test/v1/models/gemini-3.8-flash:generateContent',
    headers: { 'content-type': 'application/json', 'x-goog-api-key': 'sk-test-1' },
    body: { contents: [hi] },
    warnings: [],
  });
});

test('a stream is asked for as server-sent events', () => {
  expect(write({}, { stream: true }).url).toBe(
    'https://api.test/v1/models/gemini-3.8-flash:streamGenerateContent?alt=sse',
  );
});

test.for([
  ['models/gemini-2.5-pro', 'models/gemini-2.5-pro'],
  ['tunedModels/mine', 'tunedModels/mine'],
  ['odd?name#x', 'models/odd%3Fname%23x'],
] as const)('the model %s is addressed as %s', ([model, path]) => {
  expect(write({}, { model }).url).toBe(`https://api.test/v1/${path}:generateContent`);
});

test('no credential is no key header', () => {
  expect(write({}, { credential: null }).headers).toEqual({ 'content-type': 'application/json' });
});

const schema = { type: 'object', properties: { city: { type: 'string' } } };
const asJson = (json_schema: object) => ({ response_format: { type: 'json_schema', json_schema } });

describe('generationConfig', () => {
  test.for<[string, object, object]>([
    ['max_tokens', { max_tokens: 9 }, { maxOutputTokens: 9 }],
    ['max_completion_tokens first', { max_completion_tokens: 8, max_tokens: 9 }, { maxOutputTokens: 8 }],
    ['top_p', { top_p: 0.5 }, { topP: 0.5 }],
    ['temperature', { temperature: 1 }, { temperature: 1 }],
    ['one stop text', { stop: 'END' }, { stopSequences: ['END'] }],
    ['stop texts', { stop: ['A', 'B'] }, { stopSequences: ['A', 'B'] }],
    ['seed', { seed: -7 }, { seed: -7 }],
    ['penalties', { frequency_penalty: 1, presence_penalty: 0 }, { frequencyPenalty: 1, presencePenalty: 0 }],
    ['logprobs', { logprobs: true }, { responseLogprobs: true }],
    ['top_logprobs', { logprobs: true, top_logprobs: 3 }, { responseLogprobs: true, logprobs: 3 }],
    ['a JSON object', { response_format: { type: 'json_object' } }, { responseMimeType: 'application/json' }],
    [
      'a JSON schema',
      asJson({ name: 'place', schema }),
      { responseMimeType: 'application/json', responseJsonSchema: schema },
    ],
    [
      'a described JSON schema',
      asJson({ name: 'place', description: 'Where', schema }),
      { responseMimeType: 'application/json', responseJsonSchema: { description: 'Where', ...schema } },
    ],
  ])('holds %s', ([, change, config]) => {
    expect(write(change)).toMatchObject({ body: { contents: [hi], generationConfig: config }, warnings: [] });
    expect(write(change).body.generationConfig).toEqual(config);
  });

  test.for<[string, object]>([
    ['text as the format', { response_format: { type: 'text' } }],
    ['unset fields', { temperature: null, stop: null, logprobs: false, n: 1, metadata: null, store: null }],
  ])('is left out for %s', ([, change]) => {
    expect(write(change)).toMatchObject({ body: { contents: [hi] }, warnings: [] });
    expect(write(change).body).not.toHaveProperty('generationConfig');
  });
});

test('store, labels and the token to go on with stand at the top', () => {
  const { body, warnings } = write({ store: false, metadata: { team: 'search' } }, { continuation: 'token-1' });
  expect(body).toEqual({ contents: [hi], store: false, labels: { team: 'search' }, continuationToken: 'token-1' });
  expect(warnings).toEqual([]);
});

test.for<[string, object, string]>([
  ['logit_bias', { logit_bias: { 1: 2 } }, 'dropped "logit_bias": Gemini has no equivalent'],
  ['verbosity', { verbosity: 'low' }, 'dropped "verbosity": Gemini has no equivalent'],
  ['user', { user: 'u1' }, 'dropped "user": Gemini has no equivalent'],
  ['safety_identifier', { safety_identifier: 'u1' }, 'dropped "safety_identifier": Gemini has no equivalent'],
  ['prompt_cache_key', { prompt_cache_key: 'k' }, 'dropped "prompt_cache_key": Gemini has no equivalent'],
  ['top_logprobs alone', { top_logprobs: 2 }, 'dropped "top_logprobs": Gemini without "logprobs" has no equivalent'],
  ['a seed beyond 32 bits', { seed: 2 ** 40 }, 'dropped "seed": Gemini takes 32 bits'],
  ['metadata that is no label', { metadata: { Team: 'x' } }, `dropped 1 of "metadata": no labels of Google's`],
  [
    'keywords of a schema',
    asJson({ name: 'place', schema: { ...schema, pattern: 'x' } }),
    'dropped "pattern" from the schema of the answer: Gemini does not know them',
  ],
])('what is dropped is told: %s', ([, change, warning]) => {
  const { body, warnings } = write(change);
  expect(warnings).toEqual([warning]);
  const config = JSON.stringify(body.generationConfig ?? {});
  expect(config).not.toMatch(/pattern|seed|logprobs/i);
  expect(body).not.toHaveProperty('labels');
});

test('a list of stop texts beyond five is cut, and told', () => {
  const six = ['a', 'b', 'c', 'd', 'e', 'f'];
  const input = callInput();
  const result = writeRequest({ ...input, request: { ...input.request, stop: six } });
  if (result.kind !== 'request') throw new Error(result.feature);
  expect(JSON.parse(result.http.body).generationConfig).toEqual({ stopSequences: six.slice(0, 5) });
  expect(result.http.warnings).toEqual(['dropped all but 5 of "stop": Gemini takes no more']);
});

test.for([
  ['gemini-3.8-flash', 1],
  ['gemini-2.5-flash', 0],
] as const)('a temperature is obeyed by %s, with %i warnings that it may loop', ([model, count]) => {
  const { body, warnings } = write({ temperature: 0.2 }, { model });
  expect(body.generationConfig).toEqual({ temperature: 0.2 });
  expect(warnings).toHaveLength(count);
});

test('what the configuration says the server refuses is dropped, and told', () => {
  const quirks = { ...plainQuirks, drop: ['seed', 'store', 'user'] };
  const { body, warnings } = write({ seed: 1, store: true }, { quirks });
  expect(body).toEqual({ contents: [hi] });
  expect(warnings).toEqual(['seed', 'store'].map((field) => `dropped "${field}": this provider does not take it`));
});

const image = {
  messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://a.test/b.png' } }] }],
};
const remote = 'images by an address that is not https';
test.for<[string, object, Partial<CallInput>]>([
  ['multiple choices', { n: 2 }, {}],
  [remote, JSON.parse(JSON.stringify(image).replace('https', 'http')), {}],
  ['images by address', image, { quirks: { ...plainQuirks, imageInput: 'data' } }],
])('a target that cannot is found before any byte is sent: %s', ([feature, change, more]) => {
  expect(writeRequest(callInput(change, more))).toEqual({ kind: 'unsupported', feature });
});
