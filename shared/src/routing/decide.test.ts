import { describe, expect, test } from 'vitest';
import type { AttemptRecord } from '../domain/attempt.ts';
import type { Failure, FailureKind } from '../domain/failure.ts';
import type { Candidate } from './candidates.ts';
import { type DecideInput, type DecidePolicy, decide, isExhausted } from './decide.ts';
import { policy as diceless, eligible, hourMs, nowMs } from './fixture-decide.ts';

const policy: DecidePolicy = { ...diceless, backoff: { ...diceless.backoff, jitter: 'full' } };
const skipped = (target: string, untilMs: number | null = null): Candidate => ({
  target,
  kind: 'skipped',
  reason: untilMs === null ? 'label' : 'paused',
  detail: 'a detail',
  untilMs,
});
const all = [eligible('a/1'), eligible('b/1'), eligible('c/1')];

/** Attempts of a run, ten seconds apart, the last of them ten seconds ago. */
function past(...attempts: (Partial<AttemptRecord> & { target: string })[]): AttemptRecord[] {
  return attempts.map((attempt, index) => ({
    n: index + 1,
    status: 'failed',
    failure: 'server_error',
    endedAtMs: nowMs - 10_000 * (attempts.length - index),
    retryAtMs: null,
    ...attempt,
  }));
}

type Change = Partial<Omit<DecideInput, 'failure' | 'policy'>> & {
  readonly kind?: FailureKind;
  readonly failure?: Partial<Failure>;
  readonly policy?: Partial<DecidePolicy>;
};
function decided({ kind = 'overloaded', failure, policy: changed, ...more }: Change) {
  return decide({
    failure: { kind, message: 'HTTP 503', httpStatus: 503, retryAfterMs: null, ...failure },
    target: 'a/1',
    policy: { ...policy, ...changed },
    candidates: all,
    history: [],
    nowMs,
    deadlineAtMs: nowMs + 24 * hourMs,
    random: 0.5,
    isOpenElsewhere: false,
    retryInMs: 0,
    action: null,
    ...more,
  });
}
const retryIn = (delayMs: number, waiting = 'backoff', target = 'a/1') => ({ kind: 'retry', target, delayMs, waiting });
const fallBackTo = (target: string, delayMs: number) => ({ kind: 'fall_back', target, delayMs, waiting: 'backoff' });
const waitFor = (target: string, delayMs: number) => ({ kind: 'wait', target, delayMs, waiting: 'recovery' });
const failWith = (error: string) => ({ kind: 'fail', error });
const overloadedOnA = { target: 'a/1', failure: 'overloaded' } as const;
const limitOnA = { target: 'a/1', failure: 'rate_limit' } as const;

describe('a retry on the same target', () => {
  test.for<[string, Change, object]>([
    ['waits for the backoff', {}, retryIn(500)],
    ['waits longer after each failure', { history: past(overloadedOnA) }, retryIn(1_000)],
    ['waits for the provider when it asks for more', { failure: { retryAfterMs: 7_000 } }, retryIn(7_000)],
    ['keeps to the backoff when the provider asks for less', { failure: { retryAfterMs: 200 } }, retryIn(500)],
    ['gives way after the bound of the kind', { history: past(overloadedOnA, overloadedOnA) }, fallBackTo('b/1', 500)],
    [
      'counts failures of another kind by the bound of the chain alone',
      { history: past({ target: 'a/1' }, overloadedOnA) },
      retryIn(2_000),
    ],
    [
      'gives way after the bound of the chain, whatever the kinds were',
      { history: past({ target: 'a/1' }, { target: 'a/1', failure: 'timeout' }, overloadedOnA) },
      fallBackTo('b/1', 500),
    ],
    ['gives way after the bound of the chain', { policy: { sameTargetRetries: 0 } }, fallBackTo('b/1', 500)],
    [
      'reaches the bound of the chain where the kind has none',
      { kind: 'capacity_tier', history: past(overloadedOnA, overloadedOnA) },
      retryIn(2_000),
    ],
    ['does not count failures of other targets', { history: past({ target: 'b/1' }, { target: 'c/1' }) }, retryIn(500)],
    ['does not count a call that we stopped', { history: past({ target: 'a/1', status: 'aborted' }) }, retryIn(500)],
    [
      'does not count the waits for a limit',
      { kind: 'server_error', history: past(limitOnA, limitOnA, limitOnA) },
      retryIn(4_000),
    ],
    ['gives way in immediate mode', { policy: { mode: 'immediate' } }, fallBackTo('b/1', 0)],
    ['gives way when it would outlive the deadline', { deadlineAtMs: nowMs + 500 }, fallBackTo('b/1', 0)],
    ['is made when it just beats the deadline', { deadlineAtMs: nowMs + 501 }, retryIn(500)],
    [
      'gives way when the target may not serve the job any more',
      { candidates: [skipped('a/1'), eligible('b/1')] },
      fallBackTo('b/1', 500),
    ],
    ['is made for a target that has left the chain', { candidates: [eligible('b/1')] }, retryIn(500)],
  ])('%s', ([, change, expected]) => {
    expect(decided(change)).toEqual(expected);
  });
});

