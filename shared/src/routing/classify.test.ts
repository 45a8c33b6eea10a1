import { describe, expect, test } from 'vitest';
import { chatRequestSchema } from '../chat/request.ts';
import type { Classifier } from '../config/settings.ts';
import { embeddingsRequestSchema } from '../embeddings/request.ts';
import { chainOfClass, classOf } from './classify.ts';
import { type JobBody, requestNeeds } from './request-needs.ts';

const all: Classifier = {
  ...{ vision: 'seeing', tools: 'acting', short: 'small', long: 'large', otherwise: 'default' },
  longFrom: 100,
};
const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };
const tool = { type: 'function', function: { name: 'f' } };

const chat = (words: number, more: { tools?: unknown; tool_choice?: unknown; image?: true } = {}): JobBody => {
  const { image: hasImage, ...rest } = more;
  const text = 'word '.repeat(words).trim() || '?';
  const content = hasImage ? [{ type: 'text', text }, image] : text;
  const request = chatRequestSchema.parse({ model: 'auto', messages: [{ role: 'user', content }], ...rest });
  return { endpoint: '/v1/chat/completions', request };
};
const embeddings = (words: number): JobBody => ({
  endpoint: '/v1/embeddings',
  request: embeddingsRequestSchema.parse({ model: 'auto', input: 'word '.repeat(words).trim() }),
});

describe('a request of the class', () => {
  test.for<[string, JobBody, string, string, Partial<Classifier>]>([
    ['vision has an image', chat(1, { image: true }), 'vision', 'seeing', {}],
    ['vision goes before tools', chat(1, { image: true, tools: [tool] }), 'vision', 'seeing', {}],
    ['tools has tools', chat(200, { tools: [tool] }), 'tools', 'acting', {}],
    [
      'otherwise has tools it may not call',
      chat(50, { tools: [tool], tool_choice: 'none' }),
      'otherwise',
      'default',
      {},
    ],
    [
      'tools takes an image where vision names no chain',
      chat(1, { image: true, tools: [tool] }),
      'tools',
      'acting',
      { vision: null },
    ],
    ['long takes tools where they name no chain', chat(200, { tools: [tool] }), 'long', 'large', { tools: null }],
    // Four tokens are around a message.
    ['long has as many tokens as it says', chat(96), 'long', 'large', {}],
    ['otherwise has fewer', chat(95), 'otherwise', 'default', {}],
    ['short has fewer than a tenth', chat(5), 'short', 'small', {}],
    ['otherwise has a tenth', chat(6), 'otherwise', 'default', {}],
    ['otherwise is what is long where that names no chain', chat(96), 'otherwise', 'default', { long: null }],
    ['otherwise is what is short where that names no chain', chat(5), 'otherwise', 'default', { short: null }],
    ['short holds embeddings', embeddings(9), 'short', 'small', {}],
    ['long holds embeddings', embeddings(100), 'long', 'large', {}],
    ['otherwise holds embeddings', embeddings(10), 'otherwise', 'default', {}],
  ])('%s', ([, body, expected, chain, change]) => {
    const classifier = { ...all, ...change };
    const needs = requestNeeds(body);
    expect(classOf(classifier, body, needs)).toBe(expected);
    expect(chainOfClass(classifier, body, needs)).toBe(chain);
  });

  test('embeddings is not there: size alone decides, whatever else is said of them', () => {
    expect(classOf(all, embeddings(1), { inputTokens: 50, capabilities: ['vision', 'tools'] })).toBe('otherwise');
  });
});
