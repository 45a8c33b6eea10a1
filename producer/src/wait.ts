/** Waiting for a job to become final: told by a signal, checked now and then, and never for longer than asked. */
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
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
      try {
        while (view && !isFinal(view.job.status) && !signal.aborted && performance.now() < endsAt) {
          await finalOrPoll(coordination, jobId, Math.min(pollMs, endsAt - performance.now()), signal);
          view = await read();
        }
      } finally {
        waiters -= 1;
      }
      return view;
    },
  };
}

function finalOrPoll(coordination: Coordination, jobId: string, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      unsubscribe();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(1, ms));
    const unsubscribe = coordination.subscribe((message) => {
      if (message.type === 'final' && message.jobId === jobId) done();
    });
    signal.addEventListener('abort', done, { once: true });
  });
}
