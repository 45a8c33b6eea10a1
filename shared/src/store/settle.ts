/**
 * Settling attempts: one statement for all that are ready, each fenced on (job, attempt).
 *
 * Result, attempt, ledger, next step and webhook row stand or fall together. When the fence is lost, because the job
 * was cancelled, expired or taken over meanwhile, the attempt is closed with its cost and nothing else changes. The
 * work is done by `waybill.settle_attempts`.
 */
import { sql } from 'kysely';
import { cleanText } from '../domain/clean-text.ts';
import type { JobEventType, StepEventType } from '../domain/events.ts';
import type { FailureKind, FinalKind } from '../domain/failure.ts';
import { newId } from '../domain/ids.ts';
import { type DecisionKind, splitTarget, type WaitingReason } from '../domain/job.ts';
import { type Usage, usageSchema } from '../domain/usage.ts';
import { belongsInLedger, type Cost } from '../pricing/cost.ts';
import type { BudgetRule } from '../routing/budgets.ts';
import { budgetsJson } from './claim.ts';
import { collectTick } from './collect-tick.ts';
import type { Database } from './database.ts';
import { againAfter } from './faults.ts';
import type { JobRow } from './jobs.ts';
import { limitedSince } from './waiting.ts';

export interface AttemptEnd {
  readonly jobId: string;
  readonly attempt: number;
  readonly tenantId: string;
  readonly target: string;
  readonly status: 'succeeded' | 'failed' | 'aborted';
  readonly failure: { readonly kind: FailureKind; readonly message: string } | null;
  readonly httpStatus: number | null;
  readonly durationMs: number;
  readonly firstByteMs: number | null;
  readonly retryAtMs: number | null;
  readonly requestId: string | null;
  readonly responseModel: string | null;
  readonly usage: Usage | null;
  readonly cost: Cost;
  readonly warnings: readonly string[];
  /** An answer, but not the whole one. */
  readonly isPart: boolean;
  /** Whether the job's row holds something from earlier attempts. */
  readonly hadCarried: boolean;
}

/** Why the job goes where it goes, for whoever asks. */
export interface Decided {
  readonly kind: DecisionKind;
  readonly why: string;
  /** JSON text of what was known. */
  readonly detail: string | null;
  readonly configVersion: string;
}

/** What a request turned out to hold before its call: it requires these labels from now on. */
export interface FoundInRequest {
  readonly require: readonly string[];
  readonly detected: readonly string[];
}

export type NextStep =
  /** @property isLastResort no target answered: the chain's own words do */
  | { readonly kind: 'succeed'; readonly output: string; readonly isLastResort?: true }
  /** Somebody is asked before it goes to the next target. */
  | { readonly kind: 'park'; readonly target: string; readonly found?: FoundInRequest }
  | { readonly kind: 'fail'; readonly error: FailureKind | FinalKind; readonly message: string }
  | {
      readonly kind: 'requeue';
      readonly target: string;
      readonly delayMs: number;
      readonly waiting: WaitingReason | null;
      /** The window of the next target: with room, and a short delay, the settler adds the entry. */
      readonly window: number;
      /** JSON text of what was delivered so far, for the next attempt; null: it begins anew. */
      readonly carried: string | null;
      readonly found?: FoundInRequest;
    };

/** What a receiver is told when the settle makes the job final. */
export interface Telling {
  readonly eventId: string;
  readonly type: JobEventType | StepEventType;
  /** JSON text. */
  readonly payload: string;
}

export interface Settlement {
  readonly end: AttemptEnd;
  readonly next: NextStep;
  /** null: nobody asked. */
  readonly telling: Telling | null;
  /** null: nothing was decided that the attempt itself does not say. */
  readonly decided: Decided | null;
}

/** What is told and added after the settle; a job row is wide, and most of it was known before. */
export type SettledJob = Pick<
  JobRow,
  | 'id'
  | 'seq'
  | 'attempt'
  | 'tenant_id'
  | 'status'
  | 'target'
  | 'provider'
  | 'chain'
  | 'priority'
  | 'estimated_tokens'
  | 'estimated_output'
  | 'dispatched_at'
  | 'traceparent'
>;

export type Settled =
  | {
      readonly kind: 'settled';
      readonly job: SettledJob;
      readonly deliveryId: string | null;
      /** Something that was reserved of a budget is free again. */
      readonly isBudgetFreed: boolean;
    }
  /** The job went on without this attempt. */
  | { readonly kind: 'fence_lost' };

/** A longer wait goes back to the backlog; a shorter one is a delayed entry. */
export const longestQueuedDelayMs = 10_000;

const maxSettlements = 100;
const maxStatements = 2;

