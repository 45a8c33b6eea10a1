/**
 * What becomes of a job that could not be called where it is: no permit, or a claim that was refused. Pure.
 *
 * Nothing was attempted, so nothing is used up. A target that was left for a limit or a breaker may be gone back to; one
 * whose budget has refused the job is not, so that a job cannot go round among targets it may not pay for.
 */
import type { FailureKind, FinalKind } from '../domain/failure.ts';
import type { WaitingReason } from '../domain/job.ts';
import type { Candidate } from './candidates.ts';

/** Why a claim was refused before any call was made. */
export const refusals = ['label', 'poison', 'max_cost', 'budget_exceeded', 'budget_unpriced'] as const;
export type Refusal = (typeof refusals)[number];

export interface Obstacle {
  readonly target: string;
  readonly mode: 'graceful' | 'immediate' | 'manual';
  /** In the order to try. */
  readonly candidates: readonly Candidate[];
  /** Where the job failed for good in this run, or where what it was left for is not over. */
  readonly tried: ReadonlySet<string>;
  readonly nowMs: number;
  readonly deadlineAtMs: number;
}

/** A job that turned back, or goes to a target that is not eligible yet, gets there after `delayMs`. */
export type Turn =
  | { readonly kind: 'fall_back'; readonly target: string; readonly delayMs: number }
  | { readonly kind: 'park'; readonly target: string }
  | { readonly kind: 'wait'; readonly delayMs: number; readonly waiting: WaitingReason }
  | { readonly kind: 'fail'; readonly error: FailureKind | FinalKind };

export interface LimitObstacle extends Obstacle {
  /** When the limit is known to have room. */
  readonly waitMs: number;
  /** How long the job has waited for limits of this target. */
  readonly waitedMs: number;
  /** How long its class waits before it falls back; null: for ever. */
  readonly patienceMs: number | null;
}

/** A limit is waited for with the patience of the job's class; a known wait beyond it falls back at once. */
export function decideLimit(obstacle: LimitObstacle): Turn {
  const { waitMs, waitedMs, patienceMs, mode, nowMs, deadlineAtMs } = obstacle;
  const patience = mode === 'immediate' ? 0 : patienceMs;
  const others = othersOf(obstacle);
  const isOver = patience !== null && waitedMs + waitMs > patience;
  // What would wait here to its end goes where another target can take it in time.
  const isInVain = nowMs + waitMs >= deadlineAtMs;
  const backMs = patience ? Math.min(waitMs, patience) : waitMs;
  const next = isOver || isInVain ? moveOn(obstacle, others, backMs) : null;
  return next ?? (isInVain ? moveLater(obstacle, others) : null) ?? waitHere(obstacle, waitMs, 'rate_limit');
}

/** An open breaker moves a job on at once; where there is nowhere to go, it waits. @param waitMs null: nobody knows */
export function decideBreaker(obstacle: Obstacle, waitMs: number | null): Turn {
  const here = obstacle.candidates.find(({ target }) => target === obstacle.target);
  const isShutByHand = here?.kind === 'skipped' && here.reason === 'breaker' && here.untilMs === null;
  const hereMs = waitMs ?? (isShutByHand ? shutWaitMs : unknownWaitMs);
  return moveOn(obstacle) ?? moveLater(obstacle, othersOf(obstacle), hereMs) ?? waitHere(obstacle, hereMs, 'breaker');
}
const unknownWaitMs = 1_000;
/** Somebody has shut it without an end: told when that changes, and looked at again now and then. */
const shutWaitMs = 60_000;

/** A request that is larger than the target's limit can never be called there. */
export const decideMisfit = (obstacle: Obstacle): Turn =>
  moveOn(obstacle) ?? moveLater(obstacle) ?? { kind: 'fail', error: 'exceeds_limit' };

export interface RefusalObstacle extends Obstacle {
  readonly refusal: Refusal;
  /** Of a budget that was exceeded: whom it is about, and what may still run. */
  readonly budget: { readonly per: string; readonly onExceeded: 'reject' | 'local_only' } | null;
  /** Targets that cost nothing. */
  readonly isFree: (target: string) => boolean;
  /** Of the same provider, or the same model. */
  readonly isSameSubject: (target: string) => boolean;
  /** Targets whose budget has refused the job already: they are not gone back to. */
  readonly refusedBefore: ReadonlySet<string>;
}

