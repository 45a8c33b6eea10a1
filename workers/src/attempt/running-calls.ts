/** The calls this process has open, so that a cancel, a shutdown or a lost lease reaches the socket. */
import type { StopReason } from '@waybill/shared/providers/transport.ts';

export interface RunningCall {
  readonly signal: AbortSignal;
  stop(reason: StopReason): void;
  close(): void;
}

export interface RunningCalls {
  /** Registers a call until it is closed. */
  open(jobId: string): RunningCall;
  stop(jobId: string, reason: StopReason): void;
  stopAll(reason: StopReason): void;
  readonly size: number;
}

export function createRunningCalls(): RunningCalls {
  const open = new Map<string, AbortController>();
  let isShutDown = false;
  return {
    open(jobId) {
      const controller = new AbortController();
      // A call that begins after the end of the grace must not outlive it.
      if (isShutDown) controller.abort('shutdown' satisfies StopReason);
      open.set(jobId, controller);
      return {
        signal: controller.signal,
        stop: (reason) => controller.abort(reason),
        close() {
          if (open.get(jobId) === controller) open.delete(jobId);
        },
      };
    },
    stop: (jobId, reason) => open.get(jobId)?.abort(reason),
    stopAll(reason) {
      isShutDown ||= reason === 'shutdown';
      for (const controller of open.values()) controller.abort(reason);
    },
    get size() {
      return open.size;
    },
  };
}
