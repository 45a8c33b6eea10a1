/**
 * Every failure kind in every mode and class: what becomes of a job at its first failure, while another target is
 * eligible. The provider has asked for ten seconds, which is more than an interactive job waits for a limit.
 */
import { describe, expect, test } from 'vitest';
import { type FailureKind, failureKinds } from '../domain/failure.ts';
import { type Decision, decide } from './decide.ts';
import { eligible, nowMs, policy } from './fixture-decide.ts';

const modes = ['graceful', 'immediate', 'manual'] as const;
const classes = ['interactive', 'normal', 'bulk'] as const;
type Mode = (typeof modes)[number];
type Class = (typeof classes)[number];

const patienceMs: Record<Class, number | null> = { interactive: 5_000, normal: 60_000, bulk: null };
const deadlineMs: Record<Class, number> = { interactive: 600_000, normal: 86_400_000, bulk: 604_800_000 };

const decideFirst = (kind: FailureKind, mode: Mode, of: Class): Decision =>
  decide({
    failure: { kind, message: 'a message', httpStatus: null, retryAfterMs: 10_000 },
    target: 'a/1',
    policy: { ...policy, mode, onLimitMs: patienceMs[of] },
    candidates: [eligible('a/1'), eligible('b/1')],
    history: [],
    nowMs,
    deadlineAtMs: nowMs + deadlineMs[of],
    random: 0,
    isOpenElsewhere: false,
    retryInMs: 0,
    action: null,
  });

type Word = keyof typeof words;
const words = {
  /** The same target after the time that the provider asked for. */
  retry: { kind: 'retry', target: 'a/1', delayMs: 10_000, waiting: 'backoff' },
  /** The same, but nothing is used up by it. */
  limit: { kind: 'retry', target: 'a/1', delayMs: 10_000, waiting: 'rate_limit' },
  /** The other target, after the backoff of the first fallback. */
  next: { kind: 'fall_back', target: 'b/1', delayMs: 1_000, waiting: 'backoff' },
  /** The other target, at once. */
  now: { kind: 'fall_back', target: 'b/1', delayMs: 0, waiting: 'backoff' },
  park: { kind: 'park', target: 'b/1' },
  fail: { kind: 'fail' },
  succeed: { kind: 'succeed' },
} as const satisfies Record<string, Partial<Decision>>;

type Row = readonly [interactive: Word, normal: Word, bulk: Word];
const table: Record<FailureKind, Record<Mode, Row>> = {
  rate_limit: {
    graceful: ['now', 'limit', 'limit'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'limit', 'limit'],
  },
  quota_period: {
    graceful: ['now', 'now', 'now'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  exceeds_limit: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  billing: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  auth: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  permission: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  region: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  model_not_found: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  overloaded: {
    graceful: ['retry', 'retry', 'retry'],
    immediate: ['now', 'now', 'now'],
    manual: ['retry', 'retry', 'retry'],
  },
  capacity_tier: {
    graceful: ['retry', 'retry', 'retry'],
    immediate: ['now', 'now', 'now'],
    manual: ['retry', 'retry', 'retry'],
  },
  server_error: {
    graceful: ['retry', 'retry', 'retry'],
    immediate: ['now', 'now', 'now'],
    manual: ['retry', 'retry', 'retry'],
  },
  timeout: {
    graceful: ['retry', 'retry', 'retry'],
    immediate: ['now', 'now', 'now'],
    manual: ['retry', 'retry', 'retry'],
  },
  network: {
    graceful: ['retry', 'retry', 'retry'],
    immediate: ['now', 'now', 'now'],
    manual: ['retry', 'retry', 'retry'],
  },
  stream_interrupted: {
    graceful: ['retry', 'retry', 'retry'],
    immediate: ['now', 'now', 'now'],
    manual: ['retry', 'retry', 'retry'],
  },
  // The patience with a server that loads its model is the same for all classes.
  model_loading: {
    graceful: ['limit', 'limit', 'limit'],
    immediate: ['now', 'now', 'now'],
    manual: ['limit', 'limit', 'limit'],
  },
  context_length: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  too_large: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  unsupported_feature: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  invalid_request: {
    graceful: ['fail', 'fail', 'fail'],
    immediate: ['fail', 'fail', 'fail'],
    manual: ['fail', 'fail', 'fail'],
  },
  config: {
    graceful: ['next', 'next', 'next'],
    immediate: ['now', 'now', 'now'],
    manual: ['park', 'park', 'park'],
  },
  content_filter: {
    graceful: ['fail', 'fail', 'fail'],
    immediate: ['fail', 'fail', 'fail'],
    manual: ['fail', 'fail', 'fail'],
  },
  refusal: {
    graceful: ['succeed', 'succeed', 'succeed'],
    immediate: ['succeed', 'succeed', 'succeed'],
    manual: ['succeed', 'succeed', 'succeed'],
  },
  bad_output: {
    graceful: ['retry', 'retry', 'retry'],
    immediate: ['now', 'now', 'now'],
    manual: ['retry', 'retry', 'retry'],
  },
  cancelled: {
    graceful: ['fail', 'fail', 'fail'],
    immediate: ['fail', 'fail', 'fail'],
    manual: ['fail', 'fail', 'fail'],
  },
  unknown: {
    graceful: ['retry', 'retry', 'retry'],
    immediate: ['now', 'now', 'now'],
    manual: ['retry', 'retry', 'retry'],
  },
};

test('the table names every kind', () => {
  expect(Object.keys(table).toSorted()).toEqual(failureKinds.toSorted());
});

describe.for(failureKinds)('%s', (kind) => {
  const cells = modes.flatMap((mode) =>
    classes.map((of, index) => [mode, of, table[kind][mode][index] as Word] as const),
  );
  test.for(cells)('in %s mode, %s: %s', ([mode, of, word]) => {
    const expected = word === 'fail' ? { kind: 'fail', error: kind } : words[word];
    expect(decideFirst(kind, mode, of)).toEqual(expected);
  });
});
