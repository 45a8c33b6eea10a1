/**
 * Settling an attempt: one transaction, fenced on (job, attempt).
 *
 * Result, attempt, ledger, next step and webhook row stand or fall together. When the fence is lost, because the job
 * was cancelled, expired or taken over meanwhile, the attempt is closed with its cost and nothing else changes.
 */
import { sql } from 'kysely';
import { cleanText } from '../domain/clean-text.ts';
import type { FailureKind, FinalKind } from '../domain/failure.ts';
import { splitTarget, type WaitingReason } from '../domain/job.ts';
import { type Usage, usageSchema } from '../domain/usage.ts';
import { belongsInLedger, type Cost } from '../pricing/cost.ts';
import type { Database, Trx } from './database.ts';
import { insertDeliveries } from './deliveries.ts';
import type { JobRow } from './jobs.ts';

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
}

export type NextStep =
  | { readonly kind: 'succeed'; readonly output: string }
  | { readonly kind: 'fail'; readonly error: FailureKind | FinalKind; readonly message: string }
  | {
      readonly kind: 'requeue';
      readonly target: string;
      readonly delayMs: number;
      readonly waiting: WaitingReason | null;
      /** The window of the next target: with room, and a short delay, the settler adds the entry. */
      readonly window: number;
    };

export type Settled =
  | { readonly kind: 'settled'; readonly job: JobRow; readonly deliveryId: string | null }
  /** The job went on without this attempt. */
  | { readonly kind: 'fence_lost' };

/** A longer wait goes back to the backlog; a shorter one is a delayed entry. */
export const longestQueuedDelayMs = 10_000;

export function settleAttempt(database: Database, end: AttemptEnd, next: NextStep): Promise<Settled> {
  return database.transaction(async (trx) => {
    const job = await moveOn(trx, end, next);
    await closeAttempt(trx, end, job !== undefined);
    if (!job) return { kind: 'fence_lost' };
    if (next.kind === 'succeed') {
      await trx
        .updateTable('waybill.payloads')
        .set({ output: next.output, output_attempt: end.attempt })
        .where('job_id', '=', end.jobId)
        .execute();
    }
    return { kind: 'settled', job, deliveryId: await insertDeliveries(trx, job) };
  });
}

function moveOn(trx: Trx, end: AttemptEnd, next: NextStep): Promise<JobRow | undefined> {
  return trx
    .updateTable('waybill.jobs')
    .set(next.kind === 'requeue' ? requeueTo(next) : endWith(next))
    .where('id', '=', end.jobId)
    .where('status', '=', 'in_progress')
    .where('attempt', '=', end.attempt)
    .returningAll()
    .executeTakeFirst();
}

const nothingAwaited = { waiting_reason: null, waiting_since: null, waiting_until: null };

function endWith(next: Extract<NextStep, { kind: 'succeed' | 'fail' }>) {
  const isFailed = next.kind === 'fail';
  return {
    status:
      isFailed && next.error === 'expired'
        ? ('expired' as const)
        : isFailed
          ? ('failed' as const)
          : ('succeeded' as const),
    seq: sql<number>`seq + 1`,
    finished_at: sql<Date>`clock_timestamp()`,
    dispatched_at: null,
    error_kind: isFailed ? next.error : null,
    error_message: isFailed ? cleanText(next.message, 500) : null,
    ...nothingAwaited,
  };
}

function requeueTo(next: Extract<NextStep, { kind: 'requeue' }>) {
  const until = sql<Date>`clock_timestamp() + ${next.delayMs} * interval '1 millisecond'`;
  const isWaiting = next.waiting !== null && next.delayMs > 0;
  return {
    status: 'queued' as const,
    seq: sql<number>`seq + 1`,
    target: next.target,
    provider: splitTarget(next.target).provider,
    precedence: 0,
    claimed_by: null,
    available_at: until,
    dispatched_at: next.delayMs > longestQueuedDelayMs ? null : roomIn(next.target, next.window),
    ...(isWaiting
      ? { waiting_reason: next.waiting, waiting_since: sql<Date>`clock_timestamp()`, waiting_until: until }
      : nothingAwaited),
  };
}

const roomIn = (target: string, window: number) => sql<Date | null>`
  case when (select count(*) from (select 1 from waybill.jobs d where d.target = ${target} and d.status = 'queued' and d.dispatched_at is not null limit ${window}) used) < ${window}
  then clock_timestamp() end`;

