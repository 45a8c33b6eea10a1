/**
 * What becomes of a job whose attempt failed.
 *
 * Pure: clock, randomness, history and the state of the targets come in as values, so its test is a table. Waiting
 * is not failing: a limit, a loading model or a pause delays a job or moves it on, and never uses up its attempts.
 * A target left for such a reason is skipped, and eligible again when that ends; one whose retries are used up, or
 * that failed in a way no retry mends, is tried, and stays so for the run.
 */
import type { AttemptRecord } from '../domain/attempt.ts';
import {
  type Failure,
  type FailureAction,
  type FailureKind,
  type FailureRule,
  type FinalKind,
  failureRule,
} from '../domain/failure.ts';
import type { WaitingReason } from '../domain/job.ts';
import { type BackoffPolicy, backoffMs } from './backoff.ts';
import type { Candidate } from './candidates.ts';

export interface DecidePolicy {
  readonly mode: 'graceful' | 'immediate';
  readonly sameTargetRetries: number;
  readonly maxAttempts: number;
  /** How long to wait for a limit before falling back; null: for ever. */
  readonly onLimitMs: number | null;
  readonly backoff: BackoffPolicy;
  readonly on: Readonly<Partial<Record<FailureKind, FailureAction>>>;
}

export interface DecideInput {
  readonly failure: Failure;
  readonly target: string;
  readonly policy: DecidePolicy;
  /** Of the whole chain, in the order to try. */
  readonly candidates: readonly Candidate[];
  /** Earlier attempts of this run, oldest first. */
  readonly history: readonly AttemptRecord[];
  readonly nowMs: number;
  readonly deadlineAtMs: number;
  /** From [0, 1). */
  readonly random: number;
}

export type Decision =
  | { readonly kind: 'succeed' }
  | { readonly kind: 'retry'; readonly target: string; readonly delayMs: number; readonly waiting: WaitingReason }
  | { readonly kind: 'fall_back'; readonly target: string; readonly delayMs: number; readonly waiting: WaitingReason }
  | { readonly kind: 'wait'; readonly target: string; readonly delayMs: number; readonly waiting: 'recovery' }
  | { readonly kind: 'fail'; readonly error: FailureKind | FinalKind };

/** A server that loads its model is given this long before another target is asked. */
export const loadingPatienceMs = 5 * 60_000;

export function decide(input: DecideInput): Decision {
  const { failure, policy, history } = input;
  const rule = failureRule(failure.kind);
  const action = policy.on[failure.kind] ?? rule.action;
  if (action === 'succeed') return { kind: 'succeed' };
  if (action === 'fail') return { kind: 'fail', error: failure.kind };
  const counted = history.filter(countsAsAttempt).length + (rule.counts ? 1 : 0);
  if (rule.counts && counted >= policy.maxAttempts) return { kind: 'fail', error: 'attempts_exhausted' };
  const retry = action === 'retry' ? decideRetry(input, rule) : null;
  return retry ?? decideFallback(input, rule);
}

const countsAsAttempt = (attempt: AttemptRecord): boolean =>
  attempt.status === 'unknown' ||
  (attempt.status === 'failed' && attempt.failure !== null && failureRule(attempt.failure).counts);

const failedOn = (history: readonly AttemptRecord[], target: string): number =>
  history.filter((attempt) => attempt.target === target && attempt.status === 'failed').length;

/** null: not here, not now. */
function decideRetry(input: DecideInput, rule: FailureRule): Decision | null {
  const { failure, target, policy, history, nowMs, deadlineAtMs, random } = input;
  const k = failedOn(history, target) + 1;
  const delayMs = Math.max(backoffMs(k, policy.backoff, random), failure.retryAfterMs ?? 0);
  if (input.candidates.find((candidate) => candidate.target === target)?.kind === 'skipped') return null;
  if (rule.waiting) return decideWaiting(input, delayMs);
  const bound = Math.min(policy.sameTargetRetries, rule.retries ?? policy.sameTargetRetries);
  if (policy.mode === 'immediate' || k > bound || nowMs + delayMs >= deadlineAtMs) return null;
  return { kind: 'retry', target, delayMs, waiting: 'backoff' };
}

/** A limit or a loading model: wait here while patience lasts, or while there is nowhere else to go. */
function decideWaiting(input: DecideInput, delayMs: number): Decision | null {
  const { failure, target, policy, history, nowMs, deadlineAtMs } = input;
  const patienceMs =
    policy.mode === 'immediate' ? 0 : failure.kind === 'model_loading' ? loadingPatienceMs : policy.onLimitMs;
  const waitedMs = nowMs - waitingSince(history, target, nowMs);
  const isOverPatience = patienceMs !== null && waitedMs + delayMs > patienceMs;
  const isOverDeadline = nowMs + delayMs >= deadlineAtMs;
  if ((isOverPatience || isOverDeadline) && firstEligible(input) !== null) return null;
  if (isOverDeadline) return { kind: 'fail', error: 'expired' };
  return { kind: 'retry', target, delayMs, waiting: 'rate_limit' };
}

