/** Waits for a signal of a kind, for a limited time, or until it is no longer wanted; the caller looks again itself. */
import type { Coordination, Signal } from './coordination.ts';

export function waitForSignal(
  coordination: Coordination,
  isAwaited: (signal: Signal) => boolean,
  limitMs: number,
  abort: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      unsubscribe();
      abort.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(1, limitMs));
    const unsubscribe = coordination.subscribe((signal) => {
      if (isAwaited(signal)) done();
    });
    abort.addEventListener('abort', done, { once: true });
  });
}
