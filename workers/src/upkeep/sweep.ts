/**
 * The sweep: repairs what a dead process, a lost entry or a passed deadline left behind.
 *
 * By one process of the fleet, in batches: at its start and every 15 s, what dead workers held every 5 s. Everything it does is a conditional statement,
 * so that doing it twice, or beside a process that was only slow, changes nothing.
 */
import { entryId } from '@waybill/shared/domain/ids.ts';
import type { DurableQueue } from '@waybill/shared/queue/queue.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import { expireJobs, failQueuedJob } from '@waybill/shared/store/job-end.ts';
import {
  closeLostAttempts,
  commitLostReservations,
  type DispatchedJob,
  dispatchedLongAgo,
  forgetExpiredKeys,
  type LostJob,
  requeueLostJobs,
  returnToBacklog,
  staleEntries,
} from '@waybill/shared/store/sweep.ts';
import { forgetWorkers } from '@waybill/shared/store/workers.ts';
import { createHeldLease } from '../held-lease.ts';
import { type Loop, startLoop } from '../loop.ts';
import type { WorkerContext } from '../worker-context.ts';

const sweepEveryMs = 15_000;
/** The jobs of dead workers are what somebody waits for. */
const takeOverEveryMs = 5_000;
/** A job should not outlive its deadline by much. */
const intervalMs = 1_000;
const batch = 500;
/** A pick-up asks for a permit for 2 s and then claims; one that has not after this long never will. */
const claimPatienceMs = 15_000;
/** Entries of one queue that are compared with their jobs in one round. */
const staleBatch = 1_000;

export interface Sweeper {
  stop(): Promise<void>;
}

/** One loop: whoever has just taken the lease sweeps at once, because the last holder may have died before it did. */
export function startSweeper(context: WorkerContext): Sweeper {
  const lease = createHeldLease('sweep', context);
  let sweptAt = Number.NEGATIVE_INFINITY;
  let tookOverAt = Number.NEGATIVE_INFINITY;
  const isDue = (at: number, everyMs: number) => performance.now() - at >= everyMs;
  const loop: Loop = startLoop({
    name: 'sweep',
    intervalMs,
    logger: context.logger,
    async round() {
      if (!(await lease.holds())) {
        sweptAt = Number.NEGATIVE_INFINITY;
        return undefined;
      }
      await expire(context);
      if (isDue(sweptAt, sweepEveryMs)) {
        await sweep(context);
        sweptAt = performance.now();
        tookOverAt = sweptAt;
      } else if (isDue(tookOverAt, takeOverEveryMs)) {
        await takeOver(context);
        tookOverAt = performance.now();
      }
      return undefined;
    },
  });
  return { stop: () => loop.stop() };
}

export async function sweep(context: WorkerContext): Promise<void> {
  const { database } = context;
  await takeOver(context);
  await inBatches(() => commitLostReservations(database, context.settings().budgets, batch));
  await forgetExpiredKeys(database);
  await forgetWorkers(database, batch);
  await context.chunks.forgetOld();
  if (!context.queues.isReachable()) return;
  await findLostEntries(context);
  await removeStaleEntries(context);
}

/** Attempts of dead workers become `unknown`, and their jobs go back to the queue. */
async function takeOver(context: WorkerContext): Promise<void> {
  const { database, logger, coordination } = context;
  const lost = await inBatches(() => closeLostAttempts(database, batch));
  const requeued: LostJob[] = [];
  await inBatches(async () => {
    const some = await requeueLostJobs(database, batch);
    requeued.push(...some);
    return some.length;
  });
  for (const job of requeued.filter((each) => each.is_poisoned)) {
    const ended = await failQueuedJob(
      database,
      job.id,
      job.seq,
      'poison_job',
      'five attempts in a row ended with their worker; the job itself is the likely cause',
    );
    if (ended) await tellEnded(ended, context);
  }
  if (lost + requeued.length > 0) {
    logger.warn({ attempts: lost, jobs: requeued.length }, 'took over the work of dead workers');
    coordination.publish({ type: 'work' });
  }
}

/** Repeats until a batch is not full; returns the sum. */
async function inBatches(work: () => Promise<number>): Promise<number> {
  let sum = 0;
  for (let count = batch; count === batch; sum += count) count = await work();
  return sum;
}

/** A job marked as dispatched whose entry is gone would wait for ever. */
async function findLostEntries(context: WorkerContext): Promise<void> {
  const { database, queues, logger, coordination } = context;
  let found = 0;
  let page: DispatchedJob[] = [];
  for (let afterId = ''; afterId === '' || page.length === batch; afterId = page.at(-1)?.id ?? '') {
    page = await dispatchedLongAgo(database, afterId, batch);
    for (const [provider, jobs] of Map.groupBy(page, (job) => job.provider)) {
      const lost = await lostEntries(queues.queue(provider), jobs, context.now());
      for (const job of lost) await returnToBacklog(database, job.id, job.seq);
      found += lost.length;
    }
    if (page.length === 0) break;
  }
  if (found === 0) return;
  logger.warn({ jobs: found }, 'entries were gone from the queue; their jobs are dispatched again');
  coordination.publish({ type: 'work' });
}

/** Gone or ended, or picked up a while ago without a claim: that pick-up was lost on its way, or with its worker. */
async function lostEntries(queue: DurableQueue, jobs: readonly DispatchedJob[], now: number): Promise<DispatchedJob[]> {
  const idOf = (job: DispatchedJob) => entryId(job.id, job.seq);
  const states = await queue.statesOf(jobs.map(idOf));
  const active = jobs.map(idOf).filter((id) => states.get(id) === 'active');
  const pickedUp = active.length === 0 ? new Map<string, number>() : await queue.pickedUpAt(active);
  return jobs.filter((job) => {
    const state = states.get(idOf(job)) ?? 'missing';
    if (state === 'active') return now - (pickedUp.get(idOf(job)) ?? now) > claimPatienceMs;
    return state === 'finished' || state === 'missing';
  });
}

/** Entries that can act no more end quietly when a worker takes them; where none does, they would pile up. */
async function removeStaleEntries({ database, queues, settings, logger }: WorkerContext): Promise<void> {
  let removed = 0;
  for (const provider of Object.keys(settings().providers)) {
    const queue = queues.queue(provider);
    const stale = await staleEntries(database, await queue.listWaiting(staleBatch));
    for (const id of stale) await queue.remove(id);
    removed += stale.length;
  }
  if (removed > 0) logger.info({ entries: removed }, 'removed entries whose jobs went on without them');
}

async function expire(context: WorkerContext): Promise<void> {
  const { database, coordination, queues } = context;
  for (const ended of await expireJobs(database, batch)) {
    coordination.publish({ type: 'cancel', jobId: ended.job.id });
    if (queues.isReachable()) await queues.queue(ended.job.provider).remove(entryId(ended.job.id, ended.job.seq - 1));
    await tellEnded(ended, context);
  }
}
