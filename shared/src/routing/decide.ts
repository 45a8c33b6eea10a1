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
  pauseOf,
} from '../domain/failure.ts';
import type { WaitingReason } from '../domain/job.ts';
import { type BackoffPolicy, backoffMs } from './backoff.ts';
import type { Candidate } from './candidates.ts';

export interface DecidePolicy {
  readonly mode: 'graceful' | 'immediate' | 'manual';
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
  /** The target can be called with another credential, or at another account, than the one that failed. */
  readonly isOpenElsewhere: boolean;
  /** When the provider's budget of retries has one again, in ms; 0: now. Waiting for a limit is no retry. */
  readonly retryInMs: number;
  /** Wins over the chain's and the kind's own; null: theirs. */
  readonly action: FailureAction | null;
}

export type Decision =
  | { readonly kind: 'succeed' }
  | { readonly kind: 'retry'; readonly target: string; readonly delayMs: number; readonly waiting: WaitingReason }
  | { readonly kind: 'fall_back'; readonly target: string; readonly delayMs: number; readonly waiting: WaitingReason }
  /** Somebody is asked before it goes to the next target. */
  | { readonly kind: 'park'; readonly target: string }
  | { readonly kind: 'wait'; readonly target: string; readonly delayMs: number; readonly waiting: 'recovery' }
  | { readonly kind: 'fail'; readonly error: FailureKind | FinalKind };

/** A server that loads its model is given this long before another target is asked. */
export const loadingPatienceMs = 5 * 60_000;

export function decide(input: DecideInput): Decision {
  const { failure, policy, history } = input;
  const rule = failureRule(failure.kind);
  const action = actionOf(input, rule);
  if (action === 'succeed') return { kind: 'succeed' };
  if (action === 'fail') return { kind: 'fail', error: failure.kind };
  const counted = history.filter(countsAsAttempt).length + (rule.counts ? 1 : 0);
  // Also after a failure that does not count: the next call could be one too many.
  if (counted >= policy.maxAttempts) return { kind: 'fail', error: 'attempts_exhausted' };
  if (canSwitchCredential(input)) return { kind: 'retry', target: input.target, delayMs: 0, waiting: 'rate_limit' };
  return (isRetried(input, rule) ? decideRetry(input, rule) : null) ?? decideFallback(input, rule);
}

/**
 * When the target that failed may be asked again in this run; null: it is tried. Kept with the attempt, because only now
 * is known whether it was left for what ends by itself.
 */
export function comesBackAtMs(input: DecideInput, decision: Decision): number | null {
  const { failure, nowMs, retryInMs, deadlineAtMs } = input;
  const rule = failureRule(failure.kind);
  const isLeft = hasRetriesLeft(input, rule);
  // Another credential of it is about to be tried.
  const isAskedAgain = decision.kind === 'retry';
  if (!endsByItself(failure, rule) && !isLeft && !isAskedAgain) return rule.waiting ? deadlineAtMs : null;
  const delayMs = decision.kind === 'retry' ? decision.delayMs : isLeft ? retryInMs : 0;
  // The provider's own time wins over ours, also when it is sooner.
  return nowMs + Math.max(failure.retryAfterMs ?? pauseOf(failure)?.ms ?? 0, delayMs);
}

/** A limit ends, a pause too; but not a limit of which the provider says that asking again is of no use, and no time. */
const endsByItself = (failure: Failure, { waiting, pause }: FailureRule): boolean =>
  pause !== null ||
  (waiting && (failure.isFinalHere !== true || failure.retryAfterMs !== null || pauseOf(failure) !== null));

const actionOf = ({ action, policy, failure }: DecideInput, rule: FailureRule): FailureAction =>
  action ?? policy.on[failure.kind] ?? rule.action;

const isRetried = (input: DecideInput, rule: FailureRule): boolean =>
  actionOf(input, rule) === 'retry' && input.failure.isFinalHere !== true;

/** Kinds that say no more than that this credential, or its account, may not call now. */
const ofCredential: ReadonlySet<FailureKind> = new Set(['rate_limit', 'quota_period', 'billing', 'auth', 'permission']);
/** Calls that failed there in this run: with more of them it is asked after our backoff, whatever credential is open. */
const mostSwitches = 32;

/** Another credential of the same target is tried at once: the model is there, only this credential was refused. */
function canSwitchCredential(input: DecideInput): boolean {
  const { failure, target, policy, history, isOpenElsewhere, action, candidates } = input;
  return (
    isOpenElsewhere &&
    policy.mode !== 'immediate' &&
    action === null &&
    policy.on[failure.kind] === undefined &&
    candidates.find((candidate) => candidate.target === target)?.kind !== 'skipped' &&
    ofCredential.has(failure.kind) &&
    failedOn(history, target).length < mostSwitches
  );
}