export type Settle = (settlement: Settlement) => Promise<Settled>;

/** Settles of one tick share a statement. */
export function createSettler(database: Database, budgets: () => readonly BudgetRule[]): Settle {
  return collectTick((settlements) => settleAttempts(database, settlements, budgets()), {
    maxItems: maxSettlements,
    maxInFlight: maxStatements,
    again: againAfter,
  });
}

type Row = SettledJob & {
  ord: number;
  is_fenced: boolean;
  delivery_id: string | null;
  is_budget_freed: boolean;
};

const statement = `select ord, is_fenced, delivery_id, (job).id, (job).seq, (job).attempt, (job).tenant_id, (job).status, (job).target, (job).provider,
  (job).chain, (job).priority, (job).estimated_tokens, (job).estimated_output, (job).dispatched_at, (job).traceparent, is_budget_freed
  from waybill.settle_attempts($1::jsonb, $2::text[], $3::text[], $4::text[], $5::jsonb)`;

export async function settleAttempts(
  database: Database,
  settlements: readonly Settlement[],
  budgets: readonly BudgetRule[],
): Promise<Settled[]> {
  // `ord` counts from 1, as arrays do in SQL. Always in the same order of jobs, so that two statements that meet do
  // not wait for each other.
  const items = settlements.map(toItem).toSorted((a, b) => (a.job < b.job ? -1 : 1));
  const { rows } = await database.pool.query(statement, [
    JSON.stringify(items),
    // Outputs and payloads never pass through jsonb, which refuses what a model may say.
    settlements.map(({ next }) => (next.kind === 'succeed' ? next.output : null)),
    settlements.map(({ telling }) => telling?.payload ?? null),
    settlements.map(({ next }) => (next.kind === 'requeue' ? next.carried : null)),
    budgetsJson(budgets),
  ]);
  const byOrd = new Map((rows as unknown as Row[]).map((row) => [row.ord, row]));
  return settlements.map((_, index) => {
    const row = byOrd.get(index + 1);
    return row?.is_fenced
      ? { kind: 'settled', job: row, deliveryId: row.delivery_id, isBudgetFreed: row.is_budget_freed }
      : { kind: 'fence_lost' };
  });
}

function toItem({ end, next, telling, decided }: Settlement, index: number) {
  const text = (value: string | null, max: number) => (value === null ? null : cleanText(value, max));
  return {
    ord: index + 1,
    job: end.jobId,
    attempt: end.attempt,
    status: end.status,
    ...nextColumns(next),
    longest_queued_ms: longestQueuedDelayMs,
    failure_kind: end.failure?.kind ?? null,
    failure_message: text(end.failure?.message ?? null, 500),
    http_status: end.httpStatus,
    duration_ms: Math.round(end.durationMs),
    first_byte_ms: end.firstByteMs === null ? null : Math.round(end.firstByteMs),
    retry_at: end.retryAtMs === null ? null : new Date(end.retryAtMs),
    request_id: text(end.requestId, 200),
    response_model: text(end.responseModel, 200),
    usage: end.usage === null ? null : JSON.stringify(usageSchema.parse(end.usage)),
    ...tokensOf(end),
    warnings:
      end.warnings.length === 0 ? null : JSON.stringify(end.warnings.slice(0, 20).map((each) => cleanText(each, 200))),
    cost_nano: end.cost.nano?.toString() ?? null,
    cost_basis: end.cost.basis,
    cost_reason: end.cost.reason,
    price_snapshot: end.cost.price?.snapshot ?? null,
    price_source: end.cost.price?.source ?? null,
    price_version: end.cost.price?.version ?? null,
    is_booked: belongsInLedger(end.cost),
    delivery_id: telling === null ? null : newId('whd'),
    event_id: telling?.eventId ?? null,
    event_type: telling?.type ?? null,
    is_part: end.isPart,
    carrying: carryingOf(end, next),
    decision: decided?.kind ?? null,
    decision_why: text(decided?.why ?? null, 300),
    decision_detail: text(decided?.detail ?? null, 4_000),
    config_version: decided?.configVersion ?? null,
  };
}

/** What the call took of its account's rates: nothing is known of an answer without usage, and what was reserved stays. */
function tokensOf({ usage, cost }: AttemptEnd) {
  if (usage !== null) return { input_tokens: usage.inputTokens, output_tokens: usage.outputTokens };
  return cost.basis === 'none' ? { input_tokens: 0, output_tokens: 0 } : { input_tokens: null, output_tokens: null };
}

/** A row of prompts is rewritten only where something changes. */
const carryingOf = (end: AttemptEnd, next: NextStep): 'keep' | 'set' =>
  end.hadCarried || (next.kind === 'requeue' && next.carried !== null) ? 'set' : 'keep';

