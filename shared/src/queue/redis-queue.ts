/**
 * The queue on BullMQ's Redis backend. All keys of a queue share its name as hash tag, so that a Cluster keeps them on
 * one node and spreads the providers over its nodes.
 */
import { createRedisBackend, withBackend } from 'bullmq';
import { createSilence, type RedisClient } from '../redis/connect.ts';
import { createBullmqBackend } from './bullmq-queue.ts';
import type { QueueBackend } from './queue.ts';

const { Queue, Worker } = withBackend(createRedisBackend);

export interface RedisQueueOptions {
  /** For adding and looking: fails fast, shared by all queues. */
  readonly commands: RedisClient;
  /** For workers: BullMQ duplicates it for what blocks. */
  readonly workers: RedisClient;
  readonly prefix: string;
  readonly onError: (error: Error, queue: string) => void;
  readonly onClose: () => Promise<void>;
}

export function createRedisQueueBackend(options: RedisQueueOptions): QueueBackend {
  const { commands, workers, prefix, onError, onClose } = options;
  const silence = createSilence();
  const optionsWith = (connection: RedisClient) => (name: string) => ({ connection, prefix: `${prefix}:{${name}}` });
  return createBullmqBackend(
    {
      Queue,
      Worker,
      queueOptions: optionsWith(commands),
      workerOptions: optionsWith(workers),
      retention: { age: 3_600, count: 1_000 },
      isRebuiltWithEpoch: true,
      isReachable: () => commands.status === 'ready' && !silence.isSilent(),
      onAddFailed: silence.note,
      close: onClose,
    },
    onError,
  );
}
