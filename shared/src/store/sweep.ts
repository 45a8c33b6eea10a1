/** The statements of the sweep: what a dead process left behind is found by state, in batches. */
import { sql } from 'kysely';
import type { BudgetRule } from '../routing/budgets.ts';
import { budgetsJson } from './claim.ts';
import type { Database } from './database.ts';

/** Attempts of dead workers become `unknown`; returns how many. */
export async function closeLostAttempts(database: Database, limit: number): Promise<number> {
  const { rows } = await sql`
    with dead as (
      select a.job_id, a.n, j.tenant_id from waybill.attempts a join waybill.jobs j on j.id = a.job_id
      where a.status = 'started' and not waybill.is_alive(a.worker_id) limit ${limit}
    )
    select waybill.mark_unknown(job_id, n, tenant_id) from dead`.execute(database.kysely);
  return rows.length;
}

export interface LostJob {
  readonly id: string;
  readonly seq: number;
  readonly is_poisoned: boolean;
}

/** Jobs in progress at dead workers go back to the backlog with a new seq. */
export async function requeueLostJobs(database: Database, limit: number): Promise<LostJob[]> {
  const { rows } = await sql<LostJob>`
    update waybill.jobs set status = 'queued', seq = seq + 1, claimed_by = null, dispatched_at = null, available_at = now(), precedence = 0
    where id in (
      select id from waybill.jobs where status = 'in_progress' and not waybill.is_alive(claimed_by)
        and not exists (select 1 from waybill.attempts a where a.job_id = waybill.jobs.id and a.status = 'started')
      limit ${limit} for update skip locked)
    returning id, seq, waybill.is_poisoned(id) as is_poisoned`.execute(database.kysely);
  return rows;
}

export interface DispatchedJob {
  readonly id: string;
  readonly seq: number;
  readonly provider: string;
}

/** Jobs dispatched a while ago whose entry should be in a queue; page by page, in the order of their ids. */
export async function dispatchedLongAgo(database: Database, afterId: string, limit: number): Promise<DispatchedJob[]> {
  return database.kysely
    .selectFrom('waybill.jobs')
    .select(['id', 'seq', 'provider'])
    .where('status', '=', 'queued')
    .where('id', '>', afterId)
    .where('dispatched_at', '<', sql<Date>`now() - interval '15 seconds'`)
    .where('available_at', '<', sql<Date>`now() - interval '15 seconds'`)
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Which of the entries may act no more: their job is final, or went on without them. */
export async function staleEntries(database: Database, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ entry: string }>`
    select e.entry from unnest(${[...ids]}::text[]) as e (entry)
    where not exists (select 1 from waybill.jobs j where j.id = split_part(e.entry, '-', 1) and j.seq::text = split_part(e.entry, '-', 2)
      and j.status in ('queued', 'in_progress'))`.execute(database.kysely);
  return rows.map((row) => row.entry);
}

/** The entry is gone: back to the backlog under a new seq. */
export async function returnToBacklog(database: Database, id: string, seq: number, delayMs = 0): Promise<void> {
  await database.kysely
    .updateTable('waybill.jobs')
    .set({
      seq: sql`seq + 1`,
      dispatched_at: null,
      precedence: 0,
      available_at: sql`greatest(available_at, clock_timestamp() + ${delayMs} * interval '1 millisecond')`,
    })
    .where('id', '=', id)
    .where('seq', '=', seq)
    .where('status', '=', 'queued')
    .execute();
}

/** What was reserved for attempts whose worker died is taken for spent. Returns how many attempts. */
export async function commitLostReservations(
  database: Database,
  budgets: readonly BudgetRule[],
  limit: number,
): Promise<number> {
  const { rows } = await database.pool.query('select waybill.commit_lost($1, $2::jsonb) as n', [
    limit,
    budgetsJson(budgets),
  ]);
  return Number(rows[0]?.n ?? 0);
}

export async function forgetExpiredKeys(database: Database): Promise<void> {
  await sql`delete from waybill.idempotency_keys where expires_at <= now()`.execute(database.kysely);
}
