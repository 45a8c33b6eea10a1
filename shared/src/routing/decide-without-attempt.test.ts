/** No permit, or a refused claim: what becomes of the job, in every mode. */
import { describe, expect, test } from 'vitest';
import type { Candidate } from './candidates.ts';
import {
  decideBreaker,
  decideLimit,
  decideMisfit,
  decideRefusal,
  type LimitObstacle,
  type Obstacle,
  type RefusalObstacle,
} from './decide-without-attempt.ts';
import { eligible, hourMs, nowMs } from './fixture-decide.ts';

const skipped = (target: string, untilMs: number | null = null): Candidate => ({
  target,
  kind: 'skipped',
  reason: untilMs === null ? 'label' : 'paused',
  detail: 'a detail',
  untilMs,
});
const shutByHand: Candidate = {
  target: 'b/1',
  kind: 'skipped',
  reason: 'breaker',
  detail: 'opened by hand',
  untilMs: null,
};
const all = [eligible('a/1'), eligible('b/1'), eligible('c/1')];
const obstacle: Obstacle = {
  target: 'a/1',
  mode: 'graceful',
  candidates: all,
  tried: new Set(),
  nowMs,
  deadlineAtMs: nowMs + hourMs,
};
const fallBackTo = (target: string, delayMs = 0) => ({ kind: 'fall_back', target, delayMs });
const parkFor = (target: string) => ({ kind: 'park', target });
const waitFor = (delayMs: number, waiting: string) => ({ kind: 'wait', delayMs, waiting });
const failWith = (error: string) => ({ kind: 'fail', error });
const nowhere = { candidates: [eligible('a/1'), skipped('b/1')] };

describe('a limit', () => {
  const limited = (change: Partial<LimitObstacle>) =>
    decideLimit({ ...obstacle, waitMs: 3_000, waitedMs: 0, patienceMs: 5_000, ...change });
  const wait = waitFor(3_000, 'rate_limit');

  test.for<[string, Partial<LimitObstacle>, object]>([
    ['is waited for within the patience', {}, wait],
    ['is waited for up to the patience', { waitedMs: 2_000 }, wait],
    ['is left when the waits together are longer', { waitedMs: 2_001 }, fallBackTo('b/1')],
    ['is left at once when the known wait is longer', { waitMs: 5_001 }, fallBackTo('b/1')],
    ['is waited for without end where the class always waits', { patienceMs: null, waitedMs: 86_400_000 }, wait],
    ['is left at once in immediate mode', { mode: 'immediate' }, fallBackTo('b/1')],
    [
      'is left at once in immediate mode by a class that waits',
      { mode: 'immediate', patienceMs: null },
      fallBackTo('b/1'),
    ],
    ['is waited for in immediate mode when it ends now', { mode: 'immediate', waitMs: 0 }, waitFor(1, 'rate_limit')],
    ['is not left without somebody who is asked in manual mode', { mode: 'manual', waitMs: 5_001 }, parkFor('b/1')],
    ['is waited for in manual mode as in graceful', { mode: 'manual' }, wait],
    ['is waited for when there is nowhere else', { ...nowhere, waitedMs: 60_000 }, wait],
    ['is not left for a target that failed', { tried: new Set(['b/1', 'c/1']), waitedMs: 60_000 }, wait],
    [
      'is not left for one that comes back later',
      { candidates: [eligible('a/1'), skipped('b/1', nowMs + 1)], waitedMs: 60_000 },
      wait,
    ],
    [
      'is waited for no longer than the deadline',
      { ...nowhere, deadlineAtMs: nowMs + 2_000 },
      waitFor(2_000, 'rate_limit'),
    ],
    [
      'is left where it would be waited for in vain, also by a class that always waits',
      { waitMs: hourMs, patienceMs: null },
      fallBackTo('b/1'),
    ],
    [
      'is left where it would be waited for in vain, for what comes back in time',
      { candidates: [eligible('a/1'), skipped('b/1', nowMs + 15_000)], waitMs: hourMs },
      fallBackTo('b/1', 15_000),
    ],
  ])('%s', ([, change, expected]) => {
    expect(limited(change)).toEqual(expected);
  });

  const over = { waitedMs: 60_000 } as const;
  test.for<[string, Partial<LimitObstacle>, object]>([
    ['a later target of the chain first', { target: 'b/1' }, fallBackTo('c/1')],
    [
      'the first that is eligible',
      { candidates: [eligible('a/1'), skipped('b/1'), eligible('c/1')] },
      fallBackTo('c/1'),
    ],
    ['the first that did not fail', { tried: new Set(['b/1']) }, fallBackTo('c/1')],
    [
      'an earlier one a moment later, so that no job goes round without a pause',
      { target: 'c/1' },
      fallBackTo('a/1', 3_000),
    ],
    [
      'an earlier one in immediate mode no sooner than here',
      { target: 'c/1', mode: 'immediate', waitMs: 40_000 },
      fallBackTo('a/1', 40_000),
    ],
    ['an earlier one after the patience of its class', { target: 'c/1', waitMs: 3_000_000 }, fallBackTo('a/1', 5_000)],
    [
      'an earlier one after a minute at most',
      { target: 'c/1', waitMs: 3_000_000, patienceMs: 100_000 },
      fallBackTo('a/1', 60_000),
    ],
    [
      'an earlier one only before the deadline',
      { target: 'c/1', deadlineAtMs: nowMs + 1_000 },
      waitFor(1_000, 'rate_limit'),
    ],
    ['an earlier one after somebody was asked', { target: 'c/1', mode: 'manual' }, parkFor('a/1')],
    ['the first of a chain that it has left', { target: 'gone/1' }, fallBackTo('a/1')],
  ])('that is left goes to %s', ([, change, expected]) => {
    expect(limited({ ...over, ...change })).toEqual(expected);
  });
});

