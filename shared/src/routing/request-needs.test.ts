import { expect, test } from 'vitest';
import { chatRequestSchema } from '../chat/request.ts';
import { embeddingsRequestSchema } from '../embeddings/request.ts';
import { requestNeeds, storedBody } from './request-needs.ts';

const chat = (change: object = {}) =>
  chatRequestSchema.parse({ model: 'default', messages: [{ role: 'user', content: 'hello' }], ...change });

test.for<[string, object, object]>([
  ['its input, when it names no bound', {}, { estimatedTokens: 5, windowTokens: 5 }],
  ['its input and its bound', { max_tokens: 100 }, { estimatedTokens: 105, windowTokens: 105 }],
  ['the longer name of the bound first', { max_tokens: 100, max_completion_tokens: 7 }, { windowTokens: 12 }],
  ['what a model must be able to do', { n: 2, logprobs: true }, { capabilities: ['logprobs', 'multiple_choices'] }],
])('a chat request needs %s', ([, change, expected]) => {
  expect(requestNeeds({ endpoint: '/v1/chat/completions', request: chat(change) })).toMatchObject(expected);
});

test('a request for embeddings needs no window for all of its inputs at once', () => {
  const request = embeddingsRequestSchema.parse({ model: 'default', input: ['hello', 'hello hello'] });
  expect(requestNeeds({ endpoint: '/v1/embeddings', request })).toEqual({
    capabilities: ['embeddings'],
    estimatedTokens: 3,
    windowTokens: 0,
  });
});

test.for(['/v1/chat/completions', '/v1/embeddings'] as const)(
  'a stored job of %s is read as it was written',
  (endpoint) => {
    const request = { model: 'default', input: 'hello' };
    expect(storedBody(endpoint, JSON.stringify(request))).toEqual({ endpoint, request });
  },
);
