/** Another credential, or another account, of the same target: tried at once when only the credential was refused. */
import { describe, expect, test } from 'vitest';
import type { AttemptRecord } from '../domain/attempt.ts';
import { type FailureAction, type FailureKind, failureKinds } from '../domain/failure.ts';
import type { Candidate } from './candidates.ts';
import { type DecideInput, type DecidePolicy, decide } from './decide.ts';
import { eligible, hourMs, nowMs, policy } from './fixture-decide.ts';

const open: readonly Candidate[] = ['a/1', 'b/1'].map(eligible);
const skipped: Candidate = { target: 'a/1', kind: 'skipped', reason: 'disabled', detail: 'off', untilMs: null };
const failedTimes = (n: number, failure: FailureKind = 'auth', target = 'a/1'): AttemptRecord[] =>
  Array.from({ length: n }, (_, index) => ({
    ...{ n: index + 1, target, status: 'failed' as const, failure, endedAtMs: nowMs - 1_000, retryAtMs: null },
  }));

type Change = Partial<Omit<DecideInput, 'failure' | 'policy'>> & { readonly policy?: Partial<DecidePolicy> };
const decided = (kind: FailureKind, { policy: changed, ...more }: Change = {}) =>
  decide({
    failure: { kind, message: 'HTTP 4xx', httpStatus: 401, retryAfterMs: null },
    target: 'a/1',
    policy: { ...policy, ...changed },
    candidates: open,
    history: [],
    nowMs,
    deadlineAtMs: nowMs + hourMs,
    random: 0,
    isOpenElsewhere: true,
    retryInMs: 0,
    action: null,
    ...more,
  });
const switched = { kind: 'retry', target: 'a/1', delayMs: 0, waiting: 'rate_limit' };

const ofCredential: readonly FailureKind[] = ['rate_limit', 'quota_period', 'billing', 'auth', 'permission'];

describe('another credential of the same target', () => {
  test.for(ofCredential)('is tried at once after %s', (kind) => {
    expect(decided(kind)).toEqual(switched);
  });

  test.for(ofCredential)('is not tried after %s when there is none', (kind) => {
    expect(decided(kind, { isOpenElsewhere: false })).not.toEqual(switched);
  });

  test.for(failureKinds.filter((kind) => !ofCredential.includes(kind)))(
    'changes nothing of %s, which says nothing of the credential',
    (kind) => {
      expect(decided(kind)).toEqual(decided(kind, { isOpenElsewhere: false }));
    },
  );

  test.for<[string, FailureKind, Change]>([
    ['in immediate mode', 'rate_limit', { policy: { mode: 'immediate' } }],
    ['when the chain says what becomes of the kind', 'rate_limit', { policy: { on: { rate_limit: 'fallback' } } }],
    ['when the chain says so of another credential kind', 'auth', { policy: { on: { auth: 'fallback' } } }],
    ['when the target may not serve the job any more', 'auth', { candidates: [skipped, ...open.slice(1)] }],
    ['without end', 'auth', { history: failedTimes(32) }],
    ['when the caller says to fall back', 'auth', { action: 'fallback' }],
  ])('is not tried %s', ([, kind, change]) => {
    expect(decided(kind, change)).toMatchObject({ kind: 'fall_back', target: 'b/1' });
  });

  test('is tried as often as a provider can have credentials', () => {
    expect(decided('auth', { history: failedTimes(31) })).toEqual(switched);
    const elsewhere = [...failedTimes(20), ...failedTimes(20, 'auth', 'b/1')];
    expect(decided('auth', { history: elsewhere })).toEqual(switched);
  });

  test('is tried for a target that has left the chain: the job is there', () => {
    expect(decided('auth', { candidates: open.slice(1) })).toEqual(switched);
  });

  test('is tried when the chain speaks of other kinds only', () => {
    const on: Partial<Record<FailureKind, FailureAction>> = { billing: 'fail', overloaded: 'fallback' };
    expect(decided('auth', { policy: { on } })).toEqual(switched);
    expect(decided('billing', { policy: { on } })).toEqual({ kind: 'fail', error: 'billing' });
  });

  test('is tried however often one was refused: that does not count', () => {
    expect(decided('auth', { policy: { maxAttempts: 1 }, history: failedTimes(3, 'billing') })).toEqual(switched);
  });

  test('is not tried when there are no attempts left', () => {
    const change = { policy: { maxAttempts: 3 }, history: failedTimes(3, 'server_error') };
    expect(decided('auth', change)).toEqual({ kind: 'fail', error: 'attempts_exhausted' });
  });
});
