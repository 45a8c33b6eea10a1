import { expect, test } from 'vitest';
import type { LimitLeft } from '../providers/rate-limit-headers.ts';
import { restAfter } from './rest.ts';

const requests: LimitLeft = { unit: 'requests', limit: 1_000, remaining: 500, resetMs: 60_000 };
const tokens: LimitLeft = { unit: 'tokens', limit: 100_000, remaining: 50_000, resetMs: 60_000 };
const none = { remaining: 0 };

test.for<[string, LimitLeft[], number]>([
  ['nothing, when nothing is known', [], 0],
  ['nothing, while there is plenty', [requests, tokens], 0],
  ['until the reset, when nothing is left', [{ ...requests, ...none }], 60_000],
  ['for a second, when the reset is not said', [{ ...requests, ...none, resetMs: null }], 1_000],
  ['however long that is', [{ ...requests, ...none, resetMs: 3_600_000 }], 3_600_000],
  ['for its share of the time, when a twentieth is not left', [{ ...requests, remaining: 40 }], 1_500],
  ['nothing, when just a twentieth is left', [{ ...requests, remaining: 50 }], 0],
  ['nothing, when little is left until nobody knows when', [{ ...requests, remaining: 1, resetMs: null }], 0],
  ['until the reset for the last one', [{ ...requests, remaining: 1 }], 60_000],
  ['a minute at most, when little is left of a day', [{ ...requests, remaining: 3, resetMs: 86_400_000 }], 60_000],
  ['by the calls that its tokens allow', [{ ...tokens, remaining: 4_000 }], 15_000],
  ['until the reset, when its tokens allow not one more', [{ ...tokens, remaining: 999 }], 60_000],
  [
    'for the longest of several',
    [
      { ...requests, remaining: 40 },
      { ...tokens, remaining: 4_000 },
    ],
    15_000,
  ],
  ['in whole milliseconds', [{ ...requests, remaining: 49, resetMs: 1_000 }], 21],
])('an account rests %s', ([, limits, expected]) => {
  expect(restAfter(limits, 1_000)).toBe(expected);
});

test('a call of no tokens is counted as one of one token', () => {
  expect(restAfter([{ ...tokens, remaining: 60 }], 0)).toBe(1_000);
});
