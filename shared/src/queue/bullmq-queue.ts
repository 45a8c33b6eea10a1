/**
 * BullMQ, wrapped: the one place that knows its API. Its two backends differ only in what they are made with.
 */
import { DelayedError, type Job, type Queue, UnrecoverableError, type Worker } from 'bullmq';
import { collectTick } from '../store/collect-tick.ts';
import { createErrorGovernor, createErrorPause } from './error-governor.ts';
import type { DurableQueue, EntryHandler, EntryState, QueueBackend, QueueItem, QueueWorker } from './queue.ts';

const lockDurationMs = 60_000;
const stalledIntervalMs = 30_000;
/** Poison jobs are counted in our attempt rows; BullMQ must not fail innocent entries after a few restarts. */
const maxStalledCount = 5;
/** After a lost connection; BullMQ's own 15 s would leave a healthy server alone for that long. */
const runRetryDelayMs = 1_000;
const addChunk = 500;
const stateChunk = 100;
/** A worker whose connection is gone cannot say goodbye: it is not waited for longer than this. */
const closeTimeoutMs = 5_000;
const maxEvents = 1_000;

/** How finished entries are kept, for Bull Board and for late adds. */
export interface Retention {
  readonly age: number;
  readonly count?: number;
}

/** What one of BullMQ's backends needs to make its parts. */
export interface BullmqFactory {
  /** Connection and prefix, by the queue's name. */
  readonly queueOptions: (name: string) => Record<string, unknown>;
  readonly workerOptions: (name: string) => Record<string, unknown>;
  readonly Queue: new (name: string, options: never) => unknown;
  readonly Worker: new (name: string, handler: never, options: never) => unknown;
  readonly retention: Retention;
  /** True where losing the coordination store means losing the queue as well. */
  readonly isRebuiltWithEpoch: boolean;
  /** False while a command is known not to be answered. */
  readonly isReachable: () => boolean;
  /** Hears of every add that failed. */
  readonly onAddFailed: (error: unknown) => void;
  readonly close: () => Promise<void>;
}

type Report = (error: Error, queue: string) => void;

export function createBullmqBackend(
  factory: BullmqFactory,
  onError: (error: Error, queue: string) => void,
): QueueBackend {
  const opened = new Map<string, { bullmq: Queue; queue: DurableQueue }>();
  const report = createErrorGovernor(onError);
  const open = (name: string) => {
    const known = opened.get(name);
    if (known) return known;
    const bullmq = openQueue(name, factory);
    bullmq.on('error', (error) => report(error, name));
    const made = { bullmq, queue: wrapQueue(name, bullmq, factory, report) };
    opened.set(name, made);
    return made;
  };
  return {
    queue: <Data>(name: string) => open(name).queue as DurableQueue<Data>,
    opened: () => [...opened].map(([name, { bullmq }]) => ({ name, bullmq })),
    isRebuiltWithEpoch: factory.isRebuiltWithEpoch,
    isReachable: factory.isReachable,
    async close() {
      await Promise.all([...opened.values()].map(({ bullmq }) => within(closeTimeoutMs, bullmq.close())));
      await factory.close();
    },
  };
}

function openQueue(name: string, { Queue: Made, queueOptions, retention }: BullmqFactory): Queue {
  return new Made(name, {
    ...queueOptions(name),
    defaultJobOptions: {
      attempts: 1,
      removeOnComplete: retention,
      removeOnFail: retention,
      stackTraceLimit: 1,
      keepLogs: 10,
    },
    streams: { events: { maxLen: maxEvents } },
  } as never) as Queue;
}

