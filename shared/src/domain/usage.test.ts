import { describe, expect, test } from 'vitest';
import { toUsageJson, usageSchema } from './usage.ts';

const usage = {
  inputTokens: 10,
  outputTokens: 5,
  cacheReadTokens: 3,
  cacheWriteTokens: 2,
  cacheWrite1hTokens: 1,
  reasoningTokens: 4,
};

test('usage is shown in the names of the Chat Completions API, and totals are not counted twice', () => {
  expect(toUsageJson(usage)).toEqual({
    prompt_tokens: 10,
    completion_tokens: 5,
    total_tokens: 15,
    prompt_tokens_details: { cached_tokens: 3, cache_write_tokens: 2 },
    completion_tokens_details: { reasoning_tokens: 4 },
  });
});

describe('usageSchema', () => {
  test('takes parts that are not given for none', () => {
    expect(usageSchema.parse({ inputTokens: 10, outputTokens: 5 })).toEqual({
      ...{ inputTokens: 10, outputTokens: 5 },
      ...{ cacheReadTokens: 0, cacheWriteTokens: 0, cacheWrite1hTokens: 0, reasoningTokens: 0 },
    });
  });

  test.for([
    ['a negative count', { inputTokens: -1 }],
    ['a fraction', { outputTokens: 1.5 }],
    ['a text', { reasoningTokens: '4' }],
    ['a total that is missing', { inputTokens: undefined }],
  ] as const)('refuses %s', ([, change]) => {
    expect(usageSchema.safeParse({ ...usage, ...change }).success).toBe(false);
  });
});
