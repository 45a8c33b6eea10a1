/**
 * What a tenant's jobs really use of a target, learned from the calls that ended: a factor on the estimates of the next.
 *
 * Booked one by one, the corrections would favour whoever was alone when its jobs were dispatched: what comes back for
 * those would pay for the next ones, at the cost of a tenant that has just come. As a factor they only make the next
 * charges right. Pure; what was learned fades.
 */
export interface LearnedCost {
  /** Tokens of calls that ended: by estimate, and really. */
  readonly estimated: number;
  readonly used: number;
}

export const nothingLearned: LearnedCost = { estimated: 0, used: 0 };

const halfLifeMs = 60_000;
/** Fewer estimated tokens than this teach nothing yet. */
const enoughTokens = 500;
const leastFactor = 0.05;
const mostFactor = 20;

export function learn(known: LearnedCost, more: Partial<LearnedCost>): LearnedCost {
  return { estimated: known.estimated + (more.estimated ?? 0), used: known.used + (more.used ?? 0) };
}

export function fade({ estimated, used }: LearnedCost, elapsedMs: number): LearnedCost {
  const rest = 0.5 ** (Math.max(0, elapsedMs) / halfLifeMs);
  return { estimated: estimated * rest, used: used * rest };
}

/** What an estimate is multiplied with. @param others what all tenants of the target taught, for one that is new */
export function costFactor(own: LearnedCost, others: LearnedCost): number {
  const source = own.estimated >= enoughTokens ? own : others;
  if (source.estimated < enoughTokens) return 1;
  return Math.min(mostFactor, Math.max(leastFactor, source.used / source.estimated));
}
