import { expect, test } from 'vitest';
import { toUsage } from './usage.ts';

const prompt = { promptTokenCount: 100 };
const none = {
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
};
const audio = (tokenCount: number) => [
  { modality: 'TEXT', tokenCount: 9 },
  { modality: 'AUDIO', tokenCount },
];

test.for<[string, object, object]>([
  ['prompt and candidates', { ...prompt, candidatesTokenCount: 20 }, { outputTokens: 20 }],
  [
    'thoughts are output too',
    { ...prompt, candidatesTokenCount: 20, thoughtsTokenCount: 30 },
    { outputTokens: 50, reasoningTokens: 30 },
  ],
  [
    'what tools put into the prompt',
    { ...prompt, toolUsePromptTokenCount: 7, candidatesTokenCount: 1 },
    { inputTokens: 107, outputTokens: 1 },
  ],
  [
    'a cached prefix is a part of the prompt',
    { ...prompt, cachedContentTokenCount: 60, candidatesTokenCount: 1 },
    { outputTokens: 1, cacheReadTokens: 60 },
  ],
  [
    'candidates left out are worked out of the total',
    { ...prompt, thoughtsTokenCount: 30, totalTokenCount: 130 },
    { outputTokens: 30, reasoningTokens: 30 },
  ],
  ['a total of the prompt alone', { ...prompt, totalTokenCount: 100 }, { outputTokens: 0 }],
  ['a total that is too small', { ...prompt, totalTokenCount: 1 }, { outputTokens: 0 }],
  [
    'audio in',
    { ...prompt, candidatesTokenCount: 1, promptTokensDetails: audio(40) },
    { outputTokens: 1, audioInputTokens: 40 },
  ],
  [
    'audio in that was cached is cheap like the rest of the cache',
    {
      ...prompt,
      candidatesTokenCount: 1,
      cachedContentTokenCount: 50,
      promptTokensDetails: audio(40),
      cacheTokensDetails: audio(30),
    },
    { outputTokens: 1, cacheReadTokens: 50, audioInputTokens: 10 },
  ],
  [
    'audio out',
    { ...prompt, candidatesTokenCount: 9, candidatesTokensDetails: audio(8) },
    { outputTokens: 9, audioOutputTokens: 8 },
  ],
  [
    'details of another shape',
    { ...prompt, candidatesTokenCount: 1, promptTokensDetails: [3, { modality: 'AUDIO' }] },
    { outputTokens: 1 },
  ],
])('%s', ([, reported, expected]) => {
  expect(toUsage(reported)).toEqual({ ...none, inputTokens: 100, ...expected });
});

test.for<[string, unknown]>([
  ['nothing', undefined],
  ['no prompt', { candidatesTokenCount: 5 }],
  ['neither candidates nor a total', prompt],
  ['a prompt that is no count', { promptTokenCount: '100', candidatesTokenCount: 5 }],
])('what is not known is not zero: %s', ([, reported]) => {
  expect(toUsage(reported)).toBeNull();
});