export function decideRefusal(obstacle: RefusalObstacle): Turn {
  const { refusal, budget } = obstacle;
  if (refusal === 'poison') return { kind: 'fail', error: 'poison_job' };
  if (refusal === 'label')
    return moveOn(obstacle) ?? moveLater(obstacle) ?? { kind: 'fail', error: 'requirement_unmet' };
  // Another one may be cheaper, or have a price that is known: its own claim will tell.
  const isOfTarget = refusal === 'max_cost' || refusal === 'budget_unpriced';
  const isOfSubject = budget?.per === 'provider' || budget?.per === 'model';
  const mayServe = (target: string): boolean =>
    isOfTarget ||
    (isOfSubject && !obstacle.isSameSubject(target)) ||
    (obstacle.isFree(target) && (isOfSubject || budget?.onExceeded === 'local_only'));
  const { after, before } = othersOf(obstacle);
  const isPayable = ({ target }: Candidate): boolean => mayServe(target) && !obstacle.refusedBefore.has(target);
  const payable = { after: after.filter(isPayable), before: before.filter(isPayable) };
  return moveOn(obstacle, payable) ?? moveLater(obstacle, payable) ?? { kind: 'fail', error: 'budget_exceeded' };
}

/** The targets but the present one, in the order to try. */
interface Others {
  readonly after: readonly Candidate[];
  readonly before: readonly Candidate[];
}

function othersOf({ target, candidates, tried }: Obstacle): Others {
  const here = candidates.findIndex((candidate) => candidate.target === target);
  const isOpen = (candidate: Candidate): boolean => !tried.has(candidate.target);
  return {
    after: candidates.slice(here + 1).filter(isOpen),
    before: candidates.slice(0, Math.max(0, here)).filter(isOpen),
  };
}

/** Nobody remembers which targets turned the job away on this round: the next one begins a moment later, not at once. */
const roundMs = 1_000;
const longestRoundMs = 60_000;

const isEligible = ({ kind }: Candidate): boolean => kind === 'eligible';

/** null: no other target is eligible. @param backMs how long the way back takes, where one has turned the job away before */
function moveOn(obstacle: Obstacle, { after, before } = othersOf(obstacle), backMs = roundMs): Turn | null {
  const next = after.find(isEligible);
  if (next !== undefined) return moveTo(next.target, 0, obstacle);
  const again = before.find(isEligible);
  return again === undefined
    ? null
    : moveTo(again.target, Math.min(longestRoundMs, Math.max(roundMs, backMs)), obstacle);
}

/** To the target that comes back first; null: none does before the deadline, or sooner than the present one. */
function moveLater(
  obstacle: Obstacle,
  { after, before } = othersOf(obstacle),
  hereMs = Number.POSITIVE_INFINITY,
): Turn | null {
  const returning = [...after, ...before].flatMap((candidate) =>
    returnsAtMs(candidate, obstacle.nowMs).map((untilMs) => ({ target: candidate.target, untilMs })),
  );
  const first = returning.toSorted((a, b) => a.untilMs - b.untilMs)[0];
  if (!first) return null;
  const delayMs = Math.max(roundMs, first.untilMs - obstacle.nowMs);
  return delayMs < hereMs ? moveTo(first.target, delayMs, obstacle) : null;
}

/** When a skipped target may be eligible again; a breaker that was opened by hand may be closed at any time. */
function returnsAtMs(candidate: Candidate, nowMs: number): number[] {
  if (candidate.kind !== 'skipped') return [];
  if (candidate.untilMs !== null) return [candidate.untilMs];
  return candidate.reason === 'breaker' ? [nowMs + shutWaitMs] : [];
}

function moveTo(target: string, delayMs: number, { mode, nowMs, deadlineAtMs }: Obstacle): Turn | null {
  if (nowMs + delayMs >= deadlineAtMs) return null;
  return mode === 'manual' ? { kind: 'park', target } : { kind: 'fall_back', target, delayMs };
}

/** A wait that ends after the deadline is one until the deadline, which ends the job. */
const waitHere = ({ nowMs, deadlineAtMs }: Obstacle, waitMs: number, waiting: WaitingReason): Turn => ({
  kind: 'wait',
  delayMs: Math.max(1, Math.min(waitMs, deadlineAtMs - nowMs)),
  waiting,
});
