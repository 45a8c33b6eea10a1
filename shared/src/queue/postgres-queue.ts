/** The queue on BullMQ's Postgres backend, over the same database as everything else. */
import { createPostgresBackend, DelayedError, type Job, UnrecoverableError, withBackend } from 'bullmq';
import type { Database } from '../store/database.ts';
import { createErrorGovernor } from './error-governor.ts';
import type { DurableQueue, EntryHandler, EntryState, QueueBackend, QueueItem, QueueWorker } from './queue.ts';

const backend = withBackend(createPostgresBackend);
type BullQueue = InstanceType<typeof backend.Queue>;

/** Retention by age only: counting kept rows costs a scan per completion on this backend. */
const keep = { age: 600 };
const lockDurationMs = 60_000;
const stalledIntervalMs = 30_000;
/** Poison jobs are counted in our attempt rows; BullMQ must not fail innocent entries after a few restarts. */
const maxStalledCount = 5;
const addChunk = 500;

export function createPostgresQueueBackend(
  database: Database,
  onError: (error: Error, queue: string) => void,
): QueueBackend {
  const queues = new Map<string, BullQueue>();
  const connection = database.pool as never;
  const report = createErrorGovernor(onError);
  const open = (name: string): BullQueue => {
    const known = queues.get(name);
    if (known) return known;
    const queue = new backend.Queue(name, {
      connection,
      defaultJobOptions: { attempts: 1, removeOnComplete: keep, removeOnFail: keep, stackTraceLimit: 1, keepLogs: 10 },
      streams: { events: { maxLen: 1_000 } },
    });
    queue.on('error', (error) => report(error, name));
    queues.set(name, queue);
    return queue;
  };
  return {
    queue: <Data>(name: string) => wrapQueue<Data>(name, open(name), connection, report),
    opened: () => [...queues].map(([name, bullmq]) => ({ name, bullmq })),
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}

function wrapQueue<Data>(
  name: string,
  queue: BullQueue,
  connection: never,
  report: (error: Error, queue: string) => void,
): DurableQueue<Data> {
  return {
    name,
    async add(items) {
      for (let start = 0; start < items.length; start += addChunk)
        await addSome(queue, items.slice(start, start + addChunk));
    },
    async stateOf(id) {
      return toState(await queue.getJobState(id));
    },
    async remove(id) {
      await queue.remove(id).catch(() => undefined); // An active entry is locked; it ends as stale by itself.
    },
    startWorker: (handler, concurrency) => startWorker(name, handler, concurrency, connection, report),
  };
}

async function addSome<Data>(queue: BullQueue, items: readonly QueueItem<Data>[]): Promise<void> {
  const bulk = items.map(({ id, data, delayMs, priority }) => ({
    name: 'try',
    data: data as object,
    opts: { jobId: id, priority, ...(delayMs > 0 ? { delay: delayMs } : {}) },
  }));
  const [only] = bulk;
  if (bulk.length === 1 && only) await queue.add(only.name, only.data, only.opts);
  else if (bulk.length > 1) await queue.addBulk(bulk);
}

function toState(state: string): EntryState {
  if (state === 'active' || state === 'delayed') return state;
  if (state === 'completed' || state === 'failed') return 'finished';
  return state === 'unknown' ? 'missing' : 'waiting';
}

function startWorker(
  name: string,
  handler: EntryHandler,
  concurrency: number,
  connection: never,
  report: (error: Error, queue: string) => void,
): QueueWorker {
  const worker = new backend.Worker(
    name,
    // Three parameters: BullMQ counts them, and makes a signal only then.
    async (entry: Job, token, signal) => {
      const outcome = await handler(entry.data, entry.id ?? '', signal ?? new AbortController().signal);
      if (outcome.kind === 'failed') throw noted(outcome.note);
      if (outcome.kind === 'done') return outcome.note;
      await entry.moveToDelayed(Date.now() + outcome.delayMs, token);
      throw new DelayedError();
    },
    { connection, concurrency, lockDuration: lockDurationMs, stalledInterval: stalledIntervalMs, maxStalledCount },
  );
  worker.on('error', (error) => report(error, name));
  return { close: () => worker.close() };
}

/** Bull Board prints the stack of a failed entry: the note is the story, and our own frames are none of it. */
function noted(note: string): UnrecoverableError {
  const error = new UnrecoverableError(note);
  error.stack = note;
  return error;
}