const shut = (target: string): Candidate => ({ ...skipped(target, null), reason: 'breaker' }) as Candidate;

describe('an open breaker', () => {
  test.for<[string, Partial<Obstacle>, number | null, object]>([
    ['moves the job on at once', {}, 60_000, fallBackTo('b/1')],
    ['asks somebody first in manual mode', { mode: 'manual' }, 60_000, parkFor('b/1')],
    ['moves it back up the chain after a moment', { target: 'c/1' }, 60_000, fallBackTo('a/1', 1_000)],
    ['is waited for when there is nowhere else', nowhere, 60_000, waitFor(60_000, 'breaker')],
    ['is asked again soon when nobody knows its end', nowhere, null, waitFor(1_000, 'breaker')],
    [
      'that somebody opened without an end is looked at now and then',
      { candidates: [shut('a/1')] },
      null,
      waitFor(60_000, 'breaker'),
    ],
    [
      'is not left for a target that is shut by hand',
      { candidates: [eligible('a/1'), shut('b/1')] },
      null,
      waitFor(1_000, 'breaker'),
    ],
    [
      'is waited for no longer than the deadline',
      { ...nowhere, deadlineAtMs: nowMs + 700 },
      60_000,
      waitFor(700, 'breaker'),
    ],
    ['is never asked again without a pause', nowhere, 0, waitFor(1, 'breaker')],
    [
      'is left for a target that comes back sooner',
      { candidates: [eligible('a/1'), skipped('b/1', nowMs + 15_000)] },
      60_000,
      fallBackTo('b/1', 15_000),
    ],
    [
      'is waited for where the others come back later',
      { candidates: [eligible('a/1'), skipped('b/1', nowMs + 60_000)] },
      60_000,
      waitFor(60_000, 'breaker'),
    ],
  ])('%s', ([, change, waitMs, expected]) => {
    expect(decideBreaker({ ...obstacle, ...change }, waitMs)).toEqual(expected);
  });
});

const [soon, later] = [skipped('b/1', nowMs + 4_000), skipped('c/1', nowMs + 9_000)];
const elsewhere: readonly [string, Partial<Obstacle>, object | null][] = [
  ['moves the job on at once', {}, fallBackTo('b/1')],
  ['asks somebody first in manual mode', { mode: 'manual' }, parkFor('b/1')],
  [
    'passes over targets that are skipped',
    { candidates: [eligible('a/1'), skipped('b/1'), eligible('c/1')] },
    fallBackTo('c/1'),
  ],
  ['goes back up the chain after a moment', { target: 'c/1' }, fallBackTo('a/1', 1_000)],
  [
    'goes to the target that comes back first',
    { candidates: [eligible('a/1'), later, soon] },
    fallBackTo('b/1', 4_000),
  ],
  [
    'waits a moment for one that is just back',
    { candidates: [eligible('a/1'), skipped('b/1', nowMs)] },
    fallBackTo('b/1', 1_000),
  ],
  [
    'looks again in a minute for one that somebody has shut',
    { candidates: [eligible('a/1'), shutByHand] },
    fallBackTo('b/1', 60_000),
  ],
  ['asks before it waits for another', { candidates: [eligible('a/1'), soon], mode: 'manual' }, parkFor('b/1')],
  [
    'ends the job when none comes back before the deadline',
    { candidates: [eligible('a/1'), soon], deadlineAtMs: nowMs + 4_000 },
    null,
  ],
  [
    'ends the job when the one that comes back failed',
    { candidates: [eligible('a/1'), soon], tried: new Set(['b/1']) },
    null,
  ],
  ['ends the job when no other target may serve it', nowhere, null],
  ['ends the job when the others failed', { tried: new Set(['b/1', 'c/1']) }, null],
];