function nextColumns(next: NextStep) {
  if (next.kind === 'requeue')
    return {
      next: next.kind,
      next_target: next.target,
      delay_ms: Math.round(next.delayMs),
      waiting: next.waiting,
      window_size: next.window,
      ...foundColumns(next.found),
    };
  if (next.kind === 'park') return { next: next.kind, next_target: next.target, ...foundColumns(next.found) };
  if (next.kind === 'succeed')
    return { next: next.kind, final_status: 'succeeded', is_last_resort: next.isLastResort ?? false };
  return {
    next: next.kind,
    final_status: finalStatusOf(next),
    error_kind: next.error,
    error_message: cleanText(next.message, 500),
    is_last_resort: false,
  };
}

const foundColumns = (found: FoundInRequest | undefined) => ({
  require: found?.require ?? null,
  detected: found?.detected ?? null,
});

/** The status a job ends with. */
export const finalStatusOf = (
  next: Exclude<NextStep, { kind: 'requeue' | 'park' }>,
): 'succeeded' | 'failed' | 'expired' =>
  next.kind === 'succeed' ? 'succeeded' : next.error === 'expired' ? 'expired' : 'failed';

function requeueTo(next: Extract<NextStep, { kind: 'requeue' }>) {
  // One moment for all columns.
  const until = sql<Date>`statement_timestamp() + ${next.delayMs} * interval '1 millisecond'`;
  const isWaiting = next.waiting !== null && next.delayMs > 0;
  return {
    status: 'queued' as const,
    seq: sql<number>`seq + 1`,
    target: next.target,
    provider: splitTarget(next.target).provider,
    precedence: 0,
    claimed_by: null,
    available_at: until,
    limited_since:
      next.waiting === 'rate_limit'
        ? sql<Date | null>`case when target = ${next.target} then coalesce(limited_since, clock_timestamp()) end`
        : null,
    dispatched_at: next.delayMs > longestQueuedDelayMs ? null : roomIn(next.target, next.window),
    ...(isWaiting
      ? { waiting_reason: next.waiting, waiting_since: sql<Date>`clock_timestamp()`, waiting_until: until }
      : { waiting_reason: null, waiting_since: null, waiting_until: null }),
  };
}

const roomIn = (target: string, window: number) => sql<Date | null>`
  case when (select count(*) from (select 1 from waybill.jobs d where d.target = ${target} and d.status = 'queued' and d.dispatched_at is not null limit ${window}) used) < ${window}
  then clock_timestamp() end`;

/** Moves a queued job on without an attempt (a refused claim); null when its entry is stale. */
export async function redirectQueuedJob(
  database: Database,
  id: string,
  seq: number,
  next: Extract<NextStep, { kind: 'requeue' }>,
): Promise<JobRow | null> {
  const job = await database.kysely
    .updateTable('waybill.jobs')
    .set(requeueTo(next))
    .where('id', '=', id)
    .where('seq', '=', seq)
    .where('status', '=', 'queued')
    .where('paused_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
  return job ?? null;
}

/** Asks somebody before a queued job goes to another target; null when its entry is stale. */
export async function parkQueuedJob(
  database: Database,
  id: string,
  seq: number,
  target: string,
): Promise<JobRow | null> {
  const job = await database.kysely
    .updateTable('waybill.jobs')
    .set({
      status: 'awaiting_approval',
      seq: sql<number>`seq + 1`,
      target,
      provider: splitTarget(target).provider,
      precedence: 0,
      dispatched_at: null,
      limited_since: null,
      waiting_reason: 'approval',
      waiting_since: sql<Date>`clock_timestamp()`,
      waiting_until: sql<Date>`deadline_at`,
    })
    .where('id', '=', id)
    .where('seq', '=', seq)
    .where('status', '=', 'queued')
    .where('paused_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
  return job ?? null;
}

/** Says what a job in the queue waits for, while its entry is delayed; fenced on (id, seq), null when that is stale. */
export async function noteWaiting(
  database: Database,
  id: string,
  seq: number,
  reason: WaitingReason,
  delayMs: number,
): Promise<JobRow | null> {
  const job = await database.kysely
    .updateTable('waybill.jobs')
    .set({
      waiting_reason: reason,
      waiting_since: sql<Date>`case when waiting_reason = ${reason} then coalesce(waiting_since, clock_timestamp()) else clock_timestamp() end`,
      waiting_until: sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'`,
      ...limitedSince(reason),
    })
    .where('id', '=', id)
    .where('seq', '=', seq)
    .where('status', '=', 'queued')
    .returningAll()
    .executeTakeFirst();
  return job ?? null;
}
