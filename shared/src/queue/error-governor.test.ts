import { expect, test } from 'vitest';
import { createErrorGovernor } from './error-governor.ts';

test('an error storm becomes one line a second per queue and cause, with a count', () => {
  const told: [string, string, number][] = [];
  let now = 0;
  const report = createErrorGovernor(
    (error, queue, suppressed) => told.push([queue, error.message, suppressed]),
    () => now,
  );
  for (let n = 0; n < 1_000; n += 1) report(new Error('disk full'), 'openai');
  report(new Error('disk full'), 'anthropic');
  report(new Error('other'), 'openai');
  now = 1_000;
  report(new Error('disk full'), 'openai');
  expect(told).toEqual([
    ['openai', 'disk full', 0],
    ['anthropic', 'disk full', 0],
    ['openai', 'other', 0],
    ['openai', 'disk full', 999],
  ]);
});

test('ever new messages do not grow the memory', () => {
  let told = 0;
  const report = createErrorGovernor(() => {
    told += 1;
  });
  for (let n = 0; n < 1_000; n += 1) report(new Error(`error ${n}`), 'openai');
  expect(told).toBe(1_000);
});
