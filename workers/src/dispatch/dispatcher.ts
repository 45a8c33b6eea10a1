/**
 * The dispatcher: feeds each target's queue from the backlog, as far as its window has room.
 *
 * One process of the fleet holds the `dispatch` lease. First in, first out within a class, classes in order, retries
 * and fallbacks ahead of their class. A target that cannot take work now is not fed: its jobs go to the next target
 * that can, or wait where they are.
 */
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { addJobEntries } from '@waybill/shared/queue/job-entries.ts';
import { type Candidate, candidates } from '@waybill/shared/routing/candidates.ts';
import { targetFacts } from '@waybill/shared/routing/target-facts.ts';
import {
  holdJob,
  strandedJobs,
  takeFromBacklog,
  targetsWithBacklog,
  triedTargets,
} from '@waybill/shared/store/backlog.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { redirectQueuedJob } from '@waybill/shared/store/settle.ts';
import { holdLease } from '@waybill/shared/store/workers.ts';
import { type Loop, startLoop } from '../loop.ts';
import type { WorkerContext } from '../worker-context.ts';
import { windowsOf } from './windows.ts';

/** With work in the backlog, places in the windows come free all the time. */
const busyIntervalMs = 100;
const idleIntervalMs = 1_000;
const strandedBatch = 200;
/** How long a job stays aside whose targets are all switched off. */
const holdMs = 60_000;

export interface Dispatcher {
  stop(): Promise<void>;
}

export function startDispatcher(context: WorkerContext): Dispatcher {
  const loop: Loop = startLoop({
    name: 'dispatch',
    intervalMs: idleIntervalMs,
    logger: context.logger,
    round: () => dispatchRound(context),
  });
  const unsubscribe = context.coordination.subscribe((signal) => {
    if (signal.type === 'work') loop.wake();
  });
  return {
    stop() {
      unsubscribe();
      return loop.stop();
    },
  };
}

export async function dispatchRound(context: WorkerContext): Promise<{ nextMs: number }> {
  const { database, coordination, settings, now } = context;
  if (!(await holdLease(database, 'dispatch', context.lease.id()))) return { nextMs: idleIntervalMs };
  const targets = (await targetsWithBacklog(database)).filter((each) => each.is_due);
  if (targets.length === 0) return { nextMs: idleIntervalMs };
  const windowOf = await windowsOf(coordination, settings());
  const factsOf = targetFacts(settings(), await coordination.pauses());
  for (const { target } of targets) {
    const facts = factsOf(target);
    const canTake =
      facts.isConfigured && facts.isEnabled && (facts.pausedUntilMs === null || facts.pausedUntilMs <= now());
    if (canTake) await feed(target, windowOf(target), context);
    else await moveAway(target, factsOf, windowOf, context);
  }
  return { nextMs: busyIntervalMs };
}

async function feed(target: string, window: number, { database, queues }: WorkerContext): Promise<void> {
  const taken = await takeFromBacklog(database, target, window);
  if (taken.length > 0) await addJobEntries(queues, taken, 'backlog');
}

/** Sends the jobs of a target that cannot take them to the next one that can. */
async function moveAway(
  target: string,
  factsOf: ReturnType<typeof targetFacts>,
  windowOf: (target: string) => number,
  context: WorkerContext,
): Promise<void> {
  const { database, now } = context;
  const jobs = await strandedJobs(database, target, strandedBatch);
  const tried = await triedTargets(database, jobs);
  for (const job of jobs) {
    const needs = {
      capabilities: [],
      estimatedTokens: job.estimated_tokens,
      require: job.require,
      excludeProviders: job.exclude_providers,
    };
    const found = candidates(job.targets, needs, factsOf, now());
    const next = found.find((candidate) => candidate.kind === 'eligible' && !tried.get(job.id)?.has(candidate.target));
    if (next) await redirect(job, next.target, windowOf(next.target), context);
    else await hold(job, found, context);
  }
}

async function redirect(
  job: JobRow,
  target: string,
  window: number,
  { database, queues, logger }: WorkerContext,
): Promise<void> {
  const moved = await redirectQueuedJob(database, job.id, job.seq, {
    kind: 'requeue',
    target,
    delayMs: 0,
    waiting: null,
    window,
  });
  if (!moved) return;
  logger.debug({ job_id: job.id, from: job.target, to: target }, 'moved on before its attempt');
  if (moved.dispatched_at !== null)
    await addJobEntries(queues, [moved], `moved from ${splitTarget(job.target).provider}`);
}

async function hold(job: JobRow, found: readonly Candidate[], { database, now }: WorkerContext): Promise<void> {
  const untils = found.flatMap((candidate) =>
    candidate.kind === 'skipped' && candidate.untilMs !== null ? [candidate.untilMs] : [],
  );
  if (untils.length === 0) await holdJob(database, job.id, job.seq, now() + holdMs, 'paused');
  else await holdJob(database, job.id, job.seq, Math.min(...untils), 'recovery');
}
