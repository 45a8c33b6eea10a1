import { expect, test } from 'vitest';
import { interactiveReserve, windowSize } from './window.ts';

test.for([
  ['is twice the concurrency while nothing is known of the throughput', 0, 32, 64],
  ['is twice the concurrency while four seconds of work are less', 10, 32, 64],
  ['is four seconds of throughput', 100, 32, 400],
  ['stops at a thousand', 5_000, 32, 1_000],
  ['goes beyond a thousand only for twice the concurrency', 5_000, 800, 1_600],
  ['keeps twice a great concurrency at little throughput', 1, 800, 1_600],
  ['is a whole number', 20.3, 1, 81],
  ['is two for one call at a time', 0, 1, 2],
] as const)('a window %s', ([, throughput, concurrency, expected]) => {
  expect(windowSize(throughput, concurrency)).toBe(expected);
});

test.for([
  [0, 0],
  [1, 0],
  [2, 1],
  [64, 7],
  [1_000, 100],
] as const)('of a window of %i, %i places are kept for interactive jobs', ([window, reserved]) => {
  expect(interactiveReserve(window)).toBe(reserved);
});
