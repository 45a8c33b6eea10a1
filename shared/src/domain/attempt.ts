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
  /**
   * When the target may be called again: for kinds that wait or pause, or where retries were left; null: it is tried for
   * the run.
   */
  readonly retryAtMs: number | null;
}
