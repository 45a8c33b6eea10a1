/** The claim, typed. The work is done by `waybill.claim_job`, all or nothing. */
import { z } from 'zod';
import { attemptStatuses } from '../domain/attempt.ts';
import { type FailureKind, failureKinds } from '../domain/failure.ts';
import type { Database } from './database.ts';
import type { JobRow } from './jobs.ts';

export interface ClaimRequest {
  readonly jobId: string;
  readonly seq: number;
  readonly target: string;
  readonly workerId: string;
  /** Labels of the target as configured now: a job's `require` must lie within. */
  readonly labels: readonly string[];
  readonly credential: string | null;
}

const historySchema = z.array(
  z.object({
    n: z.int(),
    target: z.string(),
    status: z.enum(attemptStatuses),
    failure: z
      .enum(failureKinds as [FailureKind, ...FailureKind[]])
      .nullable()
      // The claim stands already: a kind of another version must not stop the call.
      .catch('unknown'),
    endedAtMs: z.number().nullable(),
    retryAtMs: z.number().nullable(),
  }),
);
export type History = z.infer<typeof historySchema>;

export type Claim =
  | { readonly kind: 'claimed'; readonly job: JobRow; readonly request: string; readonly history: History }
  | { readonly kind: 'stale' }
  | { readonly kind: 'refused'; readonly refusal: 'label' | 'poison'; readonly job: JobRow };

export async function claimJob(database: Database, request: ClaimRequest): Promise<Claim> {
  const { rows } = await database.pool.query(
    'select outcome, (job).*, request, history from waybill.claim_job($1, $2, $3, $4, $5::text[], $6)',
    [request.jobId, request.seq, request.target, request.workerId, request.labels, request.credential],
  );
  const row = rows[0] as (JobRow & { outcome: string; request: string; history: string }) | undefined;
  if (row?.outcome === 'claimed')
    return { kind: 'claimed', job: row, request: row.request, history: historySchema.parse(JSON.parse(row.history)) };
  return row?.outcome === 'label' || row?.outcome === 'poison'
    ? { kind: 'refused', refusal: row.outcome, job: row }
    : { kind: 'stale' };
}
