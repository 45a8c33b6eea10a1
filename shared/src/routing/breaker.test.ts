/** The breaker as tables: one row per rule. Runs of many events are in `breaker.property.test.ts`. */
import { describe, expect, test } from 'vitest';
import { type FailureKind, failureKinds } from '../domain/failure.ts';
import {
  type Admission,
  admit,
  afterCounts,
  afterProbe,
  type BreakerCounts,
  type BreakerPolicy,
  type BreakerState,
  type BreakerWhy,
  closeByHand,
  defaultBreaker,
  type Outcome,
  openByHand,
  outcomeOf,
  rollUp,
  startProbe,
} from './breaker.ts';

const nowMs = 1_000_000;
const minute = 60_000;
const nothing: BreakerCounts = {
  ...{ consecutive: 0, ok: 0, failed: 0, latencyMs: 0 },
  usual: { ok: 0, failed: 0, latencyMs: 0 },
};
const closed: BreakerState = { kind: 'closed' };
const outage = { cooldownMs: minute, why: 'failure_rate', sinceMs: nowMs - 5 * minute } as const;
const open = (untilMs: number | null): BreakerState => ({ kind: 'open', untilMs, ...outage });
const halfOpen = (successes: number): BreakerState => ({ kind: 'half_open', successes, ...outage });

const failing: readonly FailureKind[] = [
  ...(['overloaded', 'server_error', 'timeout'] as const),
  ...(['network', 'stream_interrupted', 'unknown'] as const),
];

describe('what the end of a call says', () => {
  test.for(failureKinds)('%s', (failure) => {
    const answered = failure === 'refusal' || failure === 'bad_output';
    const expected = failing.includes(failure) ? 'failure' : answered ? 'success' : 'neither';
    expect(outcomeOf({ kind: 'failure', failure })).toBe(expected);
  });

  test('an answer is a success, a call we stopped says nothing', () => {
    expect([outcomeOf({ kind: 'answer' }), outcomeOf({ kind: 'stopped' })]).toEqual(['success', 'neither']);
  });
});

const adaptive = { isAdaptive: true };
const spike = { latencySpike: 3 };
const usually = (ok: number, failed: number, latencyMs = 0) => ({ usual: { ok, failed, latencyMs } });

test.for<[string, Partial<BreakerCounts>, Partial<BreakerPolicy>, BreakerWhy | null]>([
  ['nothing counted', {}, {}, null],
  ['nothing counted, and none needed', {}, { minimumCalls: 0, ...spike, ...adaptive }, null],
  ['four failures in a row', { consecutive: 4, failed: 4 }, {}, null],
  ['five failures in a row', { consecutive: 5, failed: 5 }, {}, 'consecutive_failures'],
  ['a row longer than the window', { consecutive: 5 }, {}, 'consecutive_failures'],
  ['a row as long as configured', { consecutive: 2 }, { consecutiveFailures: 2 }, 'consecutive_failures'],
  ['half of nine calls', { ok: 4, failed: 5 }, {}, null],
  ['half of ten calls', { ok: 5, failed: 5 }, {}, 'failure_rate'],
  ['less than half of many calls', { ok: 51, failed: 49 }, {}, null],
  ['the rate that is configured', { ok: 9, failed: 1 }, { failureRate: 0.1 }, 'failure_rate'],
  ['as few calls as configured', { ok: 1, failed: 1 }, { minimumCalls: 2 }, 'failure_rate'],
  ['a row and a rate at once', { consecutive: 5, ok: 5, failed: 5 }, {}, 'consecutive_failures'],
  ['adaptive, too little known of what is usual', { ok: 7, failed: 3, ...usually(49, 0) }, adaptive, null],
  ['adaptive, the configured rate until then', { ok: 5, failed: 5, ...usually(49, 0) }, adaptive, 'failure_rate'],
  ['adaptive, usually well: a fifth', { ok: 8, failed: 2, ...usually(50, 0) }, adaptive, 'failure_rate'],
  ['adaptive, usually well: less than a fifth', { ok: 81, failed: 19, ...usually(50, 0) }, adaptive, null],
  ['adaptive, a fifth usual: just half', { ok: 5, failed: 5, ...usually(80, 20) }, adaptive, 'failure_rate'],
  ['adaptive, a quarter usual: less than 0.6', { ok: 5, failed: 5, ...usually(75, 25) }, adaptive, null],
  ['adaptive, failing is usual: nine tenths', { ok: 1, failed: 9, ...usually(10, 90) }, adaptive, 'failure_rate'],
  ['adaptive, failing is usual: less than that', { ok: 2, failed: 9, ...usually(10, 90) }, adaptive, null],
  ['what is usual, and not adaptive', { ok: 7, failed: 3, ...usually(500, 0) }, {}, null],
  [
    'calls take more than three times as long',
    { ok: 10, latencyMs: 3_001, ...usually(50, 0, 5_000) },
    spike,
    'latency',
  ],
  ['calls take just three times as long', { ok: 10, latencyMs: 3_000, ...usually(50, 0, 5_000) }, spike, null],
  ['too few calls to say how long', { ok: 9, latencyMs: 90_000, ...usually(50, 0, 5_000) }, spike, null],
  ['too little known of how long is usual', { ok: 10, latencyMs: 90_000, ...usually(49, 9, 5_000) }, spike, null],
  ['slow, and never opened for that', { ok: 10, latencyMs: 90_000, ...usually(50, 0, 5_000) }, {}, null],
  ['usually within the millisecond', { ok: 10, latencyMs: 20, ...usually(50, 0, 0) }, spike, null],
  ['usually within the millisecond, then slow', { ok: 10, latencyMs: 31, ...usually(50, 0, 0) }, spike, 'latency'],
])('%s', ([, counts, change, why]) => {
  const next = afterCounts(closed, { ...nothing, ...counts }, { ...defaultBreaker, ...change }, nowMs, 0.5);
  expect(next).toEqual(
    why === null ? closed : { kind: 'open', untilMs: nowMs + minute, cooldownMs: minute, why, sinceMs: nowMs },
  );
});

