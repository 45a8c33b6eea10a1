/** For tests of what becomes of a job: the moment, the chain and the targets that most cases begin from. */
import type { Candidate } from './candidates.ts';
import type { DecidePolicy } from './decide.ts';

export const nowMs = 10_000_000;
export const hourMs = 3_600_000;

/** Without dice: cases that are about these say so themselves. */
export const policy: DecidePolicy = {
  mode: 'graceful',
  sameTargetRetries: 3,
  maxAttempts: 10,
  onLimitMs: 60_000,
  backoff: { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'none' },
  on: {},
};

export const eligible = (target: string): Candidate => ({ target, kind: 'eligible' });
