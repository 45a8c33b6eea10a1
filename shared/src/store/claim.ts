/** The claim, typed. The work is done by `waybill.claim_job`, all or nothing, for many entries in one statement. */
import { z } from 'zod';
import { attemptStatuses } from '../domain/attempt.ts';
import { type FailureKind, failureKinds } from '../domain/failure.ts';
import type { CallPrices } from '../pricing/call-prices.ts';
import { type BudgetRule, budgetSubjects, type TokenPrice } from '../routing/budgets.ts';
import { type Refusal, refusals } from '../routing/decide-without-attempt.ts';
import { collectTick } from './collect-tick.ts';
import type { Database } from './database.ts';
import { againAfter } from './faults.ts';
import type { JobRow } from './jobs.ts';

export interface ClaimRequest {
  readonly jobId: string;
  readonly seq: number;
  readonly target: string;
  readonly workerId: string;
  /** Labels of the target as configured now: a job's `require` must lie within. */
  readonly labels: readonly string[];
  /** Labels that the configuration requires of every target. */
  readonly require: readonly string[];
  readonly prices: CallPrices;
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
  /** Another turn of its conversation is before it; it waits already. */
  | { readonly kind: 'turn' }
  /** What is reserved of a budget leaves too little: it may come free. */
  | { readonly kind: 'budget_wait'; readonly job: JobRow; readonly budget: BudgetRefusal }
  | {
      readonly kind: 'refused';
      readonly refusal: Refusal;
      readonly job: JobRow;
      /** Of the refusals of a budget. */
      readonly budget: BudgetRefusal | null;
    };

const budgetSchema = z.object({
  key: z.string(),
  per: z.enum(budgetSubjects),
  onExceeded: z.enum(['reject', 'local_only']).default('reject'),
});
export type BudgetRefusal = z.infer<typeof budgetSchema>;

type Row = JobRow & {
  ord: number;
  outcome: string;
  request: string;
  carried: string | null;
  history: string;
  prior_cost_nano: string;
  prior_unknown: number;
  detail: string | null;
};

const maxClaims = 100;
const maxStatements = 2;

/** Claims of one tick share a statement. */
export function createClaimer(
  database: Database,
  budgets: () => readonly BudgetRule[],
): (request: ClaimRequest) => Promise<Claim> {
  const options = { maxItems: maxClaims, maxInFlight: maxStatements, again: againAfter };
  return collectTick((requests) => claimJobs(database, requests, budgets()), options);
}

export async function claimJobs(
  database: Database,
  requests: readonly ClaimRequest[],
  budgets: readonly BudgetRule[],
): Promise<Claim[]> {
  const items = requests
    .map((request, ord) => ({
      ord,
      job: request.jobId,
      seq: request.seq,
      target: request.target,
      worker: request.workerId,
      labels: request.labels,
      require: request.require,
      prices: pricesJson(request.prices),
      credential: request.credential,
      permit: request.permit,
      place: request.place,
      epoch: request.epoch,
    }))
    // Always in the same order, so that two statements that meet do not wait for each other.
    .toSorted((a, b) => (a.job < b.job ? -1 : 1));
  const { rows } = await database.pool.query(
    'select ord, outcome, (job).*, request, carried, history, prior_cost_nano, prior_unknown, detail from waybill.claim_jobs($1::jsonb, $2::jsonb)',
    [JSON.stringify(items), budgetsJson(budgets)],
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
  if (row?.outcome === 'turn') return { kind: 'turn' };
  const budget = row?.detail ? budgetSchema.parse(JSON.parse(row.detail)) : null;
  if (row?.outcome === 'budget_wait' && budget !== null) return { kind: 'budget_wait', job: row, budget };
  const refusal = refusals.find((each) => each === row?.outcome);
  return row && refusal ? { kind: 'refused', refusal, job: row, budget } : { kind: 'stale' };
}

/** As SQL reads them: nano-USD per million tokens, of input and output. */
export const pricesJson = ({ expected, largest, dearest, maxOutputTokens }: CallPrices) => ({
  expected: pairOf(expected),
  largest: pairOf(largest),
  dearest: pairOf(dearest),
  maxOutput: maxOutputTokens,
});

const pairOf = (price: TokenPrice | null) =>
  price === null ? null : [`${price.inputPerMillion}`, `${price.outputPerMillion}`];

/** The rules as SQL reads them. */
export const budgetsJson = (budgets: readonly BudgetRule[]): string =>
  JSON.stringify(budgets, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
