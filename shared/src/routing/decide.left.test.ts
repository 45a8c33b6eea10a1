/**
 * Targets that are left while some of their retries are unused: for the provider's budget of retries, an open breaker, or a
 * pause. They are skipped, not tried. And chains that ask somebody before each fallback.
 */
import { describe, expect, test } from 'vitest';
import type { AttemptRecord } from '../domain/attempt.ts';
import type { Failure, FailureKind } from '../domain/failure.ts';
import type { Candidate, SkipReason } from './candidates.ts';
import { comesBackAtMs, type DecideInput, type DecidePolicy, type Decision, decide } from './decide.ts';
import { eligible, hourMs, nowMs, policy } from './fixture-decide.ts';

const skipped = (target: string, untilMs: number | null, reason: SkipReason = 'breaker'): Candidate => ({
  ...{ target, kind: 'skipped', reason, detail: 'a detail', untilMs },
});
const [onlyA, both] = [[eligible('a/1')], [eligible('a/1'), eligible('b/1')]];
const failed = (target: string, failure: FailureKind, retryAtMs: number | null = null): AttemptRecord => ({
  ...{ n: 1, target, status: 'failed', failure, endedAtMs: nowMs - 10_000, retryAtMs },
});

type Change = Partial<Omit<DecideInput, 'failure' | 'policy'>> & {
  readonly kind?: FailureKind;
  readonly failure?: Partial<Failure>;
  readonly policy?: Partial<DecidePolicy>;
};
const inputOf = ({ kind = 'overloaded', failure, policy: changed, ...more }: Change): DecideInput => ({
  failure: { kind, message: 'HTTP 503', httpStatus: 503, retryAfterMs: null, ...failure },
  target: 'a/1',
  policy: { ...policy, ...changed },
  candidates: both,
  history: [],
  nowMs,
  deadlineAtMs: nowMs + hourMs,
  random: 0,
  isOpenElsewhere: false,
  retryInMs: 0,
  action: null,
  ...more,
});
const retryIn = (delayMs: number, waiting = 'backoff') => ({ kind: 'retry', target: 'a/1', delayMs, waiting });
const fallBackTo = (target: string, delayMs: number) => ({ kind: 'fall_back', target, delayMs, waiting: 'backoff' });
const waitFor = (target: string, delayMs: number) => ({ kind: 'wait', target, delayMs, waiting: 'recovery' });
const parkFor = (target: string) => ({ kind: 'park', target });
const usedUp = { kind: 'fail', error: 'attempts_exhausted' };

const decisions = (table: [string, Change, object][]) =>
  test.for(table)('%s', ([, change, expected]) => {
    expect(decide(inputOf(change))).toEqual(expected);
  });

describe('with the budget of retries empty', () => {
  const retryInMs = 5_000;
  decisions([
    ['a retry becomes a fallback', { retryInMs }, fallBackTo('b/1', 1_000)],
    ['somebody is asked about it in manual mode', { retryInMs, policy: { mode: 'manual' } }, parkFor('b/1')],
    ['a retry is delayed where there is nowhere else', { retryInMs, candidates: onlyA }, retryIn(5_000)],
    ['so it is in manual mode', { retryInMs, candidates: onlyA, policy: { mode: 'manual' } }, retryIn(5_000)],
    ['so it is where the others were tried', { retryInMs, history: [failed('b/1', 'timeout')] }, retryIn(5_000)],
    ['the backoff counts when it is longer', { retryInMs: 400, candidates: onlyA }, retryIn(1_000)],
    [
      'the provider’s own time counts when it is longer',
      { retryInMs, candidates: onlyA, failure: { retryAfterMs: 7_000 } },
      retryIn(7_000),
    ],
    [
      'the job ends when the deadline is earlier',
      { retryInMs, candidates: onlyA, deadlineAtMs: nowMs + 5_000 },
      usedUp,
    ],
    ['it is retried just before it', { retryInMs, candidates: onlyA, deadlineAtMs: nowMs + 5_001 }, retryIn(5_000)],
    [
      'another is waited for that comes back before it',
      { retryInMs, candidates: [eligible('a/1'), skipped('b/1', nowMs + 3_000)], deadlineAtMs: nowMs + 5_000 },
      waitFor('b/1', 3_000),
    ],
    ['a limit is waited for all the same', { retryInMs, kind: 'rate_limit' }, retryIn(1_000, 'rate_limit')],
    [
      'a model that loads is waited for all the same',
      { retryInMs, kind: 'model_loading' },
      retryIn(1_000, 'rate_limit'),
    ],
    [
      'another credential is tried all the same',
      { retryInMs, kind: 'auth', isOpenElsewhere: true },
      retryIn(0, 'rate_limit'),
    ],
    ['a fallback is not delayed', { retryInMs, kind: 'context_length' }, fallBackTo('b/1', 1_000)],
    ['nor is one in immediate mode', { retryInMs, policy: { mode: 'immediate' } }, fallBackTo('b/1', 0)],
  ]);
});