/** Closes the attempt row, and books its cost once. */
async function closeAttempt(trx: Trx, end: AttemptEnd, isFenced: boolean): Promise<void> {
  // A full answer that came too late is superseded; a call that was stopped is aborted.
  const status = isFenced ? end.status : end.status === 'aborted' ? 'aborted' : 'superseded';
  const closed = await trx
    .updateTable('waybill.attempts')
    .set({ ...columnsOf(end), status })
    .where('job_id', '=', end.jobId)
    .where('n', '=', end.attempt)
    .where('status', '=', 'started')
    .returning('n')
    .executeTakeFirst();
  if (closed) return bookCost(trx, end, status, null);
  // Its worker was taken for dead, and the attempt booked as unknown: correct both.
  const unknown = await trx
    .updateTable('waybill.attempts')
    .set({ ...columnsOf(end), status: 'superseded' })
    .where('job_id', '=', end.jobId)
    .where('n', '=', end.attempt)
    .where('status', '=', 'unknown')
    .returning('n')
    .executeTakeFirst();
  if (!unknown) return;
  const first = await trx
    .selectFrom('waybill.ledger')
    .select('id')
    .where('job_id', '=', end.jobId)
    .where('attempt', '=', end.attempt)
    .where('corrects_id', 'is', null)
    .executeTakeFirst();
  await bookCost(trx, end, 'superseded', first?.id ?? null);
}

function columnsOf(end: AttemptEnd) {
  return {
    failure_kind: end.failure?.kind ?? null,
    failure_message: end.failure ? cleanText(end.failure.message, 500) : null,
    http_status: end.httpStatus,
    ended_at: sql<Date>`clock_timestamp()`,
    duration_ms: Math.round(end.durationMs),
    first_byte_ms: end.firstByteMs === null ? null : Math.round(end.firstByteMs),
    retry_at: end.retryAtMs === null ? null : new Date(end.retryAtMs),
    provider_request_id: end.requestId === null ? null : cleanText(end.requestId, 200),
    response_model: end.responseModel === null ? null : cleanText(end.responseModel, 200),
    usage: end.usage === null ? null : JSON.stringify(usageSchema.parse(end.usage)),
    cost_nano: end.cost.nano,
    cost_basis: end.cost.basis,
    cost_reason: end.cost.reason,
    warnings:
      end.warnings.length === 0
        ? null
        : JSON.stringify(end.warnings.slice(0, 20).map((warning) => cleanText(warning, 200))),
  };
}

async function bookCost(trx: Trx, end: AttemptEnd, outcome: string, correctsId: string | null): Promise<void> {
  if (!belongsInLedger(end.cost) && correctsId === null) return;
  const { provider, model } = splitTarget(end.target);
  await trx
    .insertInto('waybill.ledger')
    .values({
      job_id: end.jobId,
      attempt: end.attempt,
      tenant_id: end.tenantId,
      provider,
      requested_model: model,
      response_model: end.responseModel === null ? null : cleanText(end.responseModel, 200),
      outcome,
      usage: end.usage === null ? null : JSON.stringify(end.usage),
      cost_nano: end.cost.nano,
      cost_basis: end.cost.basis,
      cost_reason: end.cost.reason,
      price_snapshot: end.cost.price?.snapshot ?? null,
      price_source: end.cost.price?.source ?? null,
      price_version: end.cost.price?.version ?? null,
      corrects_id: correctsId,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

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
    .returningAll()
    .executeTakeFirst();
  return job ?? null;
}

/** Says what a job in the queue waits for, while its entry is delayed; fenced on (id, seq). */
export async function noteWaiting(
  database: Database,
  id: string,
  seq: number,
  reason: WaitingReason,
  delayMs: number,
): Promise<void> {
  await database.kysely
    .updateTable('waybill.jobs')
    .set({
      waiting_reason: reason,
      waiting_since: sql<Date>`coalesce(waiting_since, clock_timestamp())`,
      waiting_until: sql<Date>`clock_timestamp() + ${delayMs} * interval '1 millisecond'`,
    })
    .where('id', '=', id)
    .where('seq', '=', seq)
    .where('status', '=', 'queued')
    .execute();
}
