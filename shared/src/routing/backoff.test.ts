import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';

const policy = { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'none' } as const;

describe('backoffMs', () => {
  test.for([
    ['waits the initial time after the first failure', 1, {}, 0.5, 1_000],
    ['doubles after the second failure', 2, {}, 0.5, 2_000],
    ['doubles again after the third', 3, {}, 0.5, 4_000],
    ['reaches half a minute after the sixth', 6, {}, 0.5, 32_000],
    ['stops at the maximum', 7, {}, 0.5, 60_000],
    ['stays at the maximum where the power overflows', 5_000, {}, 0.5, 60_000],
    ['takes a failure number below one for the first', 0, {}, 0.5, 1_000],
    ['stays the same with a factor of one', 9, { factor: 1 }, 0.5, 1_000],
    ['draws from nothing', 3, { jitter: 'full' }, 0, 0],
    ['draws from the whole range', 3, { jitter: 'full' }, 0.75, 3_000],
    ['draws below the maximum too', 9, { jitter: 'full' }, 0.5, 30_000],
    ['answers whole milliseconds', 1, { jitter: 'full' }, 0.1234567, 123],
  ] as const)('%s', ([, k, change, random, expected]) => {
    expect(backoffMs(k, { ...policy, ...change }, random)).toBe(expected);
  });

  test('never leaves the range from zero to the maximum', () => {
    const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.nat(2_000), randoms, (k, random) => {
        const delayMs = backoffMs(k, { ...policy, jitter: 'full' }, random);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(policy.maxMs);
      }),
    );
  });
});