describe('a target whose retries are not used up', () => {
  const [open, other] = [skipped('a/1', nowMs + 8_000), skipped('b/1', nowMs + 9_000)];
  decisions([
    ['is left when its breaker has opened', { candidates: [open, eligible('b/1')] }, fallBackTo('b/1', 1_000)],
    ['is waited for where there is nowhere else', { candidates: [open] }, waitFor('a/1', 8_000)],
    ['is waited for before one that comes back later', { candidates: [open, other] }, waitFor('a/1', 8_000)],
    [
      'is waited for behind a pause too',
      { candidates: [skipped('a/1', nowMs + 8_000, 'paused')] },
      waitFor('a/1', 8_000),
    ],
    ['is waited for until its backoff ends', { candidates: [skipped('a/1', nowMs + 100)] }, waitFor('a/1', 1_000)],
    ['is waited for until there is a retry', { candidates: [open], retryInMs: 9_500 }, waitFor('a/1', 9_500)],
    ['is not waited for beyond the deadline', { candidates: [open], deadlineAtMs: nowMs + 8_000 }, usedUp],
    [
      'is looked at now and then while it is shut by hand',
      { candidates: [skipped('a/1', null)] },
      waitFor('a/1', 60_000),
    ],
    ['is not waited for until somebody acts', { candidates: [skipped('a/1', null, 'paused')] }, usedUp],
    ['is not waited for in immediate mode', { candidates: [open], policy: { mode: 'immediate' } }, usedUp],
    [
      'is not waited for when asking again is of no use',
      { candidates: [open], failure: { isFinalHere: true } },
      usedUp,
    ],
    [
      'is not waited for when the chain falls back',
      { candidates: [open], policy: { on: { overloaded: 'fallback' } } },
      usedUp,
    ],
    ['is not waited for when the caller says so', { candidates: [open], action: 'fallback' }, usedUp],
    [
      'is not waited for once they are',
      { candidates: [open], history: [failed('a/1', 'overloaded'), failed('a/1', 'overloaded')] },
      usedUp,
    ],
    ['is not waited for by a kind without any', { candidates: [open], kind: 'context_length' }, usedUp],
  ]);

  const left = (retryAtMs: number | null) =>
    ({ target: 'b/1', kind: 'context_length', history: [failed('a/1', 'overloaded', retryAtMs)] }) as const;
  decisions([
    ['is gone back to', left(nowMs), fallBackTo('a/1', 2_000)],
    ['is not gone back to before its time', left(nowMs + 1), waitFor('a/1', 1)],
    [
      'is not gone back to while its breaker is open',
      { ...left(nowMs), candidates: [open, eligible('b/1')] },
      waitFor('a/1', 8_000),
    ],
    ['is tried when they are', left(null), usedUp],
  ]);
});

