import { describe, expect, test } from 'vitest';
import { costFactor, fade, learn, nothingLearned } from './learned-cost.ts';

const taught = (estimated: number, used: number) => learn(nothingLearned, { estimated, used });

describe('the factor', () => {
  test.for([
    ['is one while nothing is known', taught(0, 0), taught(0, 0), 1],
    ['is one after too few tokens', taught(499, 99), taught(499, 99), 1],
    ['is what was used of what was estimated', taught(1_000, 400), taught(0, 0), 0.4],
    ['grows with jobs that use more', taught(1_000, 3_000), taught(0, 0), 3],
    ['of a new tenant is that of all', taught(100, 100), taught(1_000, 500), 0.5],
    ['of a known tenant is its own', taught(1_000, 1_000), taught(10_000, 1_000), 1],
    ['is never nothing', taught(1_000, 0), taught(0, 0), 0.05],
    ['is never beyond reason', taught(1_000, 1e9), taught(0, 0), 20],
  ] as const)('%s', ([, own, others, expected]) => {
    expect(costFactor(own, others)).toBeCloseTo(expected, 10);
  });
});

test('what was learned fades by half in a minute, and not backwards', () => {
  expect(fade(taught(800, 400), 60_000)).toEqual({ estimated: 400, used: 200 });
  expect(fade(taught(800, 400), -5)).toEqual({ estimated: 800, used: 400 });
});

test('lessons add up', () => {
  expect(learn(taught(100, 10), { used: 30 })).toEqual({ estimated: 100, used: 40 });
  expect(learn(taught(100, 10), { estimated: 50 })).toEqual({ estimated: 150, used: 10 });
});