describe('a request that is larger than the limit', () => {
  test.for(elsewhere)('%s', ([, change, expected]) => {
    expect(decideMisfit({ ...obstacle, ...change })).toEqual(expected ?? failWith('exceeds_limit'));
  });
});

type Budget = RefusalObstacle['budget'];
const perTenant: Budget = { per: 'tenant', onExceeded: 'reject' };
const localOnly: Budget = { per: 'tenant', onExceeded: 'local_only' };
const refused = (change: Partial<RefusalObstacle>) =>
  decideRefusal({
    ...{ ...obstacle, refusal: 'budget_exceeded', budget: perTenant },
    ...{ isFree: () => false, isSameSubject: () => false, refusedBefore: new Set<string>(), ...change },
  });

describe('a claim that is refused for a label', () => {
  test.for(elsewhere)('%s', ([, change, expected]) => {
    expect(refused({ ...change, refusal: 'label', budget: null })).toEqual(expected ?? failWith('requirement_unmet'));
  });
});

test.for(['graceful', 'immediate', 'manual'] as const)('a poisonous job ends in %s mode', (mode) => {
  expect(refused({ refusal: 'poison', budget: null, mode })).toEqual(failWith('poison_job'));
});

describe('a claim that is refused for a budget', () => {
  const isFree = (target: string) => target === 'c/1';
  const isSameSubject = (target: string) => target === 'b/1';
  test.for<[string, Partial<RefusalObstacle>, object]>([
    ['ends the job when the budget is of all targets', {}, failWith('budget_exceeded')],
    ['ends it there, free targets or not, when the budget rejects', { isFree }, failWith('budget_exceeded')],
    ['goes on to a free target where those may run', { budget: localOnly, isFree }, fallBackTo('c/1')],
    ['ends the job when none is free', { budget: localOnly }, failWith('budget_exceeded')],
    ['passes over the same provider', { budget: { ...perTenant, per: 'provider' }, isSameSubject }, fallBackTo('c/1')],
    ['passes over the same model', { budget: { ...perTenant, per: 'model' }, isSameSubject }, fallBackTo('c/1')],
    [
      'takes a free target of the same provider',
      { budget: { ...perTenant, per: 'provider' }, isSameSubject: () => true, isFree },
      fallBackTo('c/1'),
    ],
    [
      'ends the job when all are of the same provider',
      { budget: { ...perTenant, per: 'provider' }, isSameSubject: () => true },
      failWith('budget_exceeded'),
    ],
    ['asks somebody first in manual mode', { budget: localOnly, isFree, mode: 'manual' }, parkFor('c/1')],
    [
      'goes to a free target when that is back',
      { budget: localOnly, isFree, candidates: [eligible('a/1'), eligible('b/1'), later] },
      fallBackTo('c/1', 9_000),
    ],
    [
      'never goes to a free target that may not serve the job',
      { budget: localOnly, isFree, candidates: [eligible('a/1'), skipped('c/1')] },
      failWith('budget_exceeded'),
    ],
    [
      'goes back up the chain to what may serve it',
      { budget: localOnly, isFree: () => true, target: 'c/1' },
      fallBackTo('a/1', 1_000),
    ],
    [
      'never goes back to a target whose budget has refused it',
      { budget: localOnly, isFree: () => true, target: 'c/1', refusedBefore: new Set(['a/1', 'b/1']) },
      failWith('budget_exceeded'),
    ],
    [
      'never goes to a target that failed',
      { budget: localOnly, isFree, tried: new Set(['c/1']) },
      failWith('budget_exceeded'),
    ],
  ])('%s', ([, change, expected]) => {
    expect(refused(change)).toEqual(expected);
  });

  test.for(['max_cost', 'budget_unpriced'] as const)('%s says nothing of other targets', (refusal) => {
    expect(refused({ refusal, isSameSubject })).toEqual(fallBackTo('b/1'));
    expect(refused({ refusal, budget: null })).toEqual(fallBackTo('b/1'));
    expect(refused({ refusal, target: 'c/1' })).toEqual(fallBackTo('a/1', 1_000));
    const all = new Set(['a/1', 'b/1', 'c/1']);
    expect(refused({ refusal, target: 'c/1', refusedBefore: all })).toEqual(failWith('budget_exceeded'));
    expect(refused({ refusal, ...nowhere })).toEqual(failWith('budget_exceeded'));
  });
});
