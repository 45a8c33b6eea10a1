import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chatRequestSchema } from '../chat/request.ts';
import { assumedOutputTokens } from '../chat/tokens.ts';
import { embeddingsRequestSchema } from '../embeddings/request.ts';
import { requestNeeds, storedBody } from './request-needs.ts';

const chat = (change: object = {}) =>
  chatRequestSchema.parse({ model: 'default', messages: [{ role: 'user', content: 'hello' }], ...change });
const chatNeeds = (change: object = {}) => requestNeeds({ endpoint: '/v1/chat/completions', request: chat(change) });
const saying = (content: unknown) => chatNeeds({ messages: [{ role: 'user', content }] });

test('an answer without a bound is taken to have 1,000 tokens', () => {
  expect(assumedOutputTokens).toBe(1_000);
});

test.for<[string, object, object]>([
  [
    'its input and what is assumed of its output, when it names no bound',
    {},
    { inputTokens: 5, outputTokens: 1_000, outputBound: null, estimatedTokens: 1_005, windowTokens: 5 },
  ],
  [
    'its input and its bound',
    { max_tokens: 100 },
    { inputTokens: 5, outputTokens: 100, outputBound: 100, estimatedTokens: 105, windowTokens: 105 },
  ],
  ['the longer name of the bound first', { max_tokens: 100, max_completion_tokens: 7 }, { outputBound: 7 }],
  [
    'the bound for each choice, and a window for one',
    { max_tokens: 100, n: 3 },
    { outputTokens: 300, outputBound: 300, estimatedTokens: 305, windowTokens: 105 },
  ],
  ['what is assumed for each choice', { n: 2 }, { outputTokens: 2_000, outputBound: null, windowTokens: 5 }],
  ['what a model must be able to do', { n: 2, logprobs: true }, { capabilities: ['logprobs', 'multiple_choices'] }],
])('a chat request needs %s', ([, change, expected]) => {
  expect(chatNeeds(change)).toMatchObject(expected);
});

test('a request for embeddings has no output, and needs no window for all of its inputs at once', () => {
  const request = embeddingsRequestSchema.parse({ model: 'default', input: ['hello', 'hello hello'] });
  expect(requestNeeds({ endpoint: '/v1/embeddings', request })).toEqual({
    capabilities: ['embeddings'],
    inputTokens: 3,
    outputTokens: 0,
    outputBound: 0,
    inputBound: 5 + 11 + 2 * 16,
    estimatedTokens: 3,
    windowTokens: 0,
  });
});

/** What a content adds to the bound, beyond that of one character. */
const addedBy = (content: unknown): number => saying(content).inputBound - saying('x').inputBound + 1;

describe('the bound of the input', () => {
  test.for<[string, unknown, number]>([
    ['a token for each byte', 'x'.repeat(1_000), 1_000],
    ['bytes, not characters', '漢字🙂', 10],
    [
      'a little around each part',
      [
        { type: 'text', text: 'ab' },
        { type: 'text', text: 'c' },
      ],
      2 * 16 + 3,
    ],
    ['a lot for an image', [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }], 16 + 50_000],
    [
      'less for one that is looked at from afar',
      [{ type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } }],
      16 + 5_000,
    ],
    [
      'a token for ten bytes of sound',
      [{ type: 'input_audio', input_audio: { data: 'A'.repeat(4_000), format: 'mp3' } }],
      16 + 1_000 + 300,
    ],
  ])('has %s', ([, content, expected]) => {
    expect(addedBy(content)).toBe(expected);
  });

  test('has a token for each byte of a file, and some for how it looks', () => {
    const small = { type: 'file', file: { file_data: `data:application/pdf;base64,${'A'.repeat(400)}` } };
    const large = { type: 'file', file: { file_data: `data:application/pdf;base64,${'A'.repeat(4_400)}` } };
    expect(addedBy([large]) - addedBy([small])).toBe(3_000);
    expect(addedBy([small])).toBeGreaterThan(10_000);
  });

  test.for<[string, object, number]>([
    [
      'tools, and how they are explained',
      { tools: [{ type: 'function', function: { name: 'f', description: 'd'.repeat(300) } }] },
      1_000 + 2 * 300,
    ],
    ['no explanation where there is no tool', { tools: [] }, 0],
    [
      'a schema',
      { response_format: { type: 'json_schema', json_schema: { name: 's', schema: { a: 'x'.repeat(300) } } } },
      1_600,
    ],
    ['the explanation of JSON', { response_format: { type: 'json_object' } }, 1_000],
    ['no explanation of text', { response_format: { type: 'text' } }, 0],
  ])('holds %s', ([, change, least]) => {
    const added = chatNeeds(change).inputBound - chatNeeds().inputBound;
    expect(added).toBeGreaterThanOrEqual(least);
    expect(added).toBeLessThanOrEqual(least === 0 ? 0 : least + 300);
  });

  test.for<[string, object, number]>([
    [
      'calls of tools',
      { tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: 'a'.repeat(500) } }] },
      500,
    ],
    ['reasoning', { content: 'x', reasoning_content: 'r'.repeat(500) }, 500],
    ['a part that refused', { content: [{ type: 'refusal', refusal: 'n'.repeat(500) }] }, 516],
    ['a name', { content: 'x', name: 'n'.repeat(60) }, 60],
  ])('holds what an earlier answer had: %s', ([, answer, least]) => {
    const before = [{ role: 'user', content: 'hello' }];
    const messages = [...before, { role: 'assistant', ...answer }];
    const added = chatNeeds({ messages }).inputBound - chatNeeds({ messages: before }).inputBound;
    expect(added).toBeGreaterThanOrEqual(least + 16);
  });

  test('is never below the estimate', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1 }), (texts) => {
        const messages = texts.map((text) => ({ role: 'user', content: `${text}.` }));
        const needs = chatNeeds({ messages });
        expect(needs.inputBound).toBeGreaterThanOrEqual(needs.inputTokens);
      }),
    );
  });
});

test.for(['/v1/chat/completions', '/v1/embeddings'] as const)(
  'a stored job of %s is read as it was written',
  (endpoint) => {
    const request = { model: 'default', input: 'hello' };
    expect(storedBody(endpoint, JSON.stringify(request))).toEqual({ endpoint, request });
  },
);
