/** What the caller and the provider say of a single failure, over what its kind says. */
import { describe, expect, test } from 'vitest';
import type { Failure, FailureKind } from '../domain/failure.ts';
import type { Candidate } from './candidates.ts';
import { type DecideInput, decide } from './decide.ts';
import { eligible, hourMs, nowMs, policy } from './fixture-decide.ts';

type Change = Partial<Omit<DecideInput, 'failure'>> & { readonly failure?: Partial<Failure> };
const decided = (kind: FailureKind, { failure, ...more }: Change = {}) =>
  decide({
    failure: { kind, message: 'HTTP 500', httpStatus: 500, retryAfterMs: null, ...failure },
    target: 'a/1',
    policy,
    candidates: [eligible('a/1'), eligible('b/1')],
    history: [],
    nowMs,
    deadlineAtMs: nowMs + hourMs,
    random: 0,
    isOpenElsewhere: false,
    retryInMs: 0,
    action: null,
    ...more,
  });
const retryIn = (delayMs: number) => ({ kind: 'retry', target: 'a/1', delayMs, waiting: 'backoff' });
const fallBackTo = (target: string, delayMs: number) => ({ kind: 'fall_back', target, delayMs, waiting: 'backoff' });
const failWith = (error: string) => ({ kind: 'fail', error });

describe('the caller may say what is done, whatever chain and kind say', () => {
  test.for<[string, FailureKind, Change, object]>([
    ['fall back', 'bad_output', { action: 'fallback' }, fallBackTo('b/1', 1_000)],
    [
      'fall back where the chain fails',
      'bad_output',
      { action: 'fallback', policy: { ...policy, on: { bad_output: 'fail' } } },
      fallBackTo('b/1', 1_000),
    ],
    ['fail where the kind is tried again', 'bad_output', { action: 'fail' }, failWith('bad_output')],
    ['try again where the kind falls back', 'context_length', { action: 'retry' }, retryIn(1_000)],
    ['succeed', 'bad_output', { action: 'succeed' }, { kind: 'succeed' }],
    ['nothing: the kind decides', 'bad_output', {}, retryIn(1_000)],
  ])('%s', ([, kind, change, expected]) => {
    expect(decided(kind, change)).toEqual(expected);
  });

  test('but the attempts of a run are bounded all the same', () => {
    const change = { action: 'retry', policy: { ...policy, maxAttempts: 1 } } as const;
    expect(decided('bad_output', change)).toEqual(failWith('attempts_exhausted'));
  });
});

describe('a failure of which the provider said that asking again is of no use', () => {
  const failure = { isFinalHere: true } as const;
  test.for<[string, FailureKind, Change, object]>([
    ['is not tried again here', 'overloaded', { failure }, fallBackTo('b/1', 1_000)],
    ['is not waited for here either', 'rate_limit', { failure }, fallBackTo('b/1', 0)],
    [
      'ends the job where there is nothing else',
      'overloaded',
      { failure, candidates: [eligible('a/1')] },
      failWith('attempts_exhausted'),
    ],
    [
      'is not tried again, though the caller asks for it',
      'overloaded',
      { failure, action: 'retry' },
      fallBackTo('b/1', 1_000),
    ],
    [
      'is tried with another credential, if it was the credential that was refused',
      'rate_limit',
      { failure, isOpenElsewhere: true },
      { ...retryIn(0), waiting: 'rate_limit' },
    ],
  ])('%s', ([, kind, change, expected]) => {
    expect(decided(kind, change)).toEqual(expected);
  });
});

describe('a limit that the fleet was told of before the job has decided', () => {
  const closed = (reason: 'limited' | 'paused'): Candidate => ({
    target: 'a/1',
    kind: 'skipped',
    reason,
    detail: 'closed',
    untilMs: nowMs + 30_000,
  });
  const limited = (reason: 'limited' | 'paused', onLimitMs: number | null) =>
    decided('rate_limit', {
      failure: { retryAfterMs: 30_000 },
      candidates: [closed(reason), eligible('b/1')],
      policy: { ...policy, onLimitMs },
    });

  test.for<[string, object, object]>([
    [
      'is waited for as long as the job has patience',
      limited('limited', 60_000),
      { kind: 'retry', target: 'a/1', delayMs: 30_000, waiting: 'rate_limit' },
    ],
    [
      'is waited for by a job that always waits',
      limited('limited', null),
      { kind: 'retry', target: 'a/1', delayMs: 30_000, waiting: 'rate_limit' },
    ],
    ['is left behind by a job without that patience', limited('limited', 5_000), fallBackTo('b/1', 0)],
    ['is not to be confused with a target that failed', limited('paused', null), fallBackTo('b/1', 0)],
  ])('%s', ([, decision, expected]) => {
    expect(decision).toEqual(expected);
  });
});
