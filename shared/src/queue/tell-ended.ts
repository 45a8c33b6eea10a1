/** After the commit: wakes who waits for the job, and hands its webhook to the sender. Losing this loses nothing. */
import type { Coordination } from '../coordination/coordination.ts';
import type { Database } from '../store/database.ts';
import { releaseDeliveries } from '../store/deliveries.ts';
import type { JobRow } from '../store/jobs.ts';
import type { DeliveryEntry } from './entry.ts';
import { type QueueBackend, webhookQueueName } from './queue.ts';

export interface EndedJob {
  readonly job: Pick<JobRow, 'id' | 'tenant_id' | 'status' | 'traceparent'>;
  readonly deliveryId: string | null;
}

export async function tellEnded(
  { job, deliveryId }: EndedJob,
  { coordination, queues, database }: { coordination: Coordination; queues: QueueBackend; database: Database },
): Promise<void> {
  coordination.publish({ type: 'final', jobId: job.id });
  if (deliveryId === null) return;
  const entry = {
    delivery: deliveryId,
    seq: 1,
    tenant: job.tenant_id,
    event: `job.${job.status}`,
    job: job.id,
    traceparent: job.traceparent,
  };
  try {
    if (!queues.isReachable()) throw new Error('the queue does not answer');
    await queues
      .queue<DeliveryEntry>(webhookQueueName)
      .add([{ id: `${deliveryId}-1`, delayMs: 0, priority: 0, data: entry }]);
  } catch {
    await releaseDeliveries(database, [deliveryId]);
  }
}
