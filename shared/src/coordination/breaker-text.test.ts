import { expect, test } from 'vitest';
import type { BreakerState } from '../routing/breaker.ts';
import { readState, toReading, toUsual, writeState } from './breaker-text.ts';

const outage = { cooldownMs: 60_000, why: 'failure_rate', sinceMs: 1_795_293_027_515 } as const;

test.for<BreakerState>([
  { kind: 'closed' },
  { kind: 'open', untilMs: 1_795_293_087_515, ...outage },
  { kind: 'open', untilMs: null, ...outage, cooldownMs: 0, why: 'manual' },
  { kind: 'half_open', successes: 1, ...outage },
])('%o is read as it was written', (state) => {
  expect(readState(writeState(state) ?? '')).toEqual(state);
});

test('an end that a store left out is not known', () => {
  expect(readState('{"kind":"open","cooldownMs":0,"why":"manual","sinceMs":1}')).toMatchObject({ untilMs: null });
});

test('what was counted is read as numbers', () => {
  const state: BreakerState = { kind: 'half_open', successes: 0, ...outage };
  const fields = ['7', writeState(state) ?? '', '3', '20', '4', '1.5e+06', '2.25 0.5 1e+3 1795293027515'];
  expect(toReading('p/m', fields)).toEqual({
    target: 'p/m',
    version: 7,
    state,
    counts: {
      consecutive: 3,
      ok: 20,
      failed: 4,
      latencyMs: 1_500_000,
      usual: { ok: 2.25, failed: 0.5, latencyMs: 1_000 },
    },
  });
});

test.for<[string, number | null, number | null]>([
  ['4 1 800 1795293027515', 200, 0.8],
  ['0 5 0', null, 0],
  ['0.4 0.05 100', null, null],
  ['0.4 0.1 100', null, 0.8],
  ['0 0 0', null, null],
])('what is usual of "%s": ms of an answer, and the part that succeeds', ([text, latencyMs, reliability]) => {
  expect(toUsual(text)).toEqual({ latencyMs, reliability });
});
