/**
 * The end of a job that no attempt brings about: cancelled, expired, or failed without a call.
 *
 * Each is one conditional UPDATE that raises `seq`, so that an old entry can never act; the webhook row is written
 * in the same transaction, so that what happened is told if and only if it happened.
 */
import { sql } from 'kysely';
import type { FailureKind, FinalKind } from '../domain/failure.ts';
import type { Database, Trx } from './database.ts';
import { insertDeliveries } from './deliveries.ts';
import type { JobRow } from './jobs.ts';
import { nothingAwaited } from './waiting.ts';

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

export const endOf = (status: 'cancelled' | 'expired' | 'failed') => ({
  status,
  seq: sql<number>`seq + 1`,
  finished_at: sql<Date>`clock_timestamp()`,
  dispatched_at: null,
  paused_at: null,
  ...nothingAwaited,
});

async function withDelivery(trx: Trx, job: JobRow): Promise<Ended> {
  return { job, deliveryId: await insertDeliveries(trx, job) };
}
