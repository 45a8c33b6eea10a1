import { describe, expect, test } from 'vitest';
import { priceByConfiguration } from './price.ts';

const usage = {
  inputTokens: 1_000,
  outputTokens: 500,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
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
