import { describe, expect, test } from 'vitest';
import { consistentUsage } from '../domain/usage.ts';
import { type EmbeddingsAnswer, emptyEmbeddings, toEmbeddingList } from './response.ts';

const answer: EmbeddingsAnswer = {
  ...emptyEmbeddings,
  vectors: [
    [0.1, -1, 0],
    [1.5, 2.25, -3e-8],
  ],
  usage: consistentUsage({ inputTokens: 7, outputTokens: 0 }),
};
const asFloat = { model: 'text-embedding-3-small', format: 'float' } as const;

test('an answer is a list of embeddings in the order of the inputs', () => {
  expect(toEmbeddingList(answer, asFloat)).toEqual({
    object: 'list',
    model: 'text-embedding-3-small',
    data: [
      { object: 'embedding', index: 0, embedding: [0.1, -1, 0] },
      { object: 'embedding', index: 1, embedding: [1.5, 2.25, -3e-8] },
    ],
    usage: { prompt_tokens: 7, total_tokens: 7 },
  });
});

test.for<[string, Partial<EmbeddingsAnswer>, object]>([
  [
    'names the model the provider served',
    { model: 'text-embedding-3-small-v2' },
    { model: 'text-embedding-3-small-v2' },
  ],
  ['has no usage where none was told: unknown is not zero', { usage: null }, { usage: null }],
  ['of no vectors is an empty list', { vectors: [] }, { data: [] }],
])('it %s', ([, change, expected]) => {
  expect(toEmbeddingList({ ...answer, ...change }, asFloat)).toMatchObject(expected);
});

describe('as base64', () => {
  const encode = (vectors: number[][]) => {
    const { data } = toEmbeddingList({ ...answer, vectors }, { ...asFloat, format: 'base64' });
    return data.map(({ embedding }) => embedding as string);
  };

  test.for<[string, number[], string]>([
    ['one', [1], '0000803f'],
    ['minus two', [-2], '000000c0'],
    ['several, one after the other', [1, 0, -2], '0000803f00000000000000c0'],
    ['none', [], ''],
  ])('%s: 32-bit floats, the lowest byte first', ([, vector, hex]) => {
    expect(encode([vector])).toEqual([Buffer.from(hex, 'hex').toString('base64')]);
  });

  test('a vector is read again as OpenAI’s clients do it, to the nearest 32-bit float', () => {
    const vector = Array.from({ length: 1_536 }, (_, n) => Math.sin(n) / 40);
    const [text = ''] = encode([vector]);
    const bytes = new Uint8Array(Buffer.from(text, 'base64'));
    expect([...new Float32Array(bytes.buffer)]).toEqual(vector.map(Math.fround));
  });

  test('each vector is encoded for itself', () => {
    expect(encode([[1], [-2]])).toEqual(['AACAPw==', 'AAAAwA==']);
  });
});
