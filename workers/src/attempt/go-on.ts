/** A job goes on to another entry: it is added here when its row was marked, else the dispatcher does it. */
import { addJobEntries } from '@waybill/shared/queue/job-entries.ts';
import type { SettledJob } from '@waybill/shared/store/settle.ts';
import type { WorkerContext } from '../worker-context.ts';

type GoOnContext = Pick<WorkerContext, 'coordination' | 'queues' | 'logger'>;

export async function goOn(job: SettledJob, reason: string, delayMs: number, context: GoOnContext): Promise<void> {
  const { coordination, queues, logger } = context;
  if (job.dispatched_at === null) return coordination.publish({ type: 'work' });
  await addJobEntries(queues, [job], reason, delayMs);
  const charge = { target: job.target, tenantId: job.tenant_id, tokens: job.estimated_tokens };
  await coordination
    .charge(charge)
    .catch((error: unknown) => logger.debug({ err: error }, 'an entry could not be charged to its tenant'));
}
