/** One call of a job to a target. */
import type { FailureKind } from './failure.ts';

export const attemptStatuses = ['started', 'succeeded', 'failed', 'aborted', 'unknown', 'superseded'] as const;
export type AttemptStatus = (typeof attemptStatuses)[number];

/** What `decide` knows about an earlier attempt of the same run. */
export interface AttemptRecord {
  readonly n: number;
  readonly target: string;
  readonly status: AttemptStatus;
  readonly failure: FailureKind | null;
  readonly endedAtMs: number | null;
  /** When the provider said to come back, or the backoff ended; set for waiting kinds. */
  readonly retryAtMs: number | null;
}