describe('a fallback', () => {
  const content = { kind: 'context_length' } as const;
  test.for<[string, Change, object]>([
    ['goes to the next target of the chain', content, fallBackTo('b/1', 500)],
    ['goes up the chain too', { ...content, target: 'c/1' }, fallBackTo('a/1', 500)],
    [
      'passes over a target that may not serve the job',
      { ...content, candidates: [eligible('a/1'), skipped('b/1'), eligible('c/1')] },
      fallBackTo('c/1', 500),
    ],
    [
      'passes over a target that was tried',
      { ...content, target: 'b/1', history: past({ target: 'a/1' }) },
      fallBackTo('c/1', 1_000),
    ],
    [
      'waits longer each time the run moves on',
      { ...content, target: 'c/1', history: past({ target: 'b/1' }, { target: 'b/1' }), candidates: all },
      fallBackTo('a/1', 1_000),
    ],
    [
      'takes a target whose attempt was lost with its worker for untried',
      { ...content, history: past({ target: 'b/1', status: 'unknown', failure: null }) },
      fallBackTo('b/1', 1_000),
    ],
    [
      'takes a failure without a kind for none',
      { ...content, history: past({ target: 'b/1', failure: null }) },
      fallBackTo('b/1', 1_000),
    ],
    ['does not wait in immediate mode', { ...content, policy: { mode: 'immediate' } }, fallBackTo('b/1', 0)],
    ['does not wait when the deadline is near', { ...content, deadlineAtMs: nowMs + 500 }, fallBackTo('b/1', 0)],
    [
      'returns to a target whose limit has ended',
      { ...content, history: past({ target: 'b/1', failure: 'rate_limit', retryAtMs: nowMs }) },
      fallBackTo('b/1', 1_000),
    ],
    [
      'passes over a target whose limit holds',
      { ...content, history: past({ target: 'b/1', failure: 'rate_limit', retryAtMs: nowMs + 1 }) },
      fallBackTo('c/1', 1_000),
    ],
    [
      'passes over a target just left at its limit, though the provider named no time',
      { ...content, history: past({ target: 'b/1', failure: 'rate_limit', endedAtMs: nowMs - 499, retryAtMs: nowMs }) },
      fallBackTo('c/1', 1_000),
    ],
    [
      'returns to a paused target after the pause of its kind',
      { ...content, history: past({ target: 'b/1', failure: 'auth', endedAtMs: nowMs - hourMs }) },
      fallBackTo('b/1', 1_000),
    ],
    [
      'passes over a paused target until then',
      { ...content, history: past({ target: 'b/1', failure: 'auth', endedAtMs: nowMs - hourMs + 1 }) },
      fallBackTo('c/1', 1_000),
    ],
    [
      'returns to a limit that ended at an unknown time',
      { ...content, history: past({ target: 'b/1', failure: 'rate_limit', endedAtMs: null }) },
      fallBackTo('b/1', 1_000),
    ],
  ])('%s', ([, change, expected]) => {
    expect(decided(change)).toEqual(expected);
  });
});

