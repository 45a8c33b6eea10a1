import { expect, test } from 'vitest';
import type { FailureKind } from '../../domain/failure.ts';
import { consistentUsage } from '../../domain/usage.ts';
import { embeddingsRequestSchema } from '../../embeddings/request.ts';
import { callInput } from '../fixture-call.ts';
import { cohereEmbeddings } from './embeddings.ts';

function write(change: object = {}) {
  const request = embeddingsRequestSchema.parse({ model: 'm', input: ['a', 'b'], ...change });
  const written = cohereEmbeddings.write({ ...callInput({}, { endpoint: 'https://api.cohere.com' }), request });
  if (written.kind !== 'request') throw new Error(`unsupported: ${written.feature}`);
  return { ...written.http, body: JSON.parse(written.http.body) as object, reader: written.reader };
}
const plain = {
  model: 'm',
  texts: ['a', 'b'],
  input_type: 'search_document',
  embedding_types: ['float'],
  truncate: 'NONE',
};

test('a list of texts is embedded, none of them cut', () => {
  expect(cohereEmbeddings.maxInputs).toBe(96);
  const { url, headers, body, warnings } = write();
  expect({ url, headers, body, warnings }).toEqual({
    url: 'https://api.cohere.com/v2/embed',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test-1' },
    body: plain,
    warnings: [],
  });
});

test.for<[string, object, object, number]>([
  ['one text', { input: 'a' }, { texts: ['a'] }, 0],
  ['shorter vectors', { dimensions: 256 }, { output_dimension: 256 }, 0],
  ['base64, which is made here', { encoding_format: 'base64' }, {}, 0],
  ['a query', { input_type: 'search_query' }, { input_type: 'search_query' }, 0],
  ['a document', { input_type: 'search_document' }, {}, 0],
  ['classification', { input_type: 'classification' }, { input_type: 'classification' }, 0],
  ['clustering', { input_type: 'clustering' }, { input_type: 'clustering' }, 0],
  ['similarity, as the nearest', { input_type: 'similarity' }, { input_type: 'clustering' }, 1],
  ['a user, of whom it is not told', { user: 'u' }, {}, 1],
])('written: %s', ([, change, expected, warnings]) => {
  const written = write(change);
  expect(written.body).toEqual({ ...plain, ...expected });
  expect(written.warnings).toHaveLength(warnings);
});

const whole = {
  id: 'e1',
  embeddings: {
    float: [
      [0.1, -0.2],
      [1, 0],
    ],
  },
  texts: ['a', 'b'],
  meta: { api_version: { version: '2' }, billed_units: { input_tokens: 7 } },
};
const answer = {
  vectors: whole.embeddings.float,
  model: null,
  providerId: 'e1',
  usage: consistentUsage({ inputTokens: 7, outputTokens: 0 }),
  warnings: [],
};

test('vectors are read in the order of the inputs, with what is billed', () => {
  expect(write().reader.readAnswer(whole)).toEqual({ kind: 'answer', answer });
  expect(write().reader.readAnswer({ ...whole, meta: undefined })).toEqual({
    kind: 'answer',
    answer: { ...answer, usage: null },
  });
});

test.for<[string, object, FailureKind]>([
  ['a vector too few', { embeddings: { float: [[1]] } }, 'bad_output'],
  ['an empty vector', { embeddings: { float: [[1], []] } }, 'bad_output'],
  ['a vector of something else', { embeddings: { float: [[1], ['x']] } }, 'bad_output'],
  ['no vectors', { embeddings: null }, 'bad_output'],
  ['an error', { message: 'too many tokens: shorten your text' }, 'context_length'],
])('%s is a failure', ([, change, kind]) => {
  expect(write().reader.readAnswer({ ...whole, ...change })).toMatchObject({
    kind: 'failure',
    failure: { kind, httpStatus: 200 },
  });
});

test('an answer that is no object is a failure', () => {
  expect(write().reader.readAnswer(null)).toMatchObject({ kind: 'failure', failure: { kind: 'bad_output' } });
});

test('an answer that comes in pieces is read as one', () => {
  const reader = write().reader.createStreamReader(() => undefined);
  const body = JSON.stringify(whole);
  reader.push(body.slice(0, 30));
  expect(reader.partial().vectors).toEqual([]);
  reader.push(body.slice(30));
  expect(reader.end()).toEqual({ kind: 'answer', answer });
});
