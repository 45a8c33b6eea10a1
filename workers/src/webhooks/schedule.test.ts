import { expect, test } from 'vitest';
import { nextTryMs } from './schedule.ts';

const minute = 60_000;
const hour = 60 * minute;

test.for([
  ['the first retry comes after about five seconds', 1, 0.5, null, 5_000],
  ['jitter takes up to a fifth off', 1, 0, null, 4_000],
  ['jitter adds up to a fifth', 2, 1, null, 6 * minute],
  ['the ninth is a day later', 9, 0.5, null, 24 * hour],
  ['after ten tries it is given up', 10, 0.5, null, null],
  ['a longer Retry-After wins', 1, 0.5, 60_000, 60_000],
  ['a shorter Retry-After does not', 2, 0.5, 1_000, 5 * minute],
  ['an absurd Retry-After is capped at a day', 1, 0.5, 999 * hour, 24 * hour],
] as const)('%s', ([, failedTries, random, retryAfterMs, expected]) => {
  expect(nextTryMs(failedTries, random, retryAfterMs)).toBe(expected);
});
