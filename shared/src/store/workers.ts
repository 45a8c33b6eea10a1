/** Worker leases and the leases of single tasks, by the database's clock. */
import { hostname } from 'node:os';
import { sql } from 'kysely';
import type { Database } from './database.ts';

export const workerLeaseMs = 30_000;
export const taskLeaseMs = 10_000;

export async function registerWorker(database: Database, id: string, version: string): Promise<void> {
  await database.kysely
    .insertInto('waybill.workers')
    .values({
      id,
      host: hostname(),
      pid: process.pid,
      version,
      lease_until: sql<Date>`clock_timestamp() + ${workerLeaseMs} * interval '1 millisecond'`,
    })
    .execute();
}

/** False: the lease had ended, others may have taken this worker's jobs, and it must not go on under this id. */
export async function renewWorker(database: Database, id: string): Promise<boolean> {
  const renewed = await database.kysely
    .updateTable('waybill.workers')
    .set({ lease_until: sql<Date>`clock_timestamp() + ${workerLeaseMs} * interval '1 millisecond'` })
    .where('id', '=', id)
    .where('lease_until', '>', sql<Date>`clock_timestamp()`)
    .returning('id')
    .executeTakeFirst();
  return renewed !== undefined;
}

export async function endWorker(database: Database, id: string): Promise<void> {
  await database.kysely
    .updateTable('waybill.workers')
    .set({ lease_until: sql<Date>`clock_timestamp()` })
    .where('id', '=', id)
    .execute();
}

/** Forgets workers that ended long ago and that nothing names any more; returns how many. */
export async function forgetWorkers(database: Database, limit: number): Promise<number> {
  const { rows } = await sql`
    delete from waybill.workers where id in (
      select w.id from waybill.workers w where w.lease_until < clock_timestamp() - interval '1 day'
        and not exists (select 1 from waybill.attempts a where a.worker_id = w.id and a.status = 'started')
        and not exists (select 1 from waybill.jobs j where j.claimed_by = w.id and j.status = 'in_progress')
      limit ${limit}) returning id`.execute(database.kysely);
  return rows.length;
}

/** Takes or renews the lease of a task that runs once in the fleet. Free at once when its holder is dead. */
export async function holdLease(database: Database, name: string, workerId: string): Promise<boolean> {
  const { rows } = await sql`
    insert into waybill.leases as l (name, worker_id, lease_until)
    values (${name}, ${workerId}, clock_timestamp() + ${taskLeaseMs} * interval '1 millisecond')
    on conflict (name) do update set worker_id = excluded.worker_id, lease_until = excluded.lease_until
    where l.worker_id = excluded.worker_id or l.lease_until <= clock_timestamp() or not waybill.is_alive(l.worker_id)
    returning name`.execute(database.kysely);
  return rows.length > 0;
}

/**
 * The start of a process that holds the data directory's lock: every older worker is dead, and what they had taken
 * from the backlog goes back to it, because the queue's locks would hold it for another minute and a half.
 */
export async function takeOverAlone(database: Database): Promise<void> {
  await database.transaction(async (trx) => {
    await sql`update waybill.workers set lease_until = clock_timestamp() where lease_until > clock_timestamp()`.execute(
      trx,
    );
    await sql`delete from waybill.leases`.execute(trx);
    await sql`
      update waybill.jobs set seq = seq + 1, dispatched_at = null
      where status = 'queued' and dispatched_at is not null`.execute(trx);
    // A new start may bring a new credential: what waited for a provider to recover is tried again.
    await sql`update waybill.jobs set available_at = now() where status = 'queued' and paused_at is null and waiting_reason in ('recovery', 'paused', 'rate_limit', 'breaker', 'budget')`.execute(
      trx,
    );
    await sql`update waybill.webhook_deliveries set queued_at = null, seq = seq + 1 where status = 'pending' and queued_at is not null`.execute(
      trx,
    );
  });
}