/** No more calls in this run, whoever starts them: workers that died leave attempts that nobody decided about. */
export const isExhausted = (history: readonly AttemptRecord[], maxAttempts: number): boolean =>
  history.filter(countsAsAttempt).length >= maxAttempts;

const countsAsAttempt = (attempt: AttemptRecord): boolean =>
  attempt.status === 'unknown' ||
  (attempt.status === 'failed' && attempt.failure !== null && failureRule(attempt.failure).counts);

const failedOn = (history: readonly AttemptRecord[], target: string): readonly AttemptRecord[] =>
  history.filter((attempt) => attempt.target === target && attempt.status === 'failed');

const isWaiting = ({ failure }: AttemptRecord): boolean => failure !== null && failureRule(failure).waiting;

/** How long the current target is left alone: our backoff, or the provider's own wait when it is longer. */
function retryDelayMs({ failure, target, policy, history, random }: DecideInput): number {
  const k = failedOn(history, target).length + 1;
  return Math.max(backoffMs(k, policy.backoff, random), failure.retryAfterMs ?? 0);
}

/** null: not here, not now. */
function decideRetry(input: DecideInput, rule: FailureRule): Decision | null {
  const { target, nowMs, deadlineAtMs, retryInMs } = input;
  const delayMs = retryDelayMs(input);
  if (isClosedHere(input, rule)) return null;
  if (rule.waiting) return decideWaiting(input, rule, delayMs);
  if (!hasRetriesLeft(input, rule) || nowMs + delayMs >= deadlineAtMs) return null;
  if (retryInMs > 0 && (firstEligible(input) !== null || nowMs + retryInMs >= deadlineAtMs)) return null;
  return { kind: 'retry', target, delayMs: Math.max(delayMs, retryInMs), waiting: 'backoff' };
}

/**
 * A kind's own bound is for failures of that kind; all together have the chain's. A target that is left before they are used
 * up, because it is paused, its breaker is open or the budget of retries is empty, is not tried.
 */
function hasRetriesLeft(input: DecideInput, rule: FailureRule): boolean {
  const { failure, target, policy, history } = input;
  if (rule.waiting || policy.mode === 'immediate' || !isRetried(input, rule)) return false;
  const failed = failedOn(history, target);
  const alike = failed.filter((attempt) => attempt.failure === failure.kind).length;
  // A limit met on this target, or a credential that was refused, leaves its retries whole.
  const used = failed.filter((attempt) => countsAsAttempt(attempt) || attempt.failure === failure.kind).length;
  return used < policy.sameTargetRetries && alike < (rule.retries ?? policy.sameTargetRetries);
}

/** A limit that is told already closes the target to others: for the job that met it, it is what it waits for. */
function isClosedHere({ candidates, target }: DecideInput, rule: FailureRule): boolean {
  const here = candidates.find((candidate) => candidate.target === target);
  return here?.kind === 'skipped' && !(rule.waiting && here.reason === 'limited');
}

/** A limit or a loading model: wait here while patience lasts, or while there is nowhere else to go. */
function decideWaiting(input: DecideInput, rule: FailureRule, delayMs: number): Decision | null {
  const { failure, target, policy, history, nowMs, deadlineAtMs } = input;
  const patienceMs = failure.kind === 'model_loading' ? loadingPatienceMs : policy.onLimitMs;
  const waitedMs = nowMs - waitingSince(history, target, nowMs);
  const isOverPatience = policy.mode === 'immediate' || (patienceMs !== null && waitedMs + delayMs > patienceMs);
  const isOverDeadline = nowMs + delayMs >= deadlineAtMs;
  if ((isOverPatience || isOverDeadline) && firstEligible(input) !== null) return null;
  if (isOverDeadline) return recoveryInTime(input, rule) === null ? { kind: 'fail', error: 'expired' } : null;
  return { kind: 'retry', target, delayMs, waiting: 'rate_limit' };
}

/** When the unbroken run of waiting failures on this target began. */
function waitingSince(history: readonly AttemptRecord[], target: string, nowMs: number): number {
  let since = nowMs;
  for (const attempt of history.toReversed()) {
    if (attempt.target !== target || !isWaiting(attempt)) break;
    since = attempt.endedAtMs ?? since;
  }
  return since;
}

