/**
 * Alive means making progress: a worker whose queue holds entries and whose slots are free picks one up.
 *
 * A process can look healthy and do nothing (a blocking call that never returns, a listener that is gone). It is told
 * here, reported by `/healthz`, and ended, so that its supervisor starts another.
 */
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { type Loop, startLoop } from '../loop.ts';

const checkEveryMs = 10_000;
/** Nothing picked up for this long, though there was something to pick up at every look. */
export const stuckAfterMs = 60_000;
/** A stuck process is ended when it has not recovered for another while. */
export const endAfterMs = 2 * stuckAfterMs;

export interface Pickups {
  readonly slots: number;
  running: number;
  lastAt: number;
  /** Since when entries have waited at every look; null: none did. */
  waitingSince: number | null;
}

/** Whether a pool does nothing although it could. Pure. */
export function isStuck({ slots, running, lastAt, waitingSince }: Pickups, now: number, afterMs: number): boolean {
  if (running >= slots || waitingSince === null) return false;
  return now - Math.max(lastAt, waitingSince) >= afterMs;
}

export interface Progress {
  /** Wraps a pool's handler: counts what it picks up. */
  watch<Args extends unknown[], Result>(
    queue: string,
    slots: number,
    handler: (...args: Args) => Promise<Result>,
  ): (...args: Args) => Promise<Result>;
  /** Queues whose pool does nothing although it could. */
  stuck(): string[];
  stop(): Promise<void>;
}

export interface ProgressOptions {
  readonly queues: QueueBackend;
  readonly logger: Logger;
  /** The process should be replaced. */
  readonly onStuck: (queues: readonly string[]) => void;
  readonly now?: () => number;
}

export function startProgress({ queues, logger, onStuck, now = () => performance.now() }: ProgressOptions): Progress {
  const pools = new Map<string, Pickups>();
  const stuckFor = (ms: number) => [...pools].filter(([, pool]) => isStuck(pool, now(), ms)).map(([name]) => name);
  const loop: Loop = startLoop({
    name: 'progress',
    intervalMs: checkEveryMs,
    logger,
    async round() {
      for (const [name, pool] of pools) await look(name, pool);
      const stuck = stuckFor(stuckAfterMs);
      if (stuck.length > 0) logger.error({ queues: stuck }, 'entries wait, slots are free, and nothing is picked up');
      const ended = stuckFor(endAfterMs);
      if (ended.length > 0) onStuck(ended);
      return undefined;
    },
  });
  const look = async (name: string, pool: Pickups): Promise<void> => {
    // A queue that cannot be asked is not this process's fault.
    const waiting = queues.isReachable()
      ? await queues
          .queue(name)
          .countWaiting()
          .catch(() => 0)
      : 0;
    pool.waitingSince = waiting === 0 ? null : (pool.waitingSince ?? now());
  };
  return {
    watch(queue, slots, handler) {
      const pool: Pickups = { slots, running: 0, lastAt: now(), waitingSince: null };
      pools.set(queue, pool);
      return async (...args) => {
        pool.running += 1;
        pool.lastAt = now();
        try {
          return await handler(...args);
        } finally {
          pool.running -= 1;
        }
      };
    },
    stuck: () => stuckFor(stuckAfterMs),
    stop: () => loop.stop(),
  };
}
