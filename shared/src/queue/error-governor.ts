/**
 * BullMQ reports an error per failed round and goes on without a pause: a full disk makes thousands a second.
 * One line per queue, cause and second reaches the log; the rest are counted.
 */
export function createErrorGovernor(
  onError: (error: Error, queue: string, suppressed: number) => void,
  now: () => number = Date.now,
): (error: Error, queue: string) => void {
  const seen = new Map<string, { atMs: number; suppressed: number }>();
  return (error, queue) => {
    const key = `${queue} ${error.message.slice(0, 100)}`;
    const last = seen.get(key);
    if (last && now() - last.atMs < 1_000) {
      last.suppressed += 1;
      return;
    }
    if (seen.size > 200) seen.clear();
    seen.set(key, { atMs: now(), suppressed: 0 });
    onError(error, queue, last?.suppressed ?? 0);
  };
}

const errorsPerSecond = 20;
const shortestPauseMs = 1_000;
const longestPauseMs = 10_000;
/** After this long without an error storm, the next one starts with the shortest pause. */
const calmMs = 60_000;

export interface ErrorPause {
  count(): void;
  stop(): void;
}

export interface PausedWorker {
  pause(): Promise<void>;
  resume(): Promise<void>;
  onFault(error: Error): void;
}

/** Stops a worker's loop for a while when it does nothing but fail: more than 20 errors a second mean a spinning loop. */
export function createErrorPause(
  worker: PausedWorker,
  now: () => number = () => performance.now(),
  random: () => number = Math.random,
): ErrorPause {
  let recent: number[] = [];
  let pauseMs = shortestPauseMs;
  let pausedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;
  let isStopped = false;
  const pause = () => {
    pauseMs = now() - pausedAt > calmMs ? shortestPauseMs : Math.min(longestPauseMs, pauseMs * 2);
    pausedAt = now();
    recent = [];
    void worker.pause().catch(worker.onFault);
    timer = setTimeout(
      () => {
        timer = null;
        if (!isStopped) void worker.resume().catch(worker.onFault);
      },
      pauseMs * (0.5 + random() / 2),
    );
  };
  return {
    count() {
      if (timer !== null || isStopped) return;
      recent = [...recent.filter((at) => now() - at < 1_000), now()].slice(-errorsPerSecond - 1);
      if (recent.length > errorsPerSecond) pause();
    },
    stop() {
      isStopped = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
