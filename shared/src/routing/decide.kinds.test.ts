/** Every failure kind: the first decision in both modes, and how many retries one target gets. */
import { expect, test } from 'vitest';
import type { AttemptRecord } from '../domain/attempt.ts';
import { type FailureKind, failureKinds } from '../domain/failure.ts';
import { type DecidePolicy, type Decision, decide } from './decide.ts';
import { eligible, hourMs, nowMs, policy } from './fixture-decide.ts';

function decideAfter(kind: FailureKind, mode: DecidePolicy['mode'], failedBefore: number): Decision {
  const earlier: AttemptRecord = {
    n: 1,
    target: 'a/1',
    status: 'failed',
    failure: kind,
    endedAtMs: nowMs,
    retryAtMs: null,
  };
  return decide({
    failure: { kind, message: 'a message', httpStatus: null, retryAfterMs: null },
    target: 'a/1',
    policy: { ...policy, mode },
    candidates: [eligible('a/1'), eligible('b/1')],
    history: Array.from({ length: failedBefore }, (_, index) => ({ ...earlier, n: index + 1 })),
    nowMs,
    deadlineAtMs: nowMs + 24 * hourMs,
    random: 0,
    isOpenElsewhere: false,
    retryInMs: 0,
    action: null,
  });
}

function inWords(decision: Decision): string {
  if (decision.kind === 'succeed') return 'succeed';
  if (decision.kind === 'fail') return `fail ${decision.error}`;
  if (decision.kind === 'park') return `park ${decision.target}`;
  return `${decision.kind} ${decision.target} after ${decision.delayMs}`;
}

type Row = { readonly graceful: string; readonly immediate: string; readonly retries: number };
const retry = (retries: number): Row => ({
  graceful: 'retry a/1 after 1000',
  immediate: 'fall_back b/1 after 0',
  retries,
});
const wait: Row = { ...retry(0), retries: Number.POSITIVE_INFINITY };
const fallback: Row = { graceful: 'fall_back b/1 after 1000', immediate: 'fall_back b/1 after 0', retries: 0 };
const atOnce: Row = { graceful: 'fall_back b/1 after 0', immediate: 'fall_back b/1 after 0', retries: 0 };
const same = (words: string): Row => ({ graceful: words, immediate: words, retries: 0 });

const table: Record<FailureKind, Row> = {
  rate_limit: wait,
  quota_period: atOnce,
  exceeds_limit: fallback,
  billing: fallback,
  auth: fallback,
  permission: fallback,
  region: fallback,
  model_not_found: fallback,
  overloaded: retry(2),
  capacity_tier: retry(3),
  server_error: retry(1),
  timeout: retry(1),
  network: retry(1),
  stream_interrupted: retry(3),
  model_loading: wait,
  context_length: fallback,
  too_large: fallback,
  unsupported_feature: fallback,
  invalid_request: same('fail invalid_request'),
  config: fallback,
  content_filter: same('fail content_filter'),
  refusal: same('succeed'),
  bad_output: retry(2),
  cancelled: same('fail cancelled'),
  unknown: retry(1),
};
const rows = Object.entries(table) as [FailureKind, Row][];

test('the table names every kind', () => {
  expect(Object.keys(table).toSorted()).toEqual(failureKinds.toSorted());
});

test.for(rows)('%s decides in graceful mode as its row says', ([kind, row]) => {
  expect(inWords(decideAfter(kind, 'graceful', 0))).toBe(row.graceful);
});

test.for(rows)('%s decides in immediate mode as its row says', ([kind, row]) => {
  expect(inWords(decideAfter(kind, 'immediate', 0))).toBe(row.immediate);
});

test.for(rows.filter(([, { retries }]) => Number.isFinite(retries)))(
  '%s gets its retries on one target, and no more',
  ([kind, { retries }]) => {
    const decisions = [0, 1, 2, 3].map((failedBefore) => decideAfter(kind, 'graceful', failedBefore).kind);
    expect(decisions.filter((decided) => decided === 'retry')).toHaveLength(retries);
    expect(decisions[retries]).not.toBe('retry');
  },
);
