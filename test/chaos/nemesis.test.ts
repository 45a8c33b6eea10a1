import { expect, test } from 'vitest';
import { fingerprint, planFaults } from './nemesis.ts';

const options = { kinds: ['kill', 'stop'], count: 50, gapMs: [100, 900] } as const;

test('the same seed makes the same list of faults, another seed another one', () => {
  expect(planFaults(7, options)).toEqual(planFaults(7, options));
  expect(fingerprint(planFaults(7, options))).not.toBe(fingerprint(planFaults(8, options)));
});

test('faults stay within their bounds, and every kind comes up', () => {
  const plan = planFaults(7, options);
  expect(plan.every(({ gapMs, roll }) => gapMs >= 100 && gapMs <= 900 && roll >= 0 && roll < 1)).toBe(true);
  expect(new Set(plan.map(({ kind }) => kind))).toEqual(new Set(options.kinds));
});