describe('a limit', () => {
  const limit = { kind: 'rate_limit', failure: { retryAfterMs: 2_000 } } as const;
  const alone = [eligible('a/1')];
  test.for<[string, Change, object]>([
    ['is waited for within the patience', limit, retryIn(2_000, 'rate_limit')],
    ['is waited for up to the patience', { ...limit, policy: { onLimitMs: 2_000 } }, retryIn(2_000, 'rate_limit')],
    ['is left when the known wait is longer', { ...limit, policy: { onLimitMs: 1_999 } }, fallBackTo('b/1', 0)],
    [
      'is waited for without end where the chain says so',
      { ...limit, policy: { onLimitMs: null } },
      retryIn(2_000, 'rate_limit'),
    ],
    ['is left at once in immediate mode', { ...limit, policy: { mode: 'immediate' } }, fallBackTo('b/1', 0)],
    [
      'is left when the waits together are over the patience',
      { ...limit, policy: { onLimitMs: 21_999 }, history: past(limitOnA, limitOnA) },
      fallBackTo('b/1', 0),
    ],
    [
      'is waited for while the waits together are within it',
      { ...limit, policy: { onLimitMs: 22_000 }, history: past(limitOnA, limitOnA) },
      retryIn(2_000, 'rate_limit'),
    ],
    [
      'starts its patience again after another failure',
      { ...limit, policy: { onLimitMs: 14_000 }, history: past(limitOnA, overloadedOnA, limitOnA) },
      retryIn(4_000, 'rate_limit'),
    ],
    [
      'starts its patience again after another target',
      { ...limit, policy: { onLimitMs: 2_000 }, history: past(limitOnA, { target: 'b/1', failure: 'rate_limit' }) },
      retryIn(2_000, 'rate_limit'),
    ],
    [
      'bears an attempt without an end',
      { ...limit, policy: { onLimitMs: 2_000 }, history: past({ ...limitOnA, endedAtMs: null }) },
      retryIn(2_000, 'rate_limit'),
    ],
    [
      'is waited for beyond the patience when there is nowhere else to go',
      { ...limit, policy: { onLimitMs: 0 }, candidates: alone },
      retryIn(2_000, 'rate_limit'),
    ],
    ['is left when the deadline comes first', { ...limit, deadlineAtMs: nowMs + 2_000 }, fallBackTo('b/1', 0)],
    [
      'ends the job when the deadline comes first and nothing else comes back',
      { ...limit, deadlineAtMs: nowMs + 2_000, candidates: [eligible('a/1'), skipped('b/1')] },
      failWith('expired'),
    ],
    [
      'is left for a target that comes back before the deadline',
      { ...limit, deadlineAtMs: nowMs + 2_000, candidates: [eligible('a/1'), skipped('b/1', nowMs + 1_500)] },
      waitFor('b/1', 1_500),
    ],
    [
      'never uses up the attempts',
      { ...limit, history: past(overloadedOnA, limitOnA, limitOnA), policy: { maxAttempts: 2 } },
      retryIn(4_000, 'rate_limit'),
    ],
  ])('%s', ([, change, expected]) => {
    expect(decided(change)).toEqual(expected);
  });
});

describe('a wait of another kind', () => {
  test.for<[string, Change, object]>([
    [
      'for the quota of a day is left at once',
      { kind: 'quota_period', failure: { retryAfterMs: 1_000 } },
      fallBackTo('b/1', 0),
    ],
    [
      'for a loading model is waited for five minutes, whatever the patience for limits',
      { kind: 'model_loading', policy: { onLimitMs: 0 }, failure: { retryAfterMs: 300_000 } },
      retryIn(300_000, 'rate_limit'),
    ],
    [
      'for a loading model is left after five minutes',
      { kind: 'model_loading', failure: { retryAfterMs: 300_001 } },
      fallBackTo('b/1', 0),
    ],
  ])('%s', ([, change, expected]) => {
    expect(decided(change)).toEqual(expected);
  });
});

