/**
 * The backlog: queued jobs that no entry asks for yet.
 *
 * Read by index only, never counted: which targets have work is a loose scan, and how many entries a target has is a
 * read of at most its window.
 */
import { sql } from 'kysely';
import { failureKinds, failureRule } from '../domain/failure.ts';
import type { Database } from './database.ts';
import type { JobRow } from './jobs.ts';

/** Targets with jobs in the backlog, and whether any of them is due. */
export async function targetsWithBacklog(database: Database): Promise<{ target: string; is_due: boolean }[]> {
  const { rows } = await sql<{ target: string; is_due: boolean }>`
    with recursive t as (
      (select target from waybill.jobs where status = 'queued' and dispatched_at is null order by target limit 1)
      union all
      select (select j.target from waybill.jobs j where j.status = 'queued' and j.dispatched_at is null and j.target > t.target order by j.target limit 1)
      from t where t.target is not null
    )
    select target, exists (
      select 1 from waybill.jobs j where j.status = 'queued' and j.dispatched_at is null and j.target = t.target and j.available_at <= now()
    ) as is_due
    from t where target is not null`.execute(database.kysely);
  return rows;
}

/** Marks the next jobs of a target as dispatched, as many as its window has room for; only the marker adds them. */
export async function takeFromBacklog(database: Database, target: string, window: number): Promise<JobRow[]> {
  const { rows } = await sql<JobRow>`
    with used as (
      select count(*)::int as n from (select 1 from waybill.jobs d where d.target = ${target} and d.status = 'queued' and d.dispatched_at is not null limit ${window}) d
    ), picked as (
      select id from waybill.jobs
      where target = ${target} and status = 'queued' and dispatched_at is null and available_at <= now() and deadline_at > now()
      order by priority, precedence, available_at, id
      limit greatest(0, ${window}::int - (select n from used)) for update skip locked
    )
    update waybill.jobs j set dispatched_at = now(), waiting_reason = null, waiting_since = null, waiting_until = null
    from picked where j.id = picked.id returning j.*`.execute(database.kysely);
  return rows.toSorted(
    (a, b) =>
      a.priority - b.priority ||
      a.precedence - b.precedence ||
      a.available_at.getTime() - b.available_at.getTime() ||
      (a.id < b.id ? -1 : 1),
  );
}

/** Due jobs whose target cannot take them now, for the dispatcher to send elsewhere. */
export async function strandedJobs(database: Database, target: string, limit: number): Promise<JobRow[]> {
  return database.kysely
    .selectFrom('waybill.jobs')
    .selectAll()
    .where('target', '=', target)
    .where('status', '=', 'queued')
    .where('dispatched_at', 'is', null)
    .where('available_at', '<=', sql<Date>`now()`)
    .orderBy('priority')
    .orderBy('precedence')
    .orderBy('available_at')
    .limit(limit)
    .execute();
}

/** A target left for one of these is skipped, not tried: it is eligible again when that ends. */
const endingKinds = failureKinds.filter((kind) => failureRule(kind).waiting || failureRule(kind).pause !== null);

/** Targets that failed for good in the job's present run, or whose wait is not over. */
export async function triedTargets(database: Database, jobs: readonly JobRow[]): Promise<Map<string, Set<string>>> {
  const started = jobs.filter((job) => job.attempt > 0);
  if (started.length === 0) return new Map();
  const rows = await database.kysely
    .selectFrom('waybill.attempts as a')
    .innerJoin('waybill.jobs as j', (join) => join.onRef('j.id', '=', 'a.job_id').onRef('j.run', '=', 'a.run'))
    .select(['a.job_id', 'a.target'])
    .where('a.status', '=', 'failed')
    .where((query) =>
      query.or([
        query('a.failure_kind', 'not in', endingKinds),
        query('a.retry_at', '>', sql<Date>`clock_timestamp()`),
      ]),
    )
    .where(
      'a.job_id',
      'in',
      started.map((job) => job.id),
    )
    .execute();
  return new Map(
    [...Map.groupBy(rows, (row) => row.job_id)].map(([id, list]) => [id, new Set(list.map((row) => row.target))]),
  );
}

/** Leaves a job where it is until something may have changed. */
export async function holdJob(
  database: Database,
  id: string,
  seq: number,
  untilMs: number,
  reason: 'recovery' | 'paused',
): Promise<void> {
  await database.kysely
    .updateTable('waybill.jobs')
    .set({
      available_at: new Date(untilMs),
      waiting_reason: reason,
      waiting_since: sql<Date>`coalesce(waiting_since, now())`,
      waiting_until: new Date(untilMs),
    })
    .where('id', '=', id)
    .where('seq', '=', seq)
    .where('status', '=', 'queued')
    .execute();
}

/** How many jobs wait in each provider's backlog, for Bull Board's descriptions: bounded, so never a full count. */
export async function backlogSizes(database: Database, limit: number): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const { target } of await targetsWithBacklog(database)) {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from (select 1 from waybill.jobs where target = ${target} and status = 'queued' and dispatched_at is null limit ${limit}) b`.execute(
      database.kysely,
    );
    const provider = target.slice(0, target.indexOf('/'));
    sizes.set(provider, (sizes.get(provider) ?? 0) + (rows[0]?.n ?? 0));
  }
  return sizes;
}
