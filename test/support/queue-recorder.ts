/** A queue of one test with the workers on it, which remember what they were given. */
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  DurableQueue,
  EntryHandler,
  EntryOutcome,
  QueueBackend,
  QueueItem,
  QueueWorker,
} from '@waybill/shared/queue/queue.ts';
import type { Job, Queue } from 'bullmq';
import { eventually } from './waybill.ts';

const stopTimeoutMs = 3_000;

export const done: EntryOutcome = { kind: 'done', note: 'succeeded' };

export const itemOf = (id: string, more: Partial<QueueItem<unknown>> = {}): QueueItem<unknown> => ({
  id,
  data: { job: id, seq: 1 },
  delayMs: 0,
  priority: 1,
  ...more,
});

export interface QueueRecorder {
  /** Ids in the order they were picked up. */
  readonly picked: string[];
  start(
    queue: DurableQueue,
    handler?: (id: string) => Promise<EntryOutcome> | EntryOutcome,
    concurrency?: number,
  ): QueueWorker;
  /** Not for longer than a few seconds: a failed test may leave a handler that never ends. */
  stop(): Promise<void>;
}

export function createQueueRecorder(): QueueRecorder {
  const picked: string[] = [];
  const workers: QueueWorker[] = [];
  return {
    picked,
    start(queue, handler = () => done, concurrency = 8) {
      const handle: EntryHandler = async (_data, id) => {
        picked.push(id);
        return handler(id);
      };
      const worker = queue.startWorker(handle, concurrency);
      workers.push(worker);
      return worker;
    },
    async stop() {
      const late = new AbortController();
      const closing = Promise.all(workers.splice(0).map((worker) => worker.close()));
      await Promise.race([closing, sleep(stopTimeoutMs, undefined, { signal: late.signal }).catch(() => undefined)]);
      late.abort();
    },
  };
}

export const stateOf = async (queue: DurableQueue, id: string): Promise<string | undefined> =>
  (await queue.statesOf([id])).get(id);

export const whenState = (queue: DurableQueue, id: string, state: string, limitMs?: number) =>
  eventually(
    () => stateOf(queue, id),
    (seen) => seen === state,
    limitMs,
  );

export const whenPicked = (picked: readonly string[], id: string, limitMs?: number) =>
  eventually(
    () => [...picked],
    (ids) => ids.includes(id),
    limitMs,
  );

/** The queue's own record of an entry, as Bull Board shows it. */
export async function bullmqJob(backend: QueueBackend, queue: DurableQueue, id: string): Promise<Job | undefined> {
  const opened = backend.opened().find(({ name }) => name === queue.name);
  return (opened?.bullmq as Queue | undefined)?.getJob(id);
}
