/**
 * What becomes of an entry whose job cannot be called where it is: it waits, moves on, asks somebody, or ends. There was
 * no attempt, so each change is fenced on the job's row alone.
 */

import { priorities, splitTarget, type WaitingReason } from '@waybill/shared/domain/job.ts';
import { isFreeTarget } from '@waybill/shared/pricing/call-prices.ts';
import type { Entry } from '@waybill/shared/queue/entry.ts';
import type { EntryOutcome } from '@waybill/shared/queue/queue.ts';
import {
  decideBreaker,
  decideLimit,
  decideMisfit,
  decideRefusal,
  type Obstacle,
  type Turn,
} from '@waybill/shared/routing/decide-without-attempt.ts';
import { triedTargets } from '@waybill/shared/store/backlog.ts';
import type { Claim } from '@waybill/shared/store/claim.ts';
import { refusedTargets } from '@waybill/shared/store/decisions.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { longestQueuedDelayMs, noteWaiting, redirectQueuedJob } from '@waybill/shared/store/settle.ts';
import type { WorkerContext } from '../worker-context.ts';
import { fail, move, park, stale } from './move.ts';
import { candidatesOf, chainOf } from './route-of.ts';

/** The accounts of the target have no rate left for the call. @param waitMs until they have */
export async function waitForLimit(entry: Entry, waitMs: number, context: WorkerContext): Promise<EntryOutcome> {
  const job = await noteWaiting(context.database, entry.job, entry.seq, 'rate_limit', waitMs);
  if (job === null) return stale;
  const obstacle = await obstacleOf(job, context);
  const turn = decideLimit({
    ...obstacle,
    waitMs,
    waitedMs: context.now() - (job.limited_since?.getTime() ?? context.now()),
    patienceMs: chainOf(job, context.settings()).onLimitMs[priorities[job.priority] ?? 'normal'],
  });
  return take(turn, job, 'rate_limit', obstacle, context);
}

/** The target's breaker is open, or its one probe is under way. @param waitMs null: nobody knows how long */
export async function leaveBreaker(entry: Entry, waitMs: number | null, context: WorkerContext): Promise<EntryOutcome> {
  const job = await noteWaiting(context.database, entry.job, entry.seq, 'breaker', waitMs ?? 0);
  if (job === null) return stale;
  const obstacle = await obstacleOf(job, context);
  return take(decideBreaker(obstacle, waitMs), job, 'breaker', obstacle, context);
}

/** The request is larger than a limit of the target, or its tenant does not want it there any more. */
export async function leaveMisfit(
  entry: Entry,
  why: 'exceeds_limit' | 'excluded',
  context: WorkerContext,
): Promise<EntryOutcome> {
  const job = await noteWaiting(context.database, entry.job, entry.seq, 'turn', 0);
  if (job === null) return stale;
  const obstacle = await obstacleOf(job, context);
  const turn = decideMisfit(obstacle);
  const isUnmet = turn.kind === 'fail' && why === 'excluded';
  return take(isUnmet ? { kind: 'fail', error: 'requirement_unmet' } : turn, job, why, obstacle, context);
}

export async function refuse(
  { job, refusal, budget }: Extract<Claim, { kind: 'refused' }>,
  context: WorkerContext,
): Promise<EntryOutcome> {
  const obstacle = await obstacleOf(job, context);
  const { providers } = context.settings();
  const turn = decideRefusal({
    ...obstacle,
    refusal,
    budget,
    isFree: (target) => isFreeTarget(target, providers, job.estimated_tokens, obstacle.nowMs),
    isSameSubject: (target) =>
      budget?.per === 'provider' ? splitTarget(target).provider === job.provider : target === job.target,
    refusedBefore: await refusedTargets(context.database, job),
  });
  return take(turn, job, budget === null ? refusal : `${refusal}: ${ruleOf(budget.key)}`, obstacle, context);
}

/** What is reserved of a budget leaves too little now; it waits in the backlog until something comes free. */
export async function waitForBudget({ job, budget }: Extract<Claim, { kind: 'budget_wait' }>, context: WorkerContext) {
  const obstacle = await obstacleOf(job, context);
  const turn: Turn = { kind: 'wait', delayMs: budgetWaitMs, waiting: 'budget' };
  return take(turn, job, `budget: ${ruleOf(budget.key)}`, obstacle, context);
}

/** The rule of a budget's key: the rest names somebody, and goes nowhere. */
const ruleOf = (key: string): string => key.split(':', 1)[0] ?? '';

/** Settles wake the jobs that wait; this is for a wake that was lost. */
const budgetWaitMs = 15_000;

async function obstacleOf(job: JobRow, context: WorkerContext): Promise<Obstacle> {
  const chain = chainOf(job, context.settings());
  return {
    target: job.target,
    mode: chain.mode,
    candidates: await candidatesOf(job, chain, context),
    tried: (await triedTargets(context.database, [job])).get(job.id) ?? new Set(),
    nowMs: context.now(),
    deadlineAtMs: job.deadline_at.getTime(),
  };
}

async function take(
  turn: Turn,
  job: JobRow,
  why: string,
  obstacle: Obstacle,
  context: WorkerContext,
): Promise<EntryOutcome> {
  switch (turn.kind) {
    case 'wait':
      return wait(job, turn.waiting, turn.delayMs, why, context);
    case 'fall_back':
      return move(job, turn, why, obstacle.candidates, context);
    case 'park':
      return park(job, turn.target, why, obstacle.candidates, context);
    case 'fail':
      return fail(job, turn.error, why, obstacle.candidates, context);
  }
}

const longestAskedMs = 60_000;
const askedAgainMs = 15_000;

async function wait(
  job: JobRow,
  waiting: WaitingReason,
  delayMs: number,
  why: string,
  context: WorkerContext,
): Promise<EntryOutcome> {
  const isShort = delayMs <= longestQueuedDelayMs && waiting !== 'budget';
  if (isShort) {
    await noteWaiting(context.database, job.id, job.seq, waiting, delayMs);
    return { kind: 'delay', delayMs };
  }
  const { target } = job;
  // What calls leave of their reservations may end a limit sooner: somebody has to ask.
  const isAskedAgain = waiting === 'rate_limit' && delayMs <= longestAskedMs;
  const heldMs = isAskedAgain ? Math.min(delayMs, askedAgainMs) : delayMs;
  const step = { kind: 'requeue', target, delayMs: heldMs, waiting, window: 0, carried: null } as const;
  await redirectQueuedJob(context.database, job.id, job.seq, step);
  return { kind: 'done', note: `returned to the backlog: ${why}` };
}
