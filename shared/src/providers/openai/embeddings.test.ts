import { expect, test } from 'vitest';
import type { FailureKind } from '../../domain/failure.ts';
import { embeddingsRequestSchema } from '../../embeddings/request.ts';
import { toEmbeddingList } from '../../embeddings/response.ts';
import type { CallInput } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { presetOf } from '../presets.ts';
import { plainQuirks, type Quirks } from '../quirks.ts';
import { openaiEmbeddings } from './embeddings.ts';

const quirksOf = (id: string): Quirks => presetOf(id)?.quirks ?? plainQuirks;
const inputFor = (change: object, more: Partial<CallInput> = {}) => ({
  ...callInput({}, { model: 'text-embedding-3-small', ...more }),
  request: embeddingsRequestSchema.parse({ model: 'default', input: 'Hi', ...change }),
});

function write(change: object = {}, more: Partial<CallInput> = {}) {
  const written = openaiEmbeddings.write(inputFor(change, more));
  if (written.kind !== 'request') throw new Error(`unsupported: ${written.feature}`);
  return { ...written, body: JSON.parse(written.http.body) as Record<string, unknown> };
}

test('a request goes to the endpoint, with a list of texts and numbers wanted back', () => {
  const { http, body } = write();
  expect(http).toMatchObject({
    url: 'https://api.test/v1/embeddings',
    headers: { authorization: 'Bearer sk-test-1' },
    warnings: [],
  });
  expect(body).toEqual({ model: 'text-embedding-3-small', input: ['Hi'], encoding_format: 'float' });
});

const noField = (field: string) => `dropped "${field}": this provider has no equivalent`;
test.for<[string, string, object, object, string[]]>([
  ['OpenAI the length', 'openai', { dimensions: 64 }, { dimensions: 64 }, []],
  ['Mistral the length in its own word', 'mistral', { dimensions: 64 }, { output_dimension: 64 }, []],
  ['OpenAI the user', 'openai', { user: 'u' }, { user: 'u' }, []],
  ['Mistral no user', 'mistral', { user: 'u' }, {}, [noField('user')]],
  ['nobody what it is for', 'openai', { input_type: 'search_query' }, {}, [noField('input_type')]],
  ['nobody the format of the caller', 'vllm', { encoding_format: 'base64' }, {}, []],
])('a request tells %s', ([, id, change, expected, warnings]) => {
  const { http, body } = write(change, { quirks: quirksOf(id) });
  expect(body).toEqual({ model: 'text-embedding-3-small', input: ['Hi'], encoding_format: 'float', ...expected });
  expect(http.warnings).toEqual(warnings);
});

test('a server that refuses encoding_format is not sent it', () => {
  expect(write({}, { quirks: { ...plainQuirks, drop: ['encoding_format'] } }).body).not.toHaveProperty(
    'encoding_format',
  );
});

test.for<[string, Partial<Quirks>]>([
  ['by its quirk', { dimensionsField: 'none' }],
  ['by what it drops', { drop: ['dimensions'] }],
])('a server that cannot shorten vectors, %s, is not asked to', ([, quirks]) => {
  const written = openaiEmbeddings.write(inputFor({ dimensions: 64 }, { quirks: { ...plainQuirks, ...quirks } }));
  expect(written).toEqual({ kind: 'unsupported', feature: 'a length of embeddings' });
});

const vector = (index: number, embedding: unknown) => ({ object: 'embedding', index, embedding });
const answer = (...data: object[]) => ({
  object: 'list',
  model: 'text-embedding-3-small',
  data,
  usage: { prompt_tokens: 4, total_tokens: 4 },
});
const base64Of = (numbers: number[]) => Buffer.from(Float32Array.from(numbers).buffer).toString('base64');
const read = (body: unknown, change: object = { input: ['a', 'b'] }) => write(change).reader.readAnswer(body);