function wrapQueue(name: string, bullmq: Queue, factory: BullmqFactory, report: Report): DurableQueue {
  const add = collectTick(
    async (items: readonly QueueItem<unknown>[]) => {
      try {
        await addSome(bullmq, items);
      } catch (error) {
        factory.onAddFailed(error);
        throw error;
      }
      return items;
    },
    { maxItems: addChunk },
  );
  return {
    name,
    async add(items) {
      await Promise.all(items.map(add));
    },
    async statesOf(ids) {
      const states = new Map<string, EntryState>();
      for (let start = 0; start < ids.length; start += stateChunk) {
        const chunk = ids.slice(start, start + stateChunk);
        const found = await Promise.all(chunk.map((id) => bullmq.getJobState(id)));
        for (const [index, id] of chunk.entries()) states.set(id, toState(found[index] ?? 'unknown'));
      }
      return states;
    },
    async pickedUpAt(ids) {
      const times = new Map<string, number>();
      for (let start = 0; start < ids.length; start += stateChunk) {
        const found = await Promise.all(ids.slice(start, start + stateChunk).map((id) => bullmq.getJob(id)));
        for (const job of found)
          if (job?.id !== undefined && job.processedOn !== undefined && job.finishedOn === undefined)
            times.set(job.id, job.processedOn);
      }
      return times;
    },
    async remove(id) {
      await bullmq.remove(id).catch(() => undefined); // An active entry is locked; it ends as stale by itself.
    },
    async listWaiting(limit) {
      const ids = await Promise.all(
        (['waiting', 'prioritized', 'delayed'] as const).map((state) => bullmq.getRanges([state], 0, limit - 1)),
      );
      return ids.flat();
    },
    countWaiting: () => bullmq.getJobCountByTypes('waiting', 'prioritized'),
    async writeSettings() {
      await bullmq.getBackend().setQueueMeta({ 'opts.maxLenEvents': maxEvents });
    },
    startWorker: (handler, concurrency) => startWorker(name, handler, concurrency, factory, report),
  };
}

async function addSome(queue: Queue, items: readonly QueueItem<unknown>[]): Promise<void> {
  const bulk = items.map(({ id, data, delayMs, priority }) => ({
    name: 'try',
    data: data as object,
    opts: { jobId: id, priority, ...(delayMs > 0 ? { delay: Math.round(delayMs) } : {}) },
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
  { Worker: Made, workerOptions }: BullmqFactory,
  report: Report,
): QueueWorker {
  const worker = new Made(
    name,
    // Three parameters: BullMQ counts them, and makes a signal only then.
    (async (entry: Job, token: string | undefined, signal: AbortSignal | undefined) => {
      const outcome = await handler(entry.data, entry.id ?? '', signal ?? new AbortController().signal);
      if (outcome.kind === 'failed') throw noted(outcome.note);
      if (outcome.kind === 'done') return outcome.note;
      await entry.moveToDelayed(Date.now() + outcome.delayMs, token);
      throw new DelayedError();
    }) as never,
    {
      ...workerOptions(name),
      concurrency,
      lockDuration: lockDurationMs,
      stalledInterval: stalledIntervalMs,
      maxStalledCount,
      runRetryDelay: runRetryDelayMs,
    } as never,
  ) as Worker;
  const pause = createErrorPause({
    pause: () => worker.pause(true),
    resume: () => worker.resume(),
    onFault: (error) => report(error, name),
  });
  worker.on('error', (error) => {
    report(error, name);
    pause.count();
  });
  return {
    async close(isForced = false) {
      pause.stop();
      // A second close answers with the first one, which may wait for ever. Only what blocks is this worker's own.
      if (isForced)
        await within(closeTimeoutMs, Promise.all([worker.close(true), worker.getBackend().disconnectBlocking(false)]));
      else await worker.close();
    },
  };
}

/** Bull Board prints the stack of a failed entry: the note is the story, and our own frames are none of it. */
function noted(note: string): UnrecoverableError {
  const error = new UnrecoverableError(note);
  error.stack = note;
  return error;
}

/** Waits, but not for ever; what it waits for goes on alone. */
async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, limitMs);
  await Promise.race([work.catch(() => undefined), limit.promise]);
  clearTimeout(timer);
}
