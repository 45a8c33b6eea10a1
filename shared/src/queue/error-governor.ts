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
