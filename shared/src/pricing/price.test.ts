import { describe, expect, test } from 'vitest';
import { priceByConfiguration, priceByTable } from './price.ts';

const at = new Date('2026-11-21T00:00:00Z');
const usage = {
  inputTokens: 1_000,
  outputTokens: 500,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
};
/** $0.40 and $1.60 per million tokens. */
const price = { inputPerMillion: 400_000_000n, outputPerMillion: 1_600_000_000n };

describe('a configured price', () => {
  test.for([
    ['charges input and output', {}, {}, 1_200_000n],
    ['charges nothing for nothing', { inputTokens: 0, outputTokens: 0 }, {}, 0n],
    ['may be zero', {}, { inputPerMillion: 0n, outputPerMillion: 0n }, 0n],
    ['rounds half a nano-dollar up', { inputTokens: 1, outputTokens: 0 }, { inputPerMillion: 500_000n }, 1n],
    ['rounds less than half down', { inputTokens: 1, outputTokens: 0 }, { inputPerMillion: 499_999n }, 0n],
    [
      'rounds once, not each part',
      { inputTokens: 1, outputTokens: 1 },
      { inputPerMillion: 300_000n, outputPerMillion: 300_000n },
      1n,
    ],
    [
      'stays exact beyond what a double holds',
      { inputTokens: 9_007_199_254_740_991, outputTokens: 0 },
      { inputPerMillion: 1_000_000n },
      9_007_199_254_740_991n,
    ],
  ] as const)('%s', ([, tokens, change, expected]) => {
    expect(priceByConfiguration({ ...usage, ...tokens }, { ...price, ...change }, 'v7').nano).toBe(expected);
  });

  test('keeps the numbers it used, and the version of the configuration they came from', () => {
    const { source, version, snapshot } = priceByConfiguration(usage, price, 'v7');
    expect({ source, version }).toEqual({ source: 'configuration', version: 'v7' });
    expect(JSON.parse(snapshot)).toEqual({
      input_nano_per_million: '400000000',
      output_nano_per_million: '1600000000',
    });
  });
});

describe('the price table', () => {
  const haiku = ['anthropic', 'claude-haiku-4-5'] as const;
  test.for([
    ['prices a model of OpenAI', {}, ['openai', 'gpt-4.1-mini'], 1_200_000n],
    ['prices a model of Anthropic', {}, haiku, 3_500_000n],
    ['prices a dated model by its family', {}, ['openai', 'gpt-4.1-mini-2025-04-14'], 1_200_000n],
    ['charges less for cached input', { cacheReadTokens: 400 }, ['openai', 'gpt-4.1-mini'], 1_080_000n],
    ['charges more for writing a cache', { cacheWriteTokens: 400 }, haiku, 3_600_000n],
    [
      'charges most for a cache kept for an hour',
      { cacheWriteTokens: 400, cacheWrite1hTokens: 400 },
      haiku,
      3_900_000n,
    ],
  ] as const)('%s', ([, tokens, [provider, model], expected]) => {
    expect(priceByTable({ ...usage, ...tokens }, provider, model, at)?.nano).toBe(expected);
  });

  test.for([
    ['model', 'openai', 'no-such-model'],
    ['provider', 'no-such-provider', 'gpt-4.1-mini'],
  ] as const)('knows nothing of an unknown %s, and does not call that zero', ([, provider, model]) => {
    expect(priceByTable(usage, provider, model, at)).toBeNull();
  });

  test('keeps the numbers it used', () => {
    const priced = priceByTable(usage, 'openai', 'gpt-4.1-mini', at);
    expect(priced?.source).toBe('genai-prices');
    expect(JSON.parse(priced?.snapshot ?? '')).toMatchObject({
      provider: 'openai',
      model: 'gpt-4.1-mini',
      prices: { input_mtok: 0.4, output_mtok: 1.6 },
    });
  });
});
