/** A task that runs again and again until it is stopped: at an interval, or sooner when woken. Errors are logged. */
import type { Logger } from '@waybill/shared/telemetry/logger.ts';

export interface Loop {
  /** Runs the next round now. */
  wake(): void;
  /** Resolves when the running round has ended. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  readonly name: string;
  /** How long to wait after a round; the round may answer with a shorter wait. */
  readonly intervalMs: number;
  readonly logger: Logger;
  round(): Promise<{ readonly nextMs: number } | undefined>;
}

export function startLoop({ name, intervalMs, logger, round }: LoopOptions): Loop {
  let isStopped = false;
  let isWoken = false;
  let wakeUp: (() => void) | null = null;
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      if (isWoken || isStopped) return resolve();
      const timer = setTimeout(resolve, ms);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const run = async () => {
    while (!isStopped) {
      isWoken = false;
      let waitMs = intervalMs;
      try {
        waitMs = Math.min(intervalMs, (await round())?.nextMs ?? intervalMs);
      } catch (error) {
        if (!isStopped) logger.error({ err: error, loop: name }, 'a round failed; it is tried again');
      }
      await pause(waitMs);
      wakeUp = null;
    }
  };
  const running = run();
  return {
    wake() {
      isWoken = true;
      wakeUp?.();
    },
    stop() {
      isStopped = true;
      wakeUp?.();
      return running;
    },
  };
}