describe('with no eligible target', () => {
  const content = { kind: 'context_length' } as const;
  const [onlyA, pausedB] = [eligible('a/1'), skipped('b/1', nowMs + 9_000)];
  test.for<[string, Change, object]>([
    ['the job fails when none comes back', { ...content, candidates: [onlyA] }, failWith('attempts_exhausted')],
    ['it waits for a paused target', { ...content, candidates: [onlyA, pausedB] }, waitFor('b/1', 9_000)],
    [
      'it waits for the one that is back first',
      { ...content, candidates: [onlyA, pausedB, skipped('c/1', nowMs + 4_000)] },
      waitFor('c/1', 4_000),
    ],
    [
      'it fails when the deadline comes first',
      { ...content, candidates: [onlyA, pausedB], deadlineAtMs: nowMs + 9_000 },
      failWith('attempts_exhausted'),
    ],
    [
      'it does not wait for a paused target that was tried',
      { ...content, candidates: [onlyA, pausedB], history: past({ target: 'b/1' }) },
      failWith('attempts_exhausted'),
    ],
    [
      'it waits for a target left at its limit',
      {
        ...content,
        candidates: [onlyA, eligible('b/1')],
        history: past({ target: 'b/1', failure: 'rate_limit', retryAtMs: nowMs + 6_000 }),
      },
      waitFor('b/1', 6_000),
    ],
    [
      'it waits for the later of the limit and the pause',
      {
        ...content,
        candidates: [onlyA, pausedB],
        history: past({ target: 'b/1', failure: 'rate_limit', retryAtMs: nowMs + 6_000 }),
      },
      waitFor('b/1', 9_000),
    ],
    ['it waits for the pause of the current one', { kind: 'auth', candidates: [onlyA] }, waitFor('a/1', hourMs)],
    [
      'it does not wait for the current one when it failed for good',
      { ...content, candidates: [skipped('a/1', nowMs + 1_000)] },
      failWith('attempts_exhausted'),
    ],
    [
      'it does not wait for the current one when it may not serve the job',
      { kind: 'rate_limit', candidates: [skipped('a/1')] },
      failWith('attempts_exhausted'),
    ],
    [
      'it waits until the pause of the current one ends',
      { kind: 'rate_limit', candidates: [skipped('a/1', nowMs + 8_000)] },
      waitFor('a/1', 8_000),
    ],
    [
      'it backs off where the chain falls back from limits',
      { kind: 'rate_limit', candidates: [onlyA], policy: { on: { rate_limit: 'fallback' } }, history: past(limitOnA) },
      waitFor('a/1', 1_000),
    ],
    [
      'it never waits for a moment in the past',
      { ...content, candidates: [onlyA, skipped('b/1', nowMs - 5)] },
      waitFor('b/1', 0),
    ],
  ])('%s', ([, change, expected]) => {
    expect(decided(change)).toEqual(expected);
  });
});

describe('the attempts of a run', () => {
  const two = past(overloadedOnA, { target: 'a/1', status: 'unknown', failure: null });
  test.for<[string, Change, object]>([
    ['end the job when they are used up', { policy: { maxAttempts: 1 } }, failWith('attempts_exhausted')],
    ['include those lost with a worker', { history: two, policy: { maxAttempts: 3 } }, failWith('attempts_exhausted')],
    ['leave one more below the bound', { history: two, policy: { maxAttempts: 4 } }, retryIn(1_000)],
    [
      'leave out those that were stopped, and those without a kind',
      {
        history: past({ target: 'b/1', status: 'aborted', failure: null }, { target: 'b/1', failure: null }),
        policy: { maxAttempts: 2 },
      },
      retryIn(500),
    ],
    [
      'are not used up by a failure that does not count',
      { kind: 'unsupported_feature', history: two, policy: { maxAttempts: 3 } },
      fallBackTo('b/1', 500),
    ],
    [
      'end the job after such a failure too: the next call could be one too many',
      { kind: 'unsupported_feature', history: two, policy: { maxAttempts: 2 } },
      failWith('attempts_exhausted'),
    ],
  ])('%s', ([, change, expected]) => {
    expect(decided(change)).toEqual(expected);
  });
});

test.for<[string, number, boolean]>([
  ['below the bound', 3, false],
  ['at the bound', 2, true],
  ['above it', 1, true],
])('calls that count are %s', ([, bound, expected]) => {
  const two = past(overloadedOnA, { target: 'a/1', status: 'unknown', failure: null });
  const stopped = past({ target: 'b/1', status: 'aborted', failure: null });
  expect(isExhausted([...two, ...stopped], bound)).toBe(expected);
});

describe('a chain may say', () => {
  test.for<[string, Change, object]>([
    [
      'that a filtered prompt goes to another provider',
      { kind: 'content_filter', policy: { on: { content_filter: 'fallback' } } },
      fallBackTo('b/1', 500),
    ],
    [
      'that a refusal goes to another provider',
      { kind: 'refusal', policy: { on: { refusal: 'fallback' } } },
      fallBackTo('b/1', 500),
    ],
    ['that an overload ends the job', { policy: { on: { overloaded: 'fail' } } }, failWith('overloaded')],
    [
      'that a long prompt is tried again',
      { kind: 'context_length', policy: { on: { context_length: 'retry' } } },
      retryIn(500),
    ],
    [
      'that a failure is a success',
      { kind: 'bad_output', policy: { on: { bad_output: 'succeed' } } },
      { kind: 'succeed' },
    ],
    ['nothing of other kinds', { policy: { on: { timeout: 'fail' } } }, retryIn(500)],
  ])('%s', ([, change, expected]) => {
    expect(decided(change)).toEqual(expected);
  });
});
