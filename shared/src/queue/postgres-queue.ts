/** The queue on BullMQ's Postgres backend, over the same database as everything else. */
import { createPostgresBackend, withBackend } from 'bullmq';
import type { Database } from '../store/database.ts';
import { createBullmqBackend } from './bullmq-queue.ts';
import type { QueueBackend } from './queue.ts';

const { Queue, Worker } = withBackend(createPostgresBackend);

export function createPostgresQueueBackend(
  database: Database,
  onError: (error: Error, queue: string) => void,
): QueueBackend {
  return createBullmqBackend(
    {
      Queue,
      Worker,
      queueOptions: () => ({ connection: database.queuePool }),
      workerOptions: () => ({ connection: database.queuePool }),
      // By age only: counting kept rows costs a scan per completion on this backend.
      retention: { age: 600 },
      isRebuiltWithEpoch: false,
      isReachable: () => true,
      onAddFailed: () => undefined,
      close: () => Promise.resolve(),
    },
    onError,
  );
}
