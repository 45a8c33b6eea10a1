import { describe, expect, test } from 'vitest';
import { faultsOf } from '../domain/strict-object.ts';
import { embeddingPurposes, embeddingsRequestSchema, estimateEmbeddingTokens, inputsOf } from './request.ts';

function faultsIn(body: unknown) {
  const parsed = embeddingsRequestSchema.safeParse(body);
  return parsed.success ? [] : faultsOf(parsed.error).map(({ path, code, message }) => ({ path, code, message }));
}
const base = { model: 'default', input: 'hello' };

describe('a request for embeddings', () => {
  test.for<[string, object]>([
    ['one text', {}],
    ['a list of texts', { input: ['a', 'b'] }],
    ['as many texts as a job may hold', { input: Array(10_000).fill('a') }],
    ['all parameters', { dimensions: 256, encoding_format: 'base64', user: 'u1', input_type: 'search_query' }],
    ['parameters that are null', { dimensions: null, encoding_format: null, user: null, input_type: null }],
    ['a neutral service tier', { service_tier: 'auto' }],
    ...embeddingPurposes.map((purpose): [string, object] => [`the purpose ${purpose}`, { input_type: purpose }]),
  ])('takes %s, and keeps it', ([, change]) => {
    const { service_tier: _tier, ...expected } = { ...base, service_tier: null, ...change };
    expect(embeddingsRequestSchema.parse({ ...base, ...change })).toMatchObject(expected);
  });

  test.for<[string, object, string, RegExp]>([
    ['no input', { input: undefined }, 'input', /expected a text/],
    ['an empty text', { input: '' }, 'input', /./],
    ['an empty list', { input: [] }, 'input', /./],
    ['an empty text in a list', { input: ['a', ''] }, 'input', /./],
    ['too many texts', { input: Array(10_001).fill('a') }, 'input', /./],
    ['token ids', { input: [1, 2, 3] }, 'input', /token ids are not supported yet/],
    ['lists of token ids', { input: [[1, 2]] }, 'input', /token ids are not supported yet/],
    ['no dimensions at all', { dimensions: 0 }, 'dimensions', />=1/],
    ['half a dimension', { dimensions: 1.5 }, 'dimensions', /int/],
    ['another encoding', { encoding_format: 'binary' }, 'encoding_format', /float/],
    ['another purpose', { input_type: 'fun' }, 'input_type', /search_query/],
    ['a service tier', { service_tier: 'flex' }, 'service_tier', /not supported yet/],
    ['a misspelt field', { dimension: 5 }, '', /did you mean "dimensions"/],
    ['messages', { messages: [] }, '', /unknown field "messages"/],
  ])('refuses %s', ([, change, path, message]) => {
    const faults = faultsIn({ ...base, ...change });
    expect(faults).toHaveLength(1);
    expect(faults[0]?.path.startsWith(path)).toBe(true);
    expect(faults[0]?.message).toMatch(message);
  });
});

test.for([
  ['hello', ['hello']],
  [
    ['a', 'b'],
    ['a', 'b'],
  ],
] as const)('the inputs of %j are %j', ([input, expected]) => {
  expect(inputsOf(embeddingsRequestSchema.parse({ ...base, input }))).toEqual(expected);
});

test('its tokens are those of all inputs together', () => {
  const tokensOf = (input: unknown) => estimateEmbeddingTokens(embeddingsRequestSchema.parse({ ...base, input }));
  expect(tokensOf('hello')).toBe(1);
  expect(tokensOf(['hello', 'hello hello', '123456'])).toBe(1 + 2 + 2);
});
