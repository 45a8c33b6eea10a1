import { describe, expect, test } from 'vitest';
import type { RateLimits } from '../config/settings.ts';
import {
  amountOf,
  type CallSize,
  correct,
  exceededBy,
  freshWindow,
  pacingShare,
  type RateLimit,
  type RateUnit,
  type RateWindow,
  rateLimits,
  reserve,
  startWithinMs,
  waitFor,
  windowAt,
} from './limits.ts';

const none: RateLimits = {
  requestsPerMinute: null,
  requestsPerDay: null,
  tokensPerMinute: null,
  tokensPerDay: null,
  inputTokensPerMinute: null,
  outputTokensPerMinute: null,
};

describe('the limits of a configuration', () => {
  test.for<[keyof RateLimits, Partial<RateLimit>]>([
    ['requestsPerMinute', { name: 'rpm', unit: 'requests', periodMs: 60_000, isPaced: true }],
    ['tokensPerMinute', { name: 'tpm', unit: 'tokens', periodMs: 60_000, isPaced: true }],
    ['inputTokensPerMinute', { name: 'input_tpm', unit: 'input', periodMs: 60_000, isPaced: true }],
    ['outputTokensPerMinute', { name: 'output_tpm', unit: 'output', periodMs: 60_000, isPaced: true }],
    ['requestsPerDay', { name: 'rpd', unit: 'requests', periodMs: 86_400_000, isPaced: false }],
    ['tokensPerDay', { name: 'tpd', unit: 'tokens', periodMs: 86_400_000, isPaced: false }],
  ])('%s', ([field, expected]) => {
    expect(rateLimits({ ...none, [field]: 7 })).toMatchObject([{ ...expected, limit: 7 }]);
  });

  test('are those that are set; 0 is one', () => {
    expect(rateLimits(none)).toEqual([]);
    const names = rateLimits({ ...none, tokensPerDay: 1, requestsPerMinute: 0 }).map(({ name }) => name);
    expect(names).toEqual(['rpm', 'tpd']);
  });

  test('count for longer than their period: by what a call may start late, and the slot that is not over', () => {
    const all = rateLimits({ ...none, requestsPerMinute: 1, tokensPerDay: 1 });
    expect(all.map(({ slots, slotMs, periodMs }) => slots * slotMs - periodMs >= startWithinMs + slotMs)).toEqual([
      true,
      true,
    ]);
  });
});

test.for<[RateUnit, number]>([
  ['requests', 1],
  ['tokens', 130],
  ['input', 100],
  ['output', 30],
])('a call takes of a limit in %s: %d', ([unit, amount]) => {
  expect(amountOf(unit, { inputTokens: 100, outputTokens: 30 })).toBe(amount);
});

test.for<[string, CallSize, string | null]>([
  ['fits', { inputTokens: 60, outputTokens: 40 }, null],
  ['is more than the first', { inputTokens: 61, outputTokens: 40 }, 'tpm'],
  ['is more than the second', { inputTokens: 1, outputTokens: 41 }, 'output_tpm'],
])('a call that %s', ([, size, name]) => {
  const limits = rateLimits({ ...none, tokensPerMinute: 100, outputTokensPerMinute: 40, requestsPerMinute: 1 });
  expect(exceededBy(limits, size)?.name ?? null).toBe(name);
});

const limit: RateLimit = {
  name: 'tpm',
  unit: 'tokens',
  limit: 100,
  periodMs: 60_000,
  slotMs: 1_000,
  slots: 63,
  isPaced: false,
};
const paced: RateLimit = { ...limit, isPaced: true };
const t0 = 1_795_293_027_515;
/** Where the slot of t0 began. */
const slot0 = 1_795_293_027_000;

const used = (...calls: [amount: number, atMs: number][]): RateWindow =>
  calls.reduce((window, [amount, atMs]) => reserve(amount, window, limit, atMs), freshWindow(limit, t0));

