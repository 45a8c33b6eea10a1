import { expect, test } from 'vitest';
import { embeddingsRequestSchema } from '../../embeddings/request.ts';
import { callInput } from '../fixture-call.ts';
import { geminiEmbeddings } from './embeddings.ts';

function write(change: object = {}) {
  const request = embeddingsRequestSchema.parse({ model: 'm', input: ['a', 'b'], ...change });
  const written = geminiEmbeddings.write({ ...callInput({}, { model: 'gemini-embedding-001' }), request });
  if (written.kind !== 'request') throw new Error(written.feature);
  return written;
}
const bodyOf = (change: object) => JSON.parse(write(change).http.body);
const model = 'models/gemini-embedding-001';
const content = (text: string) => ({ model, content: { parts: [{ text }] } });

test('each text is a request of its own, all in one call', () => {
  const { http } = write();
  expect(http).toEqual({
    url: `https://api.test/v1/${model}:batchEmbedContents`,
    headers: { 'content-type': 'application/json', 'x-goog-api-key': 'sk-test-1' },
    body: JSON.stringify({ requests: [content('a'), content('b')] }),
    warnings: [],
  });
  expect(geminiEmbeddings.maxInputs).toBe(100);
});

test.for<[string, object, object]>([
  ['dimensions', { dimensions: 256 }, { outputDimensionality: 256 }],
  ['a query', { input_type: 'search_query' }, { taskType: 'RETRIEVAL_QUERY' }],
  ['a document', { input_type: 'search_document' }, { taskType: 'RETRIEVAL_DOCUMENT' }],
  ['classification', { input_type: 'classification' }, { taskType: 'CLASSIFICATION' }],
  ['clustering', { input_type: 'clustering' }, { taskType: 'CLUSTERING' }],
  ['similarity', { input_type: 'similarity' }, { taskType: 'SEMANTIC_SIMILARITY' }],
])('a request holds %s', ([, change, expected]) => {
  expect(bodyOf({ input: 'a', ...change })).toEqual({ requests: [{ ...content('a'), ...expected }] });
});

test('the user is dropped, and told', () => {
  expect(write({ user: 'u1' }).http.warnings).toEqual(['dropped "user": Gemini has no equivalent']);
});

const vectors = [
  [0.1, -0.2],
  [3, 4e-7],
];
const answer = { embeddings: vectors.map((values) => ({ values })) };
const noUsage = ['Gemini did not say how many tokens the texts had'];

test.for<[string, object, object]>([
  ['unknown usage is unknown', {}, { usage: null, warnings: noUsage }],
  [
    'usage of the prompt',
    { usageMetadata: { promptTokenCount: 7 } },
    { usage: { inputTokens: 7, outputTokens: 0 }, warnings: [] },
  ],
  ['usage in total', { usageMetadata: { totalTokenCount: 8 } }, { usage: { inputTokens: 8 }, warnings: [] }],
])('vectors come in the order of the texts: %s', ([, more, expected]) => {
  expect(write().reader.readAnswer({ ...answer, ...more })).toMatchObject({
    kind: 'answer',
    answer: { vectors, ...expected },
  });
});

test.for<[string, unknown, string]>([
  ['one vector too few', { embeddings: answer.embeddings.slice(1) }, 'bad_output'],
  ['one vector too many', { embeddings: [...answer.embeddings, ...answer.embeddings] }, 'bad_output'],
  ['an empty vector', { embeddings: [{ values: [] }, { values: [1] }] }, 'bad_output'],
  ['a vector of texts', { embeddings: [{ values: ['1'] }, { values: [1] }] }, 'bad_output'],
  ['another shape', 'no', 'bad_output'],
  ['an error', { error: { code: 429, status: 'RESOURCE_EXHAUSTED' } }, 'rate_limit'],
  ['an error in a list', [{ error: { code: 404, status: 'NOT_FOUND' } }], 'model_not_found'],
])('%s is a failure', ([, body, kind]) => {
  expect(write().reader.readAnswer(body)).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

test('an answer that comes in pieces is read when it is whole', () => {
  const stream = write().reader.createStreamReader(() => undefined);
  const text = JSON.stringify(answer);
  stream.push(text.slice(0, 20));
  stream.push(text.slice(20));
  expect(stream.partial().usage).toBeNull();
  expect(stream.end()).toMatchObject({ kind: 'answer', answer: { vectors } });
});
