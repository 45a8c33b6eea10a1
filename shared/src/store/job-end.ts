/**
 * The end of a job that no attempt brings about: cancelled, expired, or failed without a call. And its new start.
 *
 * Each is one conditional UPDATE that raises `seq`, so that an old entry can never act; the webhook row is written
 * in the same transaction, so that what happened is told if and only if it happened.
 */
import { sql } from 'kysely';
import type { FailureKind, FinalKind } from '../domain/failure.ts';
import type { Database, Trx } from './database.ts';
import { insertDeliveries } from './deliveries.ts';
import type { JobRow } from './jobs.ts';

export interface Ended {
  readonly job: JobRow;
  /** The delivery to hand to the sender; null: nobody asked to be told. */
  readonly deliveryId: string | null;
}

/** null: the job was final already, or is not this tenant's. */
export function cancelJob(database: Database, tenantId: string, id: string): Promise<Ended | null> {
  return database.transaction(async (trx) => {
    const job = await trx
      .updateTable('waybill.jobs')
      .set({ ...endOf('cancelled'), error_kind: 'cancelled', error_message: 'cancelled on request' })
      .where('id', '=', id)
      .where('tenant_id', '=', tenantId)
      .where('status', 'in', ['queued', 'in_progress', 'awaiting_approval'])
      .returningAll()
      .executeTakeFirst();
    return job ? withDelivery(trx, job) : null;
  });
}

/** Ends up to `limit` jobs whose deadline is over. */
export function expireJobs(database: Database, limit: number): Promise<Ended[]> {
  return database.transaction(async (trx) => {
    const jobs = await trx
      .updateTable('waybill.jobs')
      .set({
        ...endOf('expired'),
        error_kind: 'expired',
        error_message: 'the deadline passed before a target delivered',
      })
      .where('id', 'in', (query) =>
        query
          .selectFrom('waybill.jobs')
          .select('id')
          .where('status', 'in', ['queued', 'in_progress', 'awaiting_approval'])
          .where('deadline_at', '<=', sql<Date>`clock_timestamp()`)
          .limit(limit)
          .forUpdate()
          .skipLocked(),
      )
      .returningAll()
      .execute();
    // One after the other: a statement that outlived a failed transaction would commit outside of it.
    const ended: Ended[] = [];
    for (const job of jobs) ended.push(await withDelivery(trx, job));
    return ended;
  });
}

/** Fails a queued job without an attempt; null when its entry is stale. */
export function failQueuedJob(
  database: Database,
  id: string,
  seq: number,
  kind: FailureKind | FinalKind,
  message: string,
): Promise<Ended | null> {
  return database.transaction(async (trx) => {
    const job = await trx
      .updateTable('waybill.jobs')
      .set({ ...endOf('failed'), error_kind: kind, error_message: message })
      .where('id', '=', id)
      .where('seq', '=', seq)
      .where('status', '=', 'queued')
      .returningAll()
      .executeTakeFirst();
    return job ? withDelivery(trx, job) : null;
  });
}

/** A new run of a failed, cancelled or expired job, with a fresh deadline; null when it is none of those. */
export async function retryJob(
  database: Database,
  tenantId: string,
  id: string,
  next: { target: string; provider: string; targets: readonly string[]; configVersion: string },
): Promise<JobRow | null> {
  const job = await database.kysely
    // What the last run carried is not this one's.
    .with('cleared', (db) =>
      db
        .updateTable('waybill.payloads')
        .set({ carried: null })
        .where('carried', 'is not', null)
        .where('job_id', 'in', (query) =>
          query
            .selectFrom('waybill.jobs')
            .select('waybill.jobs.id')
            .where('waybill.jobs.id', '=', id)
            .where('waybill.jobs.tenant_id', '=', tenantId)
            .where('waybill.jobs.status', 'in', [...retryable]),
        ),
    )
    .updateTable('waybill.jobs')
    .set({
      status: 'queued',
      run: sql`run + 1`,
      seq: sql`seq + 1`,
      target: next.target,
      provider: next.provider,
      targets: [...next.targets],
      config_version: next.configVersion,
      precedence: 1,
      queued_at: sql`now()`,
      run_at: null,
      available_at: sql`now()`,
      deadline_at: sql`now() + expires_in_ms * interval '1 millisecond'`,
      dispatched_at: null,
      limited_since: null,
      paused_at: null,
      is_last_resort: false,
      started_at: null,
      finished_at: null,
      claimed_by: null,
      error_kind: null,
      error_message: null,
      waiting_reason: null,
      waiting_since: null,
      waiting_until: null,
    })
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .where('status', 'in', [...retryable])
    .returningAll()
    .executeTakeFirst();
  return job ?? null;
}

const retryable = ['failed', 'cancelled', 'expired'] as const;

const endOf = (status: 'cancelled' | 'expired' | 'failed') => ({
  status,
  seq: sql<number>`seq + 1`,
  finished_at: sql<Date>`clock_timestamp()`,
  dispatched_at: null,
  waiting_reason: null,
  waiting_since: null,
  waiting_until: null,
});

async function withDelivery(trx: Trx, job: JobRow): Promise<Ended> {
  return { job, deliveryId: await insertDeliveries(trx, job) };
}
