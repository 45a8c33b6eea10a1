/**
 * When a webhook is tried again: the schedule of Standard Webhooks, ten tries over about three days, with jitter so
 * that a receiver that comes back is not met by everybody at once.
 */
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const delaysMs = [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour];
const jitter = 0.2;
const longestRetryAfterMs = 24 * hour;

/**
 * The wait after the n-th failed try; null: give up.
 * @param random from [0, 1)
 * @param retryAfterMs what the receiver asked for; obeyed when longer, up to a day
 */
export function nextTryMs(failedTries: number, random: number, retryAfterMs: number | null): number | null {
  const planned = delaysMs[failedTries - 1];
  if (planned === undefined) return null;
  const jittered = Math.round(planned * (1 - jitter + 2 * jitter * random));
  return Math.max(jittered, Math.min(retryAfterMs ?? 0, longestRetryAfterMs));
}