test.for<[string, unknown, number[][]]>([
  [
    'in order',
    answer(vector(0, [1, 2]), vector(1, [3, 4])),
    [
      [1, 2],
      [3, 4],
    ],
  ],
  [
    'out of order',
    answer(vector(1, [3, 4]), vector(0, [1, 2])),
    [
      [1, 2],
      [3, 4],
    ],
  ],
  [
    'without an index',
    answer({ embedding: [1, 2] }, { embedding: [3, 4] }),
    [
      [1, 2],
      [3, 4],
    ],
  ],
  [
    'as base64',
    answer(vector(0, base64Of([0.5, -2])), vector(1, base64Of([1, 0]))),
    [
      [0.5, -2],
      [1, 0],
    ],
  ],
])('vectors are read %s', ([, body, vectors]) => {
  expect(read(body)).toMatchObject({
    kind: 'answer',
    answer: { vectors, model: 'text-embedding-3-small', usage: { inputTokens: 4, outputTokens: 0 } },
  });
});

test('base64 that we write is base64 that we read', () => {
  const vectors = [[0.25, -1.5, 3]];
  const list = toEmbeddingList(
    { vectors, model: null, providerId: null, usage: null, warnings: [] },
    { model: 'm', format: 'base64' },
  );
  expect(read(list, { input: 'a' })).toMatchObject({ answer: { vectors, usage: null } });
});

test.for<[string, unknown, FailureKind]>([
  ['too few', answer(vector(0, [1])), 'bad_output'],
  ['too many', answer(vector(0, [1]), vector(1, [1]), vector(2, [1])), 'bad_output'],
  ['one twice', answer(vector(0, [1]), vector(0, [2])), 'bad_output'],
  ['an index beyond the inputs', answer(vector(0, [1]), vector(5, [2])), 'bad_output'],
  ['an index that is no number', answer(vector(0, [1]), { index: 'b', embedding: [2] }), 'bad_output'],
  ['a vector without numbers', answer(vector(0, [1]), vector(1, ['x'])), 'bad_output'],
  ['an empty vector', answer(vector(0, []), vector(1, [])), 'bad_output'],
  ['no vector', answer(vector(0, [1]), vector(1, null)), 'bad_output'],
  ['vectors of two lengths', answer(vector(0, [1]), vector(1, [1, 2])), 'bad_output'],
  ['base64 of no whole floats', answer(vector(0, 'QUI='), vector(1, 'QUI=')), 'bad_output'],
  ['base64 of no numbers', answer(vector(0, base64Of([Number.NaN])), vector(1, base64Of([1]))), 'bad_output'],
  ['nothing', {}, 'bad_output'],
  ['null', null, 'bad_output'],
  ['an error', { error: { code: 429, message: 'slow down' } }, 'rate_limit'],
])('an answer of %s is a failure', ([, body, kind]) => {
  expect(read(body)).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

test('vectors of another length than was asked for are of no use, and still billed', () => {
  expect(read(answer(vector(0, [1, 2])), { input: 'a', dimensions: 3 })).toMatchObject({
    kind: 'failure',
    failure: { kind: 'unsupported_feature' },
    partial: { usage: { inputTokens: 4 } },
  });
  expect(read(answer(vector(0, [1, 2])), { input: 'a', dimensions: 2 }).kind).toBe('answer');
});

test.for([
  [{ total_tokens: 4 }, 4],
  [{ prompt_tokens: 'x' }, null],
  [undefined, null],
] as const)('usage of %j is %s tokens', ([usage, expected]) => {
  const result = read({ ...answer(vector(0, [1])), usage }, { input: 'a' });
  if (result.kind !== 'answer') throw new Error(result.failure.message);
  expect(result.answer.usage?.inputTokens ?? null).toBe(expected);
});

test('an answer that came in pieces is read at its end', () => {
  const reader = write({ input: 'a' }).reader.createStreamReader(() => undefined);
  for (const piece of JSON.stringify(answer(vector(0, [1]))).match(/.{1,7}/g) ?? []) reader.push(piece);
  expect(reader.partial().vectors).toEqual([]);
  expect(reader.end()).toMatchObject({ kind: 'answer', answer: { vectors: [[1]] } });
});

test('at most 2,048 inputs go in one request', () => {
  expect(openaiEmbeddings.maxInputs).toBe(2_048);
});
