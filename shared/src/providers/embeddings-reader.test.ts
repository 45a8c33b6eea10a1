import { expect, test } from 'vitest';
import type { FailureKind } from '../domain/failure.ts';
import { embeddingsRequestSchema } from '../embeddings/request.ts';
import { emptyEmbeddings } from '../embeddings/response.ts';
import { failure } from './dialect.ts';
import { embeddingsReader, type SaidVectors } from './embeddings-reader.ts';

const usage = { inputTokens: 9 } as never;
const said = (vectors: readonly unknown[]): SaidVectors => ({ kind: 'vectors', vectors, said: { usage } });
const readerOf = (change: object = {}, say: (body: unknown) => SaidVectors = (body) => said(body as unknown[])) =>
  embeddingsReader(embeddingsRequestSchema.parse({ model: 'm', input: ['a', 'b'], ...change }), say);
const vectors = [
  [1, 2],
  [3, 4],
];
const answer = { ...emptyEmbeddings, usage, vectors };

test.for<[string, object]>([
  ['one for each input', {}],
  ['of the length that was asked for', { dimensions: 2 }],
])('vectors are an answer: %s', ([, change]) => {
  expect(readerOf(change).readAnswer(vectors)).toEqual({ kind: 'answer', answer });
});

test.for<[string, unknown[], FailureKind, object]>([
  ['one too few', [[1, 2]], 'bad_output', {}],
  ['one too many', [...vectors, [5, 6]], 'bad_output', {}],
  ['none', [], 'bad_output', {}],
  ['an empty one', [[1, 2], []], 'bad_output', {}],
  [
    'one of something else',
    [
      [1, 2],
      [3, 'x'],
    ],
    'bad_output',
    {},
  ],
  ['one that is no list', [[1, 2], null], 'bad_output', {}],
  ['two of different lengths', [[1, 2], [3]], 'bad_output', {}],
  ['another length than was asked for', vectors, 'unsupported_feature', { dimensions: 3 }],
])('vectors that are not what was asked for are a failure, and their usage is known: %s', ([, body, kind, change]) => {
  expect(readerOf(change).readAnswer(body)).toMatchObject({
    kind: 'failure',
    failure: { kind, httpStatus: 200 },
    partial: { vectors: [], usage },
  });
});

test('a failure that the body tells is that failure', () => {
  const found: SaidVectors = { kind: 'failure', failure: failure('rate_limit', 'HTTP 429') };
  expect(readerOf({}, () => found).readAnswer({})).toEqual(found);
});

test('a document that comes in pieces is read at its end', () => {
  const stream = readerOf().createStreamReader(() => undefined);
  const body = JSON.stringify(vectors);
  stream.push(body.slice(0, 7));
  expect(stream.partial()).toEqual(emptyEmbeddings);
  stream.push(body.slice(7));
  expect(stream.end()).toEqual({ kind: 'answer', answer });
});