function decideFallback(input: DecideInput, rule: FailureRule): Decision {
  const { target, policy, history, nowMs, deadlineAtMs, random } = input;
  const next = firstEligible(input);
  if (next !== null && policy.mode === 'manual') return { kind: 'park', target: next };
  if (next !== null) {
    const isAtOnce = policy.mode === 'immediate' || rule.waiting;
    const delayMs = isAtOnce ? 0 : backoffMs(fallbacksIn(history, target) + 1, policy.backoff, random);
    return {
      kind: 'fall_back',
      target: next,
      delayMs: nowMs + delayMs < deadlineAtMs ? delayMs : 0,
      waiting: 'backoff',
    };
  }
  const recovery = recoveryInTime(input, rule);
  if (recovery === null) return { kind: 'fail', error: 'attempts_exhausted' };
  // A wait for another target ends in a fallback to it.
  if (policy.mode === 'manual' && recovery.target !== target) return { kind: 'park', target: recovery.target };
  return { kind: 'wait', target: recovery.target, delayMs: recovery.atMs - nowMs, waiting: 'recovery' };
}

/** How often the run has moved on so far; the move to the current target, which is not in the history yet, is one. */
function fallbacksIn(history: readonly AttemptRecord[], target: string): number {
  const path = [...history.map((attempt) => attempt.target), target];
  return path.filter((each, index) => index > 0 && each !== path[index - 1]).length;
}

type Standing = 'fresh' | 'tried' | { readonly skippedUntilMs: number };

/**
 * What this run knows of a target other than the current one: its last failure there decides. A limit whose end the
 * provider did not name ends after our backoff; else two targets at their limits would be asked in turn without pause.
 */
function standingOf(target: string, { history, policy, random }: DecideInput): Standing {
  const failed = failedOn(history, target);
  const last = failed.at(-1);
  if (!last?.failure) return 'fresh';
  const rule = failureRule(last.failure);
  if (!rule.waiting && rule.pause === null && last.retryAtMs === null) return 'tried';
  const endedAtMs = last.endedAtMs ?? 0;
  const namedAtMs = last.retryAtMs ?? endedAtMs + (rule.pause?.ms ?? 0);
  return { skippedUntilMs: Math.max(namedAtMs, endedAtMs + backoffMs(failed.length, policy.backoff, random)) };
}

function firstEligible(input: DecideInput): string | null {
  const { candidates, target, nowMs } = input;
  const found = candidates.find((candidate) => {
    if (candidate.kind !== 'eligible' || candidate.target === target) return false;
    const standing = standingOf(candidate.target, input);
    return standing === 'fresh' || (standing !== 'tried' && standing.skippedUntilMs <= nowMs);
  });
  return found?.target ?? null;
}

/** A breaker that was opened by hand without an end may be closed at any time: it is looked at again now and then. */
const skipEndsAt = ({ untilMs, reason }: Extract<Candidate, { kind: 'skipped' }>, nowMs: number): number | null =>
  untilMs ?? (reason === 'breaker' ? nowMs + shutLookMs : null);
const shutLookMs = 60_000;

/** The skipped target that comes back first, if before the deadline; the current one among them when its kind ends. */
function recoveryInTime(input: DecideInput, rule: FailureRule): { target: string; atMs: number } | null {
  const { candidates, target, nowMs, deadlineAtMs } = input;
  const waits = candidates.flatMap((candidate) => {
    const failureEndsAtMs = candidate.target === target ? currentEndsAtMs(input, rule) : endsAtMs(candidate, input);
    const skipEndsAtMs = candidate.kind === 'skipped' ? skipEndsAt(candidate, nowMs) : nowMs;
    if (failureEndsAtMs === null || skipEndsAtMs === null) return [];
    return [{ target: candidate.target, atMs: Math.max(nowMs, failureEndsAtMs, skipEndsAtMs) }];
  });
  const first = waits.toSorted((a, b) => a.atMs - b.atMs)[0];
  return first && first.atMs < deadlineAtMs ? first : null;
}

/** null: not in this run. */
function currentEndsAtMs(input: DecideInput, rule: FailureRule): number | null {
  const { failure, nowMs, retryInMs } = input;
  const isLeft = hasRetriesLeft(input, rule);
  if (!endsByItself(failure, rule) && !isLeft) return null;
  const pauseMs = failure.retryAfterMs === null ? (pauseOf(failure)?.ms ?? 0) : 0;
  return nowMs + Math.max(retryDelayMs(input), pauseMs, isLeft ? retryInMs : 0);
}

/** null: not in this run. */
function endsAtMs({ target }: Candidate, input: DecideInput): number | null {
  const standing = standingOf(target, input);
  if (standing === 'tried') return null;
  return standing === 'fresh' ? input.nowMs : standing.skippedUntilMs;
}