describe('the window', () => {
  test.for<[string, number, [number, number][], number, number]>([
    ['nothing is reserved', 100, [], t0, 0],
    ['it just fits', 40, [[60, t0]], t0, 0],
    ['until the slot leaves that takes its room', 41, [[60, t0]], t0, slot0 + 63_000 - t0],
    [
      'until all leave that have to',
      90,
      [
        [60, t0],
        [20, t0 + 5_000],
        [10, t0 + 9_000],
      ],
      t0 + 9_000,
      slot0 + 68_000 - (t0 + 9_000),
    ],
    [
      'no longer than has to be',
      30,
      [
        [60, t0],
        [20, t0 + 5_000],
      ],
      t0 + 5_000,
      slot0 + 63_000 - (t0 + 5_000),
    ],
    ['one ms before the slot leaves', 100, [[1, t0]], slot0 + 62_999, 1],
    ['when the slot has left', 100, [[1, t0]], slot0 + 63_000, 0],
    ['after a long idle time', 100, [[100, t0]], t0 + 10_000_000, 0],
  ])('waits where %s', ([, amount, calls, nowMs, waitMs]) => {
    expect(waitFor(amount, used(...calls), limit, nowMs)).toBe(waitMs);
  });

  test('is given room by a call that used less, and loses it to one that used more', () => {
    const window = used([60, t0]);
    expect(waitFor(70, correct(-30, t0, window, limit, t0 + 5_000), limit, t0 + 5_000)).toBe(0);
    expect(waitFor(71, correct(-30, t0, window, limit, t0 + 5_000), limit, t0 + 5_000)).toBe(slot0 + 58_000 - t0);
    expect(waitFor(40, correct(1, t0, window, limit, t0 + 5_000), limit, t0 + 5_000)).toBe(slot0 + 58_000 - t0);
  });

  test('is not changed by the end of a call whose slot is over; the bucket is', () => {
    const later = slot0 + 63_000;
    const corrected = correct(50, t0, used([60, t0], [10, t0 + 20_000]), limit, later);
    expect(waitFor(90, corrected, limit, later)).toBe(0);
    expect(corrected.level).toBe(limit.limit * pacingShare - 50);
  });

  test('has a clock that never goes back', () => {
    const window = used([100, t0]);
    const back = reserve(-40, window, limit, t0 - 30_000);
    expect(back.atMs).toBe(t0);
    expect(back.slots).toEqual(new Map([[slot0 / 1_000, 60]]));
    expect(waitFor(40, back, limit, t0 - 30_000)).toBe(0);
    expect(waitFor(41, back, limit, t0 - 30_000)).toBe(slot0 + 63_000 - t0);
    // What a faster clock had reserved counts as reserved now.
    expect(correct(-40, t0 + 5_000, window, limit, t0).slots).toEqual(new Map([[slot0 / 1_000, 60]]));
  });
});

describe('the pacing bucket', () => {
  const after = (amount: number) => reserve(amount, freshWindow(paced, t0), paced, t0);
  test.for<[string, number, number, number]>([
    ['above zero lets any call go', 4, 0, 0],
    ['that is empty waits for its first drop', 5, 0, 1],
    ['may go negative, and is waited for then', 65, 0, 36_001],
    ['fills with time', 65, 36_000, 1],
    ['lets one go when it is above zero again', 65, 36_001, 0],
  ])('%s', ([, amount, afterMs, waitMs]) => {
    expect(waitFor(1, after(amount), paced, t0 + afterMs)).toBe(waitMs);
  });

  test('holds its part of the limit, however long nothing was called', () => {
    expect(windowAt(after(3), paced, t0 + 10_000_000).level).toBe(5);
  });

  test('is given back what was not used', () => {
    expect(waitFor(1, correct(-62, t0, after(65), paced, t0), paced, t0)).toBe(0);
  });

  test('does not hold up a limit that is not paced', () => {
    expect(waitFor(10, used([90, t0]), limit, t0)).toBe(0);
  });
});
