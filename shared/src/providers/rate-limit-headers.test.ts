import { describe, expect, test } from 'vitest';
import { readLimitsLeft } from './rate-limit-headers.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
const inAMinute = '2026-11-21T12:01:00Z';

describe('what is left of limits is read', () => {
  test.for<[string, Record<string, string>, object[]]>([
    [
      "of OpenAI's and Azure's headers",
      {
        'x-ratelimit-limit-requests': '500',
        'x-ratelimit-remaining-requests': '499',
        'x-ratelimit-reset-requests': '120ms',
        'x-ratelimit-limit-tokens': '200000',
        'x-ratelimit-remaining-tokens': '199000',
        'x-ratelimit-reset-tokens': '6m0s',
      },
      [
        { unit: 'requests', limit: 500, remaining: 499, resetMs: 120 },
        { unit: 'tokens', limit: 200_000, remaining: 199_000, resetMs: 360_000 },
      ],
    ],
    [
      "of Groq's headers, whose requests are those of a day",
      {
        'x-ratelimit-limit-requests': '14400',
        'x-ratelimit-remaining-requests': '0',
        'x-ratelimit-reset-requests': '2m59.56s',
      },
      [{ unit: 'requests', limit: 14_400, remaining: 0, resetMs: 179_560 }],
    ],
    [
      "of Anthropic's headers, priority tier and all",
      {
        'anthropic-ratelimit-requests-limit': '50',
        'anthropic-ratelimit-requests-remaining': '49',
        'anthropic-ratelimit-requests-reset': inAMinute,
        'anthropic-ratelimit-input-tokens-limit': '30000',
        'anthropic-ratelimit-input-tokens-remaining': '0',
        'anthropic-ratelimit-input-tokens-reset': inAMinute,
        'anthropic-ratelimit-output-tokens-limit': '8000',
        'anthropic-ratelimit-output-tokens-remaining': '8000',
        'anthropic-priority-input-tokens-limit': '10000',
        'anthropic-priority-input-tokens-remaining': '9000',
        'anthropic-priority-input-tokens-reset': inAMinute,
      },
      [
        { unit: 'requests', limit: 50, remaining: 49, resetMs: 60_000 },
        { unit: 'tokens', limit: 30_000, remaining: 0, resetMs: 60_000 },
        { unit: 'tokens', limit: 8_000, remaining: 8_000, resetMs: null },
        { unit: 'tokens', limit: 10_000, remaining: 9_000, resetMs: 60_000 },
      ],
    ],
  ])('%s', ([, headers, expected]) => {
    expect(readLimitsLeft(headers, nowMs)).toEqual(expected);
  });
});

describe('what says nothing usable is not taken for a limit', () => {
  const requests = {
    'x-ratelimit-limit-requests': '500',
    'x-ratelimit-remaining-requests': '5',
    'x-ratelimit-reset-requests': '1s',
  };
  test.for<[string, Record<string, string>]>([
    ['no headers', {}],
    ['other headers', { 'retry-after': '3', 'x-ratelimit-policy': '500;w=60', 'x-request-id': 'remaining' }],
    ['a limit alone', { 'x-ratelimit-limit-requests': '500' }],
    ['what remains of an unknown limit', { 'x-ratelimit-remaining-requests': '0' }],
    ['a limit of zero', { ...requests, 'x-ratelimit-limit-requests': '0' }],
    ['a negative rest', { ...requests, 'x-ratelimit-remaining-requests': '-1' }],
    ['a rest in words', { ...requests, 'x-ratelimit-remaining-requests': 'plenty' }],
    ['an empty rest', { ...requests, 'x-ratelimit-remaining-requests': '' }],
    ['a fraction', { ...requests, 'x-ratelimit-limit-requests': '1e3' }],
    ['a number beyond reason', { ...requests, 'x-ratelimit-limit-requests': '9'.repeat(16) }],
    [
      'a name that only looks like one',
      { 'my-x-ratelimit-remaining-requests': '0', 'x-ratelimit-limit-requests': '5' },
    ],
  ])('%s', ([, headers]) => {
    expect(readLimitsLeft(headers, nowMs)).toEqual([]);
  });

  test.for([
    ['not there', {}],
    ['past', { 'x-ratelimit-reset-requests': '2026-11-21T11:00:00Z' }],
    ['nonsense', { 'x-ratelimit-reset-requests': 'soon' }],
    ['zero', { 'x-ratelimit-reset-requests': '0' }],
  ] as const)('a reset that is %s is unknown, and the rest is read', ([, change]) => {
    const { 'x-ratelimit-reset-requests': _reset, ...more } = requests;
    expect(readLimitsLeft({ ...more, ...change }, nowMs)).toEqual([
      { unit: 'requests', limit: 500, remaining: 5, resetMs: null },
    ]);
  });
});