const fallen: BreakerCounts = { ...nothing, consecutive: 9, failed: 99 };

test.for<[string, BreakerState, BreakerCounts]>([
  ['a closed one that is well', closed, nothing],
  ['an open one', open(nowMs + 1), fallen],
  ['an open one whose probe is due', open(nowMs - 1), fallen],
  ['one opened for good', open(null), fallen],
  ['a half-open one', halfOpen(1), fallen],
  ['a half-open one whose late calls are well', halfOpen(1), { ...nothing, ok: 99 }],
])('ordinary calls leave %s as it is', ([, state, counts]) => {
  expect(afterCounts(state, counts, defaultBreaker, nowMs, 0.5)).toBe(state);
});

test.for<[number, Partial<BreakerPolicy>, number]>([
  [0, {}, 48_000],
  [0.25, {}, 54_000],
  [0.5, {}, 60_000],
  [0.999, {}, 71_976],
  [0.5, { cooldownMs: 10_000 }, 10_000],
  [0.5, { cooldownMs: 10_000, maxCooldownMs: 4_000 }, 4_000],
  [0.9, { cooldownMs: 3 }, 3],
])('with %d of jitter and %j the first cooldown lasts %i ms', ([random, change, expected]) => {
  const next = afterCounts(closed, fallen, { ...defaultBreaker, ...change }, nowMs, random);
  expect(next).toMatchObject({ kind: 'open', untilMs: nowMs + expected });
});

test('each probe that fails doubles the cooldown up to its bound, and closing forgets it', () => {
  let state = afterCounts(closed, fallen, defaultBreaker, 0, 0.5);
  const minutes: number[] = [];
  for (let n = 0; n < 6; n += 1) {
    const dueMs = state.kind === 'open' ? (state.untilMs ?? Number.NaN) : Number.NaN;
    state = afterProbe(startProbe(state, dueMs), 'failure', defaultBreaker, dueMs, 0.5);
    expect(state).toMatchObject({ kind: 'open', why: 'probe_failed', sinceMs: 0 });
    minutes.push(((state.kind === 'open' ? (state.untilMs ?? 0) : 0) - dueMs) / minute);
  }
  expect(minutes).toEqual([2, 4, 8, 10, 10, 10]);
  const again = afterCounts(closeByHand(), fallen, defaultBreaker, nowMs, 0.5);
  expect(again).toMatchObject({ untilMs: nowMs + minute, cooldownMs: minute, sinceMs: nowMs });
});

const reopened: BreakerState = {
  ...{ kind: 'open', untilMs: nowMs + 2 * minute, cooldownMs: 2 * minute },
  ...{ why: 'probe_failed', sinceMs: outage.sinceMs },
};

