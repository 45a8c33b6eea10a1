import { expect, test } from 'vitest';
import { nextPacificMidnightMs } from './pacific-midnight.ts';

test.for([
  ['in winter', '2026-11-21T12:00:00Z', '2026-11-22T08:00:00.000Z'],
  ['in summer', '2026-07-01T12:00:00Z', '2026-07-02T07:00:00.000Z'],
  ['when it is tomorrow in UTC already', '2026-11-22T07:59:59.999Z', '2026-11-22T08:00:00.000Z'],
  ['at midnight itself', '2026-11-22T08:00:00Z', '2026-11-23T08:00:00.000Z'],
  ['on the day summer time begins', '2026-03-08T08:30:00Z', '2026-03-09T07:00:00.000Z'],
  ['on the day summer time ends', '2026-11-01T07:30:00Z', '2026-11-02T08:00:00.000Z'],
  ['on the last day of a year', '2026-12-31T20:00:00Z', '2027-01-01T08:00:00.000Z'],
] as const)('a day of quota %s ends at the next midnight Pacific time', ([, now, end]) => {
  expect(new Date(nextPacificMidnightMs(Date.parse(now))).toISOString()).toBe(end);
});
