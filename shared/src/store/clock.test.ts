import { expect, test } from 'vitest';
import { checkClock, clockSkewMs, mostSkewMs } from './clock.ts';
import type { Pool } from './database.ts';

/** Our clock reads `before` when the question leaves and `after` when the answer comes. */
function clocks(before: number, theirs: number, after: number) {
  const readings = [before, after];
  const result = { rows: [{ ms: theirs }], rowCount: 1, command: 'SELECT', fields: [] };
  const pool = { query: () => Promise.resolve(result) } as unknown as Pool;
  return { pool, now: () => readings.shift() ?? after };
}

test.for<[string, [number, number, number], number]>([
  ['the same', [1_000, 1_000, 1_000], 0],
  ['read on the way', [1_000, 5_000, 9_000], 0],
  ['behind by what the way cannot explain', [5_000, 1_000, 5_100], 4_000],
  ['ahead by what the way cannot explain', [5_000, 9_100, 5_100], -4_000],
])('a clock of the database that is %s', ([, [before, theirs, after], skew]) => {
  const { pool, now } = clocks(before, theirs, after);
  return expect(clockSkewMs(pool, now)).resolves.toBe(skew);
});

test.for([mostSkewMs, -mostSkewMs, 0])('%i ms of skew are safe', async (skew) => {
  const { pool, now } = clocks(10_000, 10_000 - skew, 10_000);
  await checkClock(pool, now);
});

test.for<[number, RegExp]>([
  [mostSkewMs + 100, /2\.1 s ahead of that of the database/],
  [-3_600_000, /3600\.0 s behind that of the database/],
])('%i ms of skew are refused, and say which clock is which', async ([skew, message]) => {
  const { pool, now } = clocks(10_000_000, 10_000_000 - skew, 10_000_000);
  await expect(checkClock(pool, now)).rejects.toMatchObject({
    code: 'clock_skew',
    message: expect.stringMatching(message),
  });
});
