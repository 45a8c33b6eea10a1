/** For any arrivals: never above a limit in any period, never faster than its pace, and no slower than it has to be. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { correct, freshWindow, pacingShare, type RateLimit, reserve, startWithinMs, waitFor } from './limits.ts';

interface Arrival {
  /** After the one before. */
  readonly afterMs: number;
  /** Of the limit, from (0, 1]. */
  readonly share: number;
  /** Of what was reserved. */
  readonly usedShare: number;
  /** It starts so long after its permit, and ends so long after that. */
  readonly startsAfterMs: number;
  readonly lastsMs: number;
  readonly isSent: boolean;
}

interface Call {
  readonly atMs: number;
  readonly reserved: number;
  readonly used: number;
  readonly startedMs: number;
  readonly endedMs: number;
  isSettled: boolean;
}

const minute = (limit: number, isPaced: boolean): RateLimit => ({
  ...{ name: 'tpm', unit: 'tokens', limit, isPaced },
  ...{ periodMs: 60_000, slotMs: 1_000, slots: 63 },
});
const beginMs = 1_795_293_027_515;

/** Lets each go that may, and corrects it when it ends. Those that may not ask once more when they were told to, if they do. */
function play(limit: RateLimit, arrivals: readonly Arrival[], asksAgain: boolean): Call[] {
  let window = freshWindow(limit, beginMs);
  let nowMs = beginMs;
  const calls: Call[] = [];
  const settleUntil = (untilMs: number) => {
    const ended = calls.filter(({ isSettled, endedMs }) => !isSettled && endedMs <= untilMs);
    for (const call of ended.toSorted((a, b) => a.endedMs - b.endedMs)) {
      window = correct(call.used - call.reserved, call.atMs, window, limit, call.endedMs);
      call.isSettled = true;
    }
  };
  for (const { afterMs, share, usedShare, startsAfterMs, lastsMs, isSent } of arrivals) {
    nowMs += afterMs;
    settleUntil(nowMs);
    const reserved = Math.max(1, Math.floor(share * limit.limit));
    const waitMs = waitFor(reserved, window, limit, nowMs);
    if (waitMs > 0) {
      if (!asksAgain) continue;
      nowMs += waitMs;
      settleUntil(nowMs);
      if (waitFor(reserved, window, limit, nowMs) > 0) throw new Error('a wait that was told did not suffice');
    }
    window = reserve(reserved, window, limit, nowMs);
    const startedMs = nowMs + startsAfterMs;
    const used = isSent ? Math.floor(reserved * usedShare) : 0;
    calls.push({ atMs: nowMs, reserved, used, startedMs, endedMs: startedMs + lastsMs, isSettled: false });
  }
  return calls;
}

const sums = (calls: readonly Call[], lengthMs: number, timeOf: (call: Call) => number, of: (call: Call) => number) =>
  calls.map((first) =>
    calls
      .filter((call) => timeOf(call) >= timeOf(first) && timeOf(call) < timeOf(first) + lengthMs)
      .reduce((sum, call) => sum + of(call), 0),
  );

const gap = fc.oneof(
  { weight: 4, arbitrary: fc.nat(2_000) },
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 55_000, max: 70_000 }) },
);
const arrival: fc.Arbitrary<Arrival> = fc.record({
  afterMs: gap,
  share: fc.oneof(fc.double({ min: 0, max: 0.1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
  usedShare: fc.double({ min: 0, max: 1, noNaN: true }),
  startsAfterMs: fc.nat(startWithinMs - 1),
  lastsMs: fc.oneof(fc.nat(5_000), fc.nat(90_000)),
  isSent: fc.boolean(),
});
const arrivals = fc.array(arrival, { maxLength: 120 });
const limitValue = fc.integer({ min: 1, max: 100_000 });

test('what calls really used is never above the limit in any period, counted from when they started', () => {
  fc.assert(
    fc.property(limitValue, fc.boolean(), arrivals, fc.boolean(), (value, isPaced, list, asksAgain) => {
      const limit = minute(value, isPaced);
      const calls = play(limit, list, asksAgain);
      for (const sum of sums(
        calls,
        limit.periodMs,
        ({ startedMs }) => startedMs,
        ({ used }) => used,
      ))
        expect(sum).toBeLessThanOrEqual(limit.limit);
    }),
    { numRuns: 300 },
  );
});

test('no stretch of time has more than its part of the limit, a twentieth of it, and one call', () => {
  fc.assert(
    fc.property(limitValue, arrivals, fc.boolean(), (value, list, asksAgain) => {
      const limit = minute(value, true);
      const calls = play(
        limit,
        list.map((each) => ({ ...each, usedShare: 1, isSent: true })),
        asksAgain,
      );
      for (const [from, first] of calls.entries()) {
        let reserved = 0;
        let last = 0;
        for (const call of calls.slice(from)) {
          reserved += call.reserved;
          last = call.reserved;
          const share = (limit.limit * (call.atMs - first.atMs)) / limit.periodMs;
          expect(reserved - last).toBeLessThanOrEqual(share + limit.limit * pacingShare + 1e-6);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('whoever asks again after the wait that was told goes, when nobody else asked', () => {
  fc.assert(
    fc.property(limitValue, fc.boolean(), arrivals, (value, isPaced, list) => {
      // Nothing that ends meanwhile takes room: `play` fails where the wait did not suffice.
      expect(play(minute(value, isPaced), list, true)).toHaveLength(list.length);
    }),
    { numRuns: 200 },
  );
});

test('small calls that always wait use nine tenths of the limit or more', () => {
  // 1,500 of the smallest are six periods' worth: there is always another one that waits.
  const share = fc.array(fc.double({ min: 0.004, max: 0.02, noNaN: true }), { minLength: 20, maxLength: 20 });
  fc.assert(
    fc.property(fc.integer({ min: 1_000, max: 100_000 }), share, (value, shares) => {
      const limit = minute(value, true);
      const always = { afterMs: 0, usedShare: 1, startsAfterMs: 0, lastsMs: 0, isSent: true };
      const list = Array.from({ length: 1_500 }, (_, n) => ({ ...always, share: shares[n % shares.length] ?? 0.01 }));
      const calls = play(limit, list, true).filter(({ atMs }) => atMs < beginMs + 5 * limit.periodMs);
      const used = calls.reduce((sum, call) => sum + call.used, 0);
      expect(used).toBeGreaterThanOrEqual(0.9 * 5 * limit.limit);
    }),
    { numRuns: 10 },
  );
});
