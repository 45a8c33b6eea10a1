import { expect, test } from 'vitest';
import { embeddingsRequestSchema } from '../../embeddings/request.ts';
import type { CallInput } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { plainQuirks } from '../quirks.ts';
import { writeChat, writeEmbeddings } from './write-request.ts';

const dated = { apiVersion: '2024-10-21' };
const younger = { verbosity: 'low', prompt_cache_key: 'k', safety_identifier: 's' };

function write(change: object = {}, more: Partial<CallInput> = {}) {
  const result = writeChat(callInput(change, { endpoint: 'https://x.openai.azure.com', model: 'my-gpt', ...more }));
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  const { url, headers, warnings, body } = result.http;
  return { url, headers, warnings, body: JSON.parse(body) as Record<string, unknown> };
}

test("a request is OpenAI's, at the address of the resource and with its key", () => {
  expect(write()).toEqual({
    url: 'https://x.openai.azure.com/openai/v1/chat/completions',
    headers: { 'content-type': 'application/json', 'api-key': 'sk-test-1' },
    body: { model: 'my-gpt', messages: [{ role: 'user', content: 'Hi' }] },
    warnings: [],
  });
});

test('with a dated version the deployment is in the path', () => {
  expect(write({}, dated).url).toBe(
    'https://x.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21',
  );
});

test('fields younger than dated versions go to the paths without a date alone', () => {
  expect(write(younger).body).toMatchObject(younger);
  const { body, warnings } = write(younger, dated);
  for (const field of Object.keys(younger)) expect(body).not.toHaveProperty(field);
  expect(warnings).toHaveLength(3);
});

test("a provider's own list of fields to drop holds as well", () => {
  const quirks = { ...plainQuirks, drop: ['user', 'verbosity'] };
  const { body, warnings } = write({ ...younger, user: 'u' }, { ...dated, quirks });
  expect(body).not.toHaveProperty('user');
  expect(warnings).toHaveLength(4);
});

test.for<[string, Partial<CallInput>, object | undefined]>([
  ['paths without a date', { stream: true }, expect.objectContaining({ include_usage: true })],
  ['a dated version, and nothing more', { stream: true, ...dated }, { include_usage: true }],
  ['no one who does not stream', dated, undefined],
  ['no server that cannot', { stream: true, ...dated, quirks: { ...plainQuirks, streamUsage: false } }, undefined],
])('usage of a stream is asked of %s', ([, more, expected]) => {
  const quirks = { ...plainQuirks, vendorRules: 'openai' } as const;
  expect(write({}, { quirks, ...more }).body.stream_options).toEqual(expected);
});

test('what OpenAI cannot take is refused here too', () => {
  const quirks = { ...plainQuirks, forcedTools: false };
  const tools = [{ type: 'function', function: { name: 'f' } }];
  const forced = { tools, tool_choice: 'required' };
  expect(writeChat(callInput(forced, { quirks })).kind).toBe('unsupported');
  expect(writeChat(callInput(forced, { quirks, ...dated })).kind).toBe('unsupported');
});

test.for<[string, Partial<CallInput>, string]>([
  ['a deployment that is named as its model', { model: 'gpt-5.4' }, '/openai/v1/responses'],
  ['one on a preview', { model: 'gpt-5.4', apiVersion: 'preview' }, '/openai/v1/responses?api-version=preview'],
  ['one of an older model', { model: 'gpt-4.1' }, '/openai/v1/chat/completions'],
  ['one of any other name', { model: 'my-deployment' }, '/openai/v1/chat/completions'],
  [
    'a dated version, whose Responses have no such path',
    { model: 'gpt-5.4', ...dated },
    '/openai/deployments/gpt-5.4/chat/completions?api-version=2024-10-21',
  ],
])('tools beside reasoning of %s are asked for at %s', ([, more, path]) => {
  const quirks = { ...plainQuirks, vendorRules: 'openai' } as const;
  const tools = [{ type: 'function', function: { name: 'f' } }];
  expect(write({ tools }, { quirks, ...more }).url).toBe(`https://x.openai.azure.com${path}`);
});

test('what was asked of Responses is read as Responses', () => {
  const quirks = { ...plainQuirks, vendorRules: 'openai' } as const;
  const written = writeChat(
    callInput({ tools: [{ type: 'function', function: { name: 'f' } }] }, { model: 'gpt-5.4', quirks }),
  );
  if (written.kind !== 'request') throw new Error(`unsupported: ${written.feature}`);
  const call = { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' };
  expect(written.reader.readAnswer({ status: 'completed', output: [call] })).toMatchObject({
    answer: { finishReason: 'tool_calls', toolCalls: [{ id: 'c1' }] },
  });
});

function embed(more: Partial<CallInput> = {}) {
  const request = embeddingsRequestSchema.parse({ model: 'm', input: ['a', 'b'], dimensions: 2 });
  const result = writeEmbeddings({
    ...callInput({}, { endpoint: 'https://x.openai.azure.com/openai/v1', model: 'my-vectors', ...more }),
    request,
  });
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return result;
}

test.for([
  ['OpenAI', null, 'v1/embeddings'],
  ['a dated version', '2024-10-21', 'deployments/my-vectors/embeddings?api-version=2024-10-21'],
] as const)('texts are embedded on the paths of %s', ([, apiVersion, path]) => {
  const { http, reader } = embed({ apiVersion });
  expect(http).toMatchObject({
    url: `https://x.openai.azure.com/openai/${path}`,
    headers: { 'content-type': 'application/json', 'api-key': 'sk-test-1' },
  });
  expect(JSON.parse(http.body)).toMatchObject({ model: 'my-vectors', input: ['a', 'b'], dimensions: 2 });
  const data = [
    { index: 0, embedding: [1, 0] },
    { index: 1, embedding: [0, 1] },
  ];
  const usage = { prompt_tokens: 4, total_tokens: 4 };
  expect(reader.readAnswer({ object: 'list', data, model: 'text-embedding-3-small', usage })).toMatchObject({
    kind: 'answer',
    answer: {
      vectors: [
        [1, 0],
        [0, 1],
      ],
      usage: { inputTokens: 4, outputTokens: 0 },
    },
  });
});

test('a length of vectors that the server cannot make is refused', () => {
  const quirks = { ...plainQuirks, dimensionsField: 'none' } as const;
  expect(() => embed({ quirks })).toThrow('unsupported');
});
