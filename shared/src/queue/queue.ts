/**
 * The queue as the rest of the system sees it: a window on what is about to run.
 *
 * BullMQ is wrapped here and nowhere else. It holds no truth: an entry that is lost is added again from its row, and
 * one that is delivered twice finds its claim stale.
 */
export interface QueueItem<Data> {
  readonly id: string;
  readonly data: Data;
  readonly delayMs: number;
  /** 0 first. */
  readonly priority: number;
}

export type EntryState = 'waiting' | 'delayed' | 'active' | 'finished' | 'missing';

/** How an entry ended, as operators read it in Bull Board. It decides nothing. */
export type EntryOutcome =
  | { readonly kind: 'done'; readonly note: string }
  | { readonly kind: 'failed'; readonly note: string }
  /** Try this same entry again later; it uses up nothing. */
  | { readonly kind: 'delay'; readonly delayMs: number };

export type EntryHandler = (data: unknown, id: string, signal: AbortSignal) => Promise<EntryOutcome>;

export interface QueueWorker {
  /** Stops taking entries; resolves when the running ones have ended, or soon when it is forced. */
  close(isForced?: boolean): Promise<void>;
}

export interface DurableQueue<Data = unknown> {
  readonly name: string;
  /** Adding an id twice is adding it once. */
  add(items: readonly QueueItem<Data>[]): Promise<void>;
  statesOf(ids: readonly string[]): Promise<ReadonlyMap<string, EntryState>>;
  /** When active entries were picked up, in ms since 1970 by the worker's clock; others are left out. */
  pickedUpAt(ids: readonly string[]): Promise<ReadonlyMap<string, number>>;
  remove(id: string): Promise<void>;
  /** The ids of entries that wait or are delayed, at most `limit` of each. */
  listWaiting(limit: number): Promise<string[]>;
  /** Entries that could be picked up now. */
  countWaiting(): Promise<number>;
  /** Writes the queue's settings again, after its store was wiped. */
  writeSettings(): Promise<void>;
  startWorker(handler: EntryHandler, concurrency: number): QueueWorker;
}

export interface QueueBackend {
  queue<Data>(name: string): DurableQueue<Data>;
  /** The BullMQ queues opened so far, for Bull Board. */
  opened(): readonly { readonly name: string; readonly bullmq: unknown }[];
  /** True where the queue is lost together with the coordination store, and filled again with its epoch. */
  readonly isRebuiltWithEpoch: boolean;
  /** False while the queue is known not to answer: then nothing is added, and the dispatcher does it later. */
  isReachable(): boolean;
  close(): Promise<void>;
}

/** The queue of webhook deliveries; providers' queues have the provider's id. */
export const webhookQueueName = 'waybill-webhooks';
