/** Waiting for a job to become final: told by a signal, checked now and then, and never for longer than asked. */
import type { Coordination, Signal } from '@waybill/shared/coordination/coordination.ts';
import { waitForSignal } from '@waybill/shared/coordination/wait-for-signal.ts';
import { isFinal } from '@waybill/shared/domain/job.ts';
import type { JobView } from '@waybill/shared/store/jobs.ts';

const pollMs = 1_000;
/** More waiters than this are answered at once: each holds a connection. */
const maxWaiters = 1_000;

export interface Waiter {
  untilFinal(
    read: () => Promise<JobView | null>,
    jobId: string,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<JobView | null>;
}

export function createWaiter(coordination: Coordination): Waiter {
  let waiters = 0;
  return {
    async untilFinal(read, jobId, waitMs, signal) {
      const endsAt = performance.now() + waitMs;
      let view = await read();
      if (waiters >= maxWaiters) return view;
      waiters += 1;
      const isTold = (message: Signal) => message.type === 'final' && message.jobId === jobId;
      try {
        while (view && !isFinal(view.job.status) && !signal.aborted && performance.now() < endsAt) {
          await waitForSignal(coordination, isTold, Math.min(pollMs, endsAt - performance.now()), signal);
          view = await read();
        }
      } finally {
        waiters -= 1;
      }
      return view;
    },
  };
}