/** When the unbroken run of waiting failures on this target began. */
function waitingSince(history: readonly AttemptRecord[], target: string, nowMs: number): number {
  let since = nowMs;
  for (const attempt of history.toReversed()) {
    const isWaiting = attempt.target === target && attempt.failure !== null && failureRule(attempt.failure).waiting;
    if (!isWaiting) break;
    since = attempt.endedAtMs ?? since;
  }
  return since;
}

function decideFallback(input: DecideInput, rule: FailureRule): Decision {
  const { policy, history, nowMs, deadlineAtMs, random } = input;
  const next = firstEligible(input);
  if (next !== null) {
    const isAtOnce = policy.mode === 'immediate' || rule.waiting;
    const delayMs = isAtOnce ? 0 : backoffMs(fallbacksIn(history) + 1, policy.backoff, random);
    return {
      kind: 'fall_back',
      target: next,
      delayMs: nowMs + delayMs < deadlineAtMs ? delayMs : 0,
      waiting: 'backoff',
    };
  }
  const recovery = earliestRecovery(input, rule);
  if (recovery === null || recovery.atMs >= deadlineAtMs) return { kind: 'fail', error: 'attempts_exhausted' };
  return { kind: 'wait', target: recovery.target, delayMs: recovery.atMs - nowMs, waiting: 'recovery' };
}

function fallbacksIn(history: readonly AttemptRecord[]): number {
  return history.filter((attempt, index) => index > 0 && attempt.target !== history[index - 1]?.target).length;
}

type Standing = 'fresh' | 'tried' | { readonly skippedUntilMs: number };

/** What this run knows of a target other than the current one: its last failure there decides. */
function standingOf(target: string, history: readonly AttemptRecord[]): Standing {
  const last = history.findLast((attempt) => attempt.target === target && attempt.status === 'failed');
  if (!last?.failure) return 'fresh';
  const rule = failureRule(last.failure);
  if (!rule.waiting && rule.pause === null) return 'tried';
  return { skippedUntilMs: last.retryAtMs ?? (last.endedAtMs ?? 0) + (rule.pause?.ms ?? 0) };
}

function firstEligible({ candidates, target, history, nowMs }: DecideInput): string | null {
  const found = candidates.find((candidate) => {
    if (candidate.kind !== 'eligible' || candidate.target === target) return false;
    const standing = standingOf(candidate.target, history);
    return standing === 'fresh' || (standing !== 'tried' && standing.skippedUntilMs <= nowMs);
  });
  return found?.target ?? null;
}

/** The skipped target that comes back first, the current one among them when its kind is one that ends. */
function earliestRecovery(input: DecideInput, rule: FailureRule): { target: string; atMs: number } | null {
  const { candidates, target, failure, history, nowMs } = input;
  const waits = candidates.flatMap((candidate) => {
    if (candidate.target === target) {
      const ends = rule.waiting || rule.pause !== null;
      return ends ? [{ target, atMs: nowMs + Math.max(failure.retryAfterMs ?? 0, rule.pause?.ms ?? 0) }] : [];
    }
    const standing = standingOf(candidate.target, history);
    if (standing === 'tried') return [];
    const skippedUntilMs = standing === 'fresh' ? 0 : standing.skippedUntilMs;
    const pausedUntilMs = candidate.kind === 'skipped' ? candidate.untilMs : 0;
    return pausedUntilMs === null ? [] : [{ target: candidate.target, atMs: Math.max(skippedUntilMs, pausedUntilMs) }];
  });
  return waits.toSorted((a, b) => a.atMs - b.atMs)[0] ?? null;
}

/** Why a claim was refused before any call was made. */
export type Refusal = 'label' | 'poison';

/** A decision without an attempt: the target may not serve the job any more, or the job may not run any more. */
export function decideRefusal(refusal: Refusal, target: string, all: readonly Candidate[]): Decision {
  if (refusal === 'poison') return { kind: 'fail', error: 'poison_job' };
  const next = all.find((candidate) => candidate.kind === 'eligible' && candidate.target !== target);
  if (!next) return { kind: 'fail', error: 'requirement_unmet' };
  return { kind: 'fall_back', target: next.target, delayMs: 0, waiting: 'backoff' };
}
