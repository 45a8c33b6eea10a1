import { describe, expect, test } from 'vitest';
import { addUsage, consistentUsage, type ReportedUsage, toUsageJson, type Usage, usageSchema } from './usage.ts';

const usage = {
  inputTokens: 10,
  outputTokens: 5,
  cacheReadTokens: 3,
  cacheWriteTokens: 2,
  cacheWrite1hTokens: 1,
  reasoningTokens: 4,
  audioInputTokens: 0,
  audioOutputTokens: 0,
};

test('usage is shown in the names of the Chat Completions API, and totals are not counted twice', () => {
  expect(toUsageJson({ ...usage, audioInputTokens: 2, audioOutputTokens: 1 })).toEqual({
    prompt_tokens: 10,
    completion_tokens: 5,
    total_tokens: 15,
    prompt_tokens_details: { cached_tokens: 3, cache_write_tokens: 2, audio_tokens: 2 },
    completion_tokens_details: { reasoning_tokens: 4, audio_tokens: 1 },
  });
});

describe('usageSchema', () => {
  test('takes parts that are not given for none', () => {
    expect(usageSchema.parse({ inputTokens: 10, outputTokens: 5 })).toEqual({
      ...{ inputTokens: 10, outputTokens: 5 },
      ...{
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
        cacheWrite1hTokens: 0,
        reasoningTokens: 0,
        audioInputTokens: 0,
        audioOutputTokens: 0,
      },
    });
  });

  test.for([
    ['a negative count', { inputTokens: -1 }],
    ['a fraction', { outputTokens: 1.5 }],
    ['a text', { reasoningTokens: '4' }],
    ['a part of audio that is no count', { audioInputTokens: Number.NaN }],
    ['a total that is missing', { inputTokens: undefined }],
  ] as const)('refuses %s', ([, change]) => {
    expect(usageSchema.safeParse({ ...usage, ...change }).success).toBe(false);
  });
});

describe('consistentUsage', () => {
  const reported: ReportedUsage = { inputTokens: 100, outputTokens: 20 };
  test.for<[string, Partial<Usage>, Partial<Usage>]>([
    ['leaves what fits', { audioInputTokens: 60, audioOutputTokens: 20 }, {}],
    ['holds sound within the output', { audioOutputTokens: 21 }, { audioOutputTokens: 20 }],
    ['holds sound within the input', { audioInputTokens: 101 }, { audioInputTokens: 100 }],
    [
      'holds sound within the input that was neither read from a cache nor written to one',
      { cacheReadTokens: 50, cacheWriteTokens: 30, audioInputTokens: 40 },
      { audioInputTokens: 20 },
    ],
    ['holds what was read from a cache within the input', { cacheReadTokens: 101 }, { cacheReadTokens: 100 }],
    ['holds reasoning within the output', { reasoningTokens: 99 }, { reasoningTokens: 20 }],
  ])('%s', ([, change, expected]) => {
    const none = { cacheReadTokens: 0, cacheWriteTokens: 0, cacheWrite1hTokens: 0, reasoningTokens: 0 };
    expect(consistentUsage({ ...reported, ...change })).toEqual({
      ...{ ...reported, ...none, audioInputTokens: 0, audioOutputTokens: 0 },
      ...change,
      ...expected,
    });
  });
});

test('the usage of several attempts is the sum of each part', () => {
  const other = { ...usage, inputTokens: 1_000, audioInputTokens: 7, audioOutputTokens: 3 };
  expect(addUsage(usage, other)).toEqual({
    inputTokens: 1_010,
    outputTokens: 10,
    cacheReadTokens: 6,
    cacheWriteTokens: 4,
    cacheWrite1hTokens: 2,
    reasoningTokens: 8,
    audioInputTokens: 7,
    audioOutputTokens: 3,
  });
});