describe('a probe', () => {
  test.for<[string, BreakerState, Outcome, Partial<BreakerPolicy>, BreakerState]>([
    ['that is answered counts', halfOpen(0), 'success', {}, halfOpen(1)],
    ['that is answered as the last one closes', halfOpen(1), 'success', {}, closed],
    ['that is answered closes at once where one is enough', halfOpen(0), 'success', { successesToClose: 1 }, closed],
    ['beyond what is needed by now closes', halfOpen(4), 'success', {}, closed],
    ['that fails opens for twice as long', halfOpen(0), 'failure', {}, reopened],
    ['that fails takes back what was answered', halfOpen(1), 'failure', {}, reopened],
    [
      'that fails keeps to a bound lowered meanwhile',
      halfOpen(0),
      'failure',
      { maxCooldownMs: 30_000 },
      {
        ...reopened,
        ...{ untilMs: nowMs + 30_000, cooldownMs: 30_000 },
      },
    ],
    [
      'after an opening by hand has the first cooldown',
      { ...halfOpen(0), cooldownMs: 0 } as BreakerState,
      'failure',
      {},
      {
        ...reopened,
        ...{ untilMs: nowMs + minute, cooldownMs: minute },
      },
    ],
  ])('%s', ([, state, outcome, change, expected]) => {
    expect(afterProbe(state, outcome, { ...defaultBreaker, ...change }, nowMs, 0.5)).toEqual(expected);
  });

  const outcomes: readonly Outcome[] = ['success', 'failure', 'neither'];
  test.for<[string, BreakerState, readonly Outcome[]]>([
    ['that says nothing, while half open,', halfOpen(1), ['neither']],
    ['that ends after it was closed', closed, outcomes],
    ['that ends after it was opened again', open(nowMs + 1), outcomes],
    ['that ends after it was opened again and is due', open(nowMs), outcomes],
  ])('%s changes nothing', ([, state, all]) => {
    for (const outcome of all) expect(afterProbe(state, outcome, defaultBreaker, nowMs, 0.5)).toBe(state);
  });
});

test.for<[string, BreakerState, Admission, BreakerState]>([
  ['closed', closed, { kind: 'go' }, closed],
  ['open', open(nowMs + 1), { kind: 'closed_to_calls', untilMs: nowMs + 1 }, open(nowMs + 1)],
  ['open for good', open(null), { kind: 'closed_to_calls', untilMs: null }, open(null)],
  ['open and due', open(nowMs), { kind: 'probe' }, halfOpen(0)],
  ['open and long due', open(1), { kind: 'probe' }, halfOpen(0)],
  ['half open', halfOpen(1), { kind: 'probe' }, halfOpen(1)],
])('one that is %s', ([, state, admission, started]) => {
  expect(admit(state, nowMs)).toEqual(admission);
  const next = startProbe(state, nowMs);
  expect(next).toEqual(started);
  expect(next === state).toBe(started.kind === state.kind);
});

describe('by hand', () => {
  const byHand = { ...outage, why: 'manual' } as const;
  const laterMs = nowMs + 9 * minute;
  test.for<[string, BreakerState, number | null, BreakerState]>([
    [
      'a closed one until then',
      closed,
      laterMs,
      {
        ...{ kind: 'open', untilMs: laterMs },
        ...{ cooldownMs: 0, why: 'manual', sinceMs: nowMs },
      },
    ],
    [
      'a closed one for good',
      closed,
      null,
      {
        ...{ kind: 'open', untilMs: null },
        ...{ cooldownMs: 0, why: 'manual', sinceMs: nowMs },
      },
    ],
    ['a half-open one', halfOpen(1), laterMs, { kind: 'open', untilMs: laterMs, ...byHand }],
    ['an open one for longer', open(laterMs - 1), laterMs, { kind: 'open', untilMs: laterMs, ...byHand }],
    ['an open one for good', open(laterMs), null, { kind: 'open', untilMs: null, ...byHand }],
    ['one whose cooldown is over', open(nowMs), laterMs, { kind: 'open', untilMs: laterMs, ...byHand }],
  ])('opens %s', ([, state, untilMs, expected]) => {
    expect(openByHand(state, untilMs, nowMs)).toEqual(expected);
  });

  test.for<[string, number | null, number | null]>([
    ['a later deadline', laterMs, laterMs - 1],
    ['the same deadline', laterMs, laterMs],
    ['an opening for good, against a deadline', null, laterMs],
    ['an opening for good, against another', null, null],
  ])('%s that is running stays', ([, running, untilMs]) => {
    const state = open(running);
    expect(openByHand(state, untilMs, nowMs)).toBe(state);
  });

  test('closes', () => {
    expect(closeByHand()).toEqual(closed);
  });
});

test.for<[ReturnType<typeof rollUp>, readonly BreakerState[]]>([
  ['closed', []],
  ['closed', [closed, closed]],
  ['degraded', [closed, open(null)]],
  ['degraded', [halfOpen(0), closed]],
  ['degraded', [open(1), closed, halfOpen(0)]],
  ['open', [open(1), open(null)]],
  ['half_open', [halfOpen(0)]],
  ['half_open', [open(1), halfOpen(1)]],
])('a provider is %s when its targets are %j', ([expected, states]) => {
  expect(rollUp(states)).toBe(expected);
});

test('the defaults are those of the design', () => {
  expect(defaultBreaker).toEqual({
    ...{ consecutiveFailures: 5, failureRate: 0.5, minimumCalls: 10, windowMs: 60_000 },
    ...{ cooldownMs: 60_000, maxCooldownMs: 600_000, successesToClose: 2, isAdaptive: false, latencySpike: null },
  });
});
