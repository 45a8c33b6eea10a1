/** The claim, typed. The work is done by `waybill.claim_job`, all or nothing, for many entries in one statement. */
import { z } from 'zod';
import { attemptStatuses } from '../domain/attempt.ts';
import { type FailureKind, failureKinds } from '../domain/failure.ts';
import { collectTick } from './collect-tick.ts';
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
  /** The permit's token, and the epoch it was taken in. */
  readonly permit: string;
  readonly place: string;
  readonly epoch: string;
}

const historySchema = z.array(
  z.object({
    n: z.int(),
    target: z.string(),
    // The claim stands already: a word of another version must not stop the call.
    status: z.enum(attemptStatuses).catch('unknown'),
    failure: z
      .enum(failureKinds as [FailureKind, ...FailureKind[]])
      .nullable()
      .catch('unknown'),
    credential: z.string().nullable(),
    endedAtMs: z.number().nullable(),
    retryAtMs: z.number().nullable(),
  }),
);
export type History = z.infer<typeof historySchema>;

/** What all earlier attempts of the job cost, whatever their run. */
export interface PriorCost {
  readonly nano: bigint;
  /** Attempts whose cost nobody knows. */
  readonly unknown: number;
}

export type Claim =
  | {
      readonly kind: 'claimed';
      readonly job: JobRow;
      readonly request: string;
      /** What earlier attempts of the run delivered, as JSON text; null: nothing. */
      readonly carried: string | null;
      readonly history: History;
      readonly prior: PriorCost;
    }
  | { readonly kind: 'stale' }
  /** The permits of that epoch are gone: ask for a new one. */
  | { readonly kind: 'old_epoch' }
  | { readonly kind: 'refused'; readonly refusal: 'label' | 'poison'; readonly job: JobRow };

type Row = JobRow & {
  ord: number;
  outcome: string;
  request: string;
  carried: string | null;
  history: string;
  prior_cost_nano: string;
  prior_unknown: number;
};

const maxClaims = 100;
const maxStatements = 2;

/** Claims of one tick share a statement. */
export function createClaimer(database: Database): (request: ClaimRequest) => Promise<Claim> {
  return collectTick((requests) => claimJobs(database, requests), { maxItems: maxClaims, maxInFlight: maxStatements });
}

export async function claimJobs(database: Database, requests: readonly ClaimRequest[]): Promise<Claim[]> {
  const items = requests
    .map((request, ord) => ({
      ord,
      job: request.jobId,
      seq: request.seq,
      target: request.target,
      worker: request.workerId,
      labels: request.labels,
      credential: request.credential,
      permit: request.permit,
      place: request.place,
      epoch: request.epoch,
    }))
    // Always in the same order, so that two statements that meet do not wait for each other.
    .toSorted((a, b) => (a.job < b.job ? -1 : 1));
  const { rows } = await database.pool.query(
    'select ord, outcome, (job).*, request, carried, history, prior_cost_nano, prior_unknown from waybill.claim_jobs($1::jsonb)',
    [JSON.stringify(items)],
  );
  const byOrd = new Map((rows as unknown as Row[]).map((row) => [row.ord, row]));
  return requests.map((_, ord) => toClaim(byOrd.get(ord)));
}

function toClaim(row: Row | undefined): Claim {
  if (row?.outcome === 'claimed')
    return {
      kind: 'claimed',
      job: row,
      request: row.request,
      carried: row.carried,
      history: historySchema.parse(JSON.parse(row.history)),
      prior: { nano: BigInt(row.prior_cost_nano), unknown: row.prior_unknown },
    };
  if (row?.outcome === 'old_epoch') return { kind: 'old_epoch' };
  return row?.outcome === 'label' || row?.outcome === 'poison'
    ? { kind: 'refused', refusal: row.outcome, job: row }
    : { kind: 'stale' };
}
