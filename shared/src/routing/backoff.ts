/** Exponential backoff with full jitter: U(0, min(max, initial × factor^(k-1))). `random` is from [0, 1). */
export interface BackoffPolicy {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: 'full' | 'none';
}

export function backoffMs(k: number, policy: BackoffPolicy, random: number): number {
  const ceiling = Math.min(policy.maxMs, policy.initialMs * policy.factor ** (Math.max(1, k) - 1));
  return Math.round(policy.jitter === 'full' ? ceiling * random : ceiling);
}
