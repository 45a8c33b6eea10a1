/** The most of something in any window of a length, over events with times. Pure. */
export interface Counted {
  readonly atMs: number;
  readonly amount: number;
}

export interface Peak {
  readonly amount: number;
  readonly fromMs: number;
}

/** A window holds what is less than its length apart. @param events in the order of time */
export function peakIn(events: readonly Counted[], windowMs: number): Peak {
  let first = 0;
  let sum = 0;
  let peak: Peak = { amount: 0, fromMs: 0 };
  for (const { atMs, amount } of events) {
    sum += amount;
    for (let oldest = events[first]; oldest && oldest.atMs <= atMs - windowMs; oldest = events[first]) {
      sum -= oldest.amount;
      first += 1;
    }
    if (sum > peak.amount) peak = { amount: sum, fromMs: events[first]?.atMs ?? atMs };
  }
  return peak;
}
