/**
 * The sweep: repairs what a dead process, a lost entry or a passed deadline left behind.
 *
 * At start and every 15 s, by one process of the fleet, in batches. Everything it does is a conditional statement,
 * so that doing it twice, or beside a process that was only slow, changes nothing.
 */
import { entryId } from '@waybill/shared/domain/ids.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import { expireJobs, failQueuedJob } from '@waybill/shared/store/job-end.ts';
import {
  closeLostAttempts,
  dispatchedLongAgo,
  forgetExpiredKeys,
  type LostJob,
  requeueLostJobs,
  returnToBacklog,
} from '@waybill/shared/store/sweep.ts';
import { holdLease } from '@waybill/shared/store/workers.ts';
import { type Loop, startLoop } from '../loop.ts';
import type { WorkerContext } from '../worker-context.ts';

const intervalMs = 15_000;
const batch = 500;
/** Deadlines are looked at more often: a job should not outlive its own by much. */
const expiryIntervalMs = 1_000;

export interface Sweeper {
  stop(): Promise<void>;
}

export function startSweeper(context: WorkerContext): Sweeper {
  const sweeping: Loop = startLoop({
    name: 'sweep',
    intervalMs,
    logger: context.logger,
    round: () => whenHolding(context, () => sweep(context)),
  });
  const expiring: Loop = startLoop({
    name: 'expiry',
    intervalMs: expiryIntervalMs,
    logger: context.logger,
    round: () => whenHolding(context, () => expire(context)),
  });
  return {
    async stop() {
      await Promise.all([sweeping.stop(), expiring.stop()]);
    },
  };
}

async function whenHolding(context: WorkerContext, work: () => Promise<void>): Promise<undefined> {
  if (await holdLease(context.database, 'sweep', context.lease.id())) await work();
  return undefined;
}

export async function sweep(context: WorkerContext): Promise<void> {
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
  await findLostEntries(context);
  await forgetExpiredKeys(database);
}

/** Repeats until a batch is not full; returns the sum. */
async function inBatches(work: () => Promise<number>): Promise<number> {
  let sum = 0;
  for (let count = batch; count === batch; sum += count) count = await work();
  return sum;
}

/** A job marked as dispatched whose entry is gone would wait for ever. */
async function findLostEntries({ database, queues, logger, coordination }: WorkerContext): Promise<void> {
  let found = 0;
  for (const job of await dispatchedLongAgo(database, batch)) {
    const state = await queues.queue(job.provider).stateOf(entryId(job.id, job.seq));
    if (state !== 'finished' && state !== 'missing') continue;
    await returnToBacklog(database, job.id, job.seq);
    found += 1;
  }
  if (found === 0) return;
  logger.warn({ jobs: found }, 'entries were gone from the queue; their jobs are dispatched again');
  coordination.publish({ type: 'work' });
}

async function expire(context: WorkerContext): Promise<void> {
  const { database, coordination, queues } = context;
  for (const ended of await expireJobs(database, batch)) {
    coordination.publish({ type: 'cancel', jobId: ended.job.id });
    await queues.queue(ended.job.provider).remove(entryId(ended.job.id, ended.job.seq - 1));
    await tellEnded(ended, context);
  }
}