describe('when the target that failed comes back', () => {
  const retry = { kind: 'retry', target: 'a/1', delayMs: 1_500, waiting: 'backoff' } as const;
  const fallback = { kind: 'fall_back', target: 'b/1', delayMs: 0, waiting: 'backoff' } as const;
  test.for<[string, Change, Decision, number | null]>([
    ['not in this run, when it fell back for good', { kind: 'context_length' }, fallback, null],
    ['not in this run, when its retries are used up', { policy: { sameTargetRetries: 0 } }, fallback, null],
    ['not in this run, when asking again is of no use', { failure: { isFinalHere: true } }, fallback, null],
    ['not in this run, when the caller fell back', { action: 'fallback' }, fallback, null],
    ['not in this run, in immediate mode', { policy: { mode: 'immediate' } }, fallback, null],
    ['when its backoff ends', {}, retry, nowMs + 1_500],
    ['at once, when it was left with retries', {}, fallback, nowMs],
    ['when there is a retry again', { retryInMs: 4_000 }, fallback, nowMs + 4_000],
    [
      'when the provider says, left with retries',
      { failure: { retryAfterMs: 6_000 }, retryInMs: 4_000 },
      fallback,
      nowMs + 6_000,
    ],
    ['when a limit ends', { kind: 'rate_limit', failure: { retryAfterMs: 6_000 } }, fallback, nowMs + 6_000],
    ['at once after a limit without an end', { kind: 'rate_limit' }, fallback, nowMs],
    ['when the wait for a limit ends', { kind: 'rate_limit' }, retry, nowMs + 1_500],
    ['when the pause of its kind ends', { kind: 'auth' }, fallback, nowMs + hourMs],
    [
      'when the provider says, sooner than its kind',
      { kind: 'auth', failure: { retryAfterMs: 9 } },
      fallback,
      nowMs + 9,
    ],
    [
      'a minute later, left with retries, when the provider named what it takes out',
      { failure: { scope: 'account' } },
      fallback,
      nowMs + 60_000,
    ],
    [
      'not in this run, though it takes out an account',
      { kind: 'too_large', failure: { scope: 'account' } },
      fallback,
      null,
    ],
    [
      'at once, for another credential',
      { kind: 'auth', failure: { retryAfterMs: 0 } },
      { ...retry, delayMs: 0 },
      nowMs,
    ],
  ])('%s', ([, change, decision, expected]) => {
    expect(comesBackAtMs(inputOf(change), decision)).toBe(expected);
  });
});

describe('in manual mode', () => {
  const content = { kind: 'context_length', policy: { mode: 'manual' } } as const;
  decisions([
    ['somebody is asked before each fallback', content, parkFor('b/1')],
    [
      'and before a wait for another target',
      { ...content, candidates: [eligible('a/1'), skipped('b/1', nowMs + 5_000)] },
      parkFor('b/1'),
    ],
    ['not before a wait for the same one', { ...content, kind: 'config', candidates: onlyA }, waitFor('a/1', 600_000)],
    ['not before a retry', { ...content, kind: 'timeout' }, retryIn(1_000)],
    ['not when there is nothing to fall back to', { ...content, candidates: onlyA }, usedUp],
    [
      'nor when the one that comes back is too late',
      { ...content, candidates: [skipped('b/1', nowMs + hourMs)] },
      usedUp,
    ],
    [
      'another credential needs no leave',
      { ...content, kind: 'auth', isOpenElsewhere: true },
      retryIn(0, 'rate_limit'),
    ],
  ]);
});

describe('what leaves the retries of a target whole', () => {
  const dead = (n: number) => Array.from({ length: n }, () => failed('a/1', 'auth', nowMs - 1));
  decisions([
    ['credentials that were refused before one served', { history: dead(3), candidates: onlyA }, retryIn(8_000)],
    [
      'they use up their own where a chain retries them',
      { kind: 'auth', history: dead(3), policy: { on: { auth: 'retry' } } },
      fallBackTo('b/1', 1_000),
    ],
  ]);
});

describe('a limit of which the provider says that asking again is of no use', () => {
  const final = { kind: 'rate_limit', failure: { isFinalHere: true } } as const;
  decisions([
    ['is left', final, fallBackTo('b/1', 0)],
    ['ends the job where there is nowhere else', { ...final, candidates: onlyA }, usedUp],
    [
      'is waited for where it named a time',
      { kind: 'rate_limit', failure: { isFinalHere: true, retryAfterMs: 7_000 }, candidates: onlyA },
      waitFor('a/1', 7_000),
    ],
  ]);
  test('is not gone back to in this run', () => {
    const input = inputOf(final);
    expect(comesBackAtMs(input, decide(input))).toBe(nowMs + hourMs);
  });
});

describe('a limit of a whole account', () => {
  const held = { kind: 'rate_limit', failure: { scope: 'credential' } } as const;
  test('lasts as long for the job that met it as for those that did not', () => {
    const input = inputOf({ ...held, candidates: [skipped('a/1', nowMs + 60_000, 'paused')] });
    const decision = decide(input);
    expect(decision).toEqual(waitFor('a/1', 60_000));
    expect(comesBackAtMs(input, decision)).toBe(nowMs + 60_000);
  });
});

test('immediate mode does not wait, whatever the dice say', () => {
  const backoff = { initialMs: 1, factor: 1, maxMs: 1, jitter: 'full' } as const;
  const input = inputOf({ kind: 'rate_limit', policy: { mode: 'immediate', backoff } });
  expect(decide(input)).toEqual(fallBackTo('b/1', 0));
});
