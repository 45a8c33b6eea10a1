/** Long work that Ctrl-C ends in good order. */
import { exitCode } from '../exit-codes.ts';
import { say } from '../output.ts';

/** null: a signal came first; it was said, and the exit code tells. A second signal ends the process at once. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    const result = await work(stop.signal);
    if (!stop.signal.aborted) return result;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
  say('Interrupted: what was asked so far is left out.');
  process.exitCode = exitCode.interrupted;
  return null;
}

/** Some at a time, in the order they came; none begins after the signal. */
export async function mapAtMost<In, Out>(
  items: readonly In[],
  most: number,
  signal: AbortSignal,
  work: (item: In) => Promise<Out>,
): Promise<Out[]> {
  const results: Out[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length && !signal.aborted) {
      const index = next;
      next += 1;
      results[index] = await work(items[index] as In);
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, lane));
  return results;
}
