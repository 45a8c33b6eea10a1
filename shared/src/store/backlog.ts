/**
 * The backlog: queued jobs that no entry asks for yet.
 *
 * Read by index only, never counted: which targets have work is a loose scan, and how many entries a target has is a
 * read of at most its window.
 */
import { sql } from 'kysely';
import type { Database } from './database.ts';
import type { JobRow } from './jobs.ts';

/** The jobs of one tenant and class, for one target. */
export interface BacklogGroup {
  readonly target: string;
  readonly tenant_id: string;
  readonly priority: number;
  readonly precedence: number;
}

/** More groups than this are seen in later rounds, when the first ones have less to do. */
const maxGroups = 5_000;

/** The groups with work that is due: one step of the index for each group, however many jobs it holds. */
export async function dueGroups(database: Database): Promise<BacklogGroup[]> {
  const { rows } = await sql<BacklogGroup>`
    with recursive g as (
      (select target, tenant_id, priority, precedence, available_at from waybill.jobs
        where status = 'queued' and dispatched_at is null
        order by target, tenant_id, priority, precedence, available_at limit 1)
      union all
      select n.* from g, lateral (
        select j.target, j.tenant_id, j.priority, j.precedence, j.available_at from waybill.jobs j
        where j.status = 'queued' and j.dispatched_at is null
          and (j.target, j.tenant_id, j.priority, j.precedence) > (g.target, g.tenant_id, g.priority, g.precedence)
        order by j.target, j.tenant_id, j.priority, j.precedence, j.available_at limit 1) n
    )
    select target, tenant_id, priority, precedence from g where available_at <= now() limit ${maxGroups}`.execute(
    database.kysely,
  );
  return rows;
}

export interface WindowUse {
  readonly used: number;
  /** Of these, interactive ones. */
  readonly interactive: number;
}

/** How many entries of each target wait in its queue, counted up to its window. */
export async function windowsInUse(
  database: Database,
  windows: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, WindowUse>> {
  const { rows } = await sql<WindowUse & { target: string }>`
    select w.target, u.used, u.interactive from unnest(${[...windows.keys()]}::text[], ${[...windows.values()]}::int[]) as w (target, size),
      lateral (select count(*)::int as used, (count(*) filter (where d.priority = 0))::int as interactive from (
        select priority from waybill.jobs d where d.target = w.target and d.status = 'queued' and d.dispatched_at is not null limit w.size) d) u`.execute(
    database.kysely,
  );
  return new Map(rows.map((row) => [row.target, row]));
}

/** Weights of the tenants; one that has just been removed weighs 1. */
export async function tenantWeights(database: Database, ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const rows = await database.kysely
    .selectFrom('waybill.tenants')
    .select(['id', 'weight'])
    .where('id', 'in', [...ids])
    .execute();
  return new Map(rows.map(({ id, weight }) => [id, weight]));
}

/** What the dispatcher must know of a waiting job. */
export interface BacklogHead extends BacklogGroup {
  readonly id: string;
  readonly seq: number;
  readonly attempt: number;
  readonly estimated_tokens: number;
  readonly estimated_output: number;
  /** Since when it waits for a limit of its target; null: it does not. */
  readonly limited_since: Date | null;
  readonly run: number;
  readonly chain: string | null;
  readonly targets: string[];
  readonly require: string[];
  readonly exclude_providers: string[];
  readonly waited_ms: number;
}

/** The first jobs of each group, in the order in which their tenant's turn takes them. */
export async function readHeads(
  database: Database,
  groups: readonly BacklogGroup[],
  perGroup: number,
): Promise<BacklogHead[]> {
  const { rows } = await sql<BacklogHead>`
    select h.* from unnest(${groups.map((group) => group.target)}::text[], ${groups.map((group) => group.tenant_id)}::text[],
        ${groups.map((group) => group.priority)}::int[], ${groups.map((group) => group.precedence)}::int[]) as g (target, tenant_id, priority, precedence)
      cross join lateral (
        select j.target, j.tenant_id, j.priority, j.precedence, j.id, j.seq, j.run, j.attempt, j.estimated_tokens, j.estimated_output, j.limited_since, j.chain, j.targets, j.require, j.exclude_providers,
          (extract(epoch from now() - j.available_at) * 1000)::float8 as waited_ms
        from waybill.jobs j
        where j.status = 'queued' and j.dispatched_at is null and j.paused_at is null and j.target = g.target and j.tenant_id = g.tenant_id
          and j.priority = g.priority and j.precedence = g.precedence and j.available_at <= now() and j.deadline_at > now()
        order by j.available_at, j.id limit ${perGroup}) h`.execute(database.kysely);
  return rows;
}

/** Marks jobs as dispatched; only those that come back were marked here, and only the marker adds them. */
export async function markDispatched(
  database: Database,
  target: string,
  ids: readonly string[],
): Promise<DispatchedJobRow[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<DispatchedJobRow>`
    with picked as (
      select id from waybill.jobs
      where id = any(${[...ids]}::text[]) and target = ${target} and status = 'queued' and dispatched_at is null and paused_at is null
      order by id for update skip locked
    )
    update waybill.jobs j set dispatched_at = now(), waiting_reason = null, waiting_since = null, waiting_until = null
    from picked where j.id = picked.id
    returning j.id, j.seq, j.attempt, j.tenant_id, j.target, j.provider, j.chain, j.priority, j.estimated_tokens, j.estimated_output, j.traceparent`.execute(
    database.kysely,
  );
  const place = new Map(ids.map((id, index) => [id, index]));
  return rows.toSorted((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0));
}

/** What an entry is made from. */
export type DispatchedJobRow = Pick<
  JobRow,
  | 'id'
  | 'seq'
  | 'attempt'
  | 'tenant_id'
  | 'target'
  | 'provider'
  | 'chain'
  | 'priority'
  | 'estimated_tokens'
  | 'estimated_output'
  | 'traceparent'
>;

/** Targets that failed for good in the job's present run, or whose wait is not over. */
export async function triedTargets(
  database: Database,
  jobs: readonly Pick<JobRow, 'id' | 'attempt'>[],
): Promise<Map<string, Set<string>>> {
  const started = jobs.filter((job) => job.attempt > 0);
  if (started.length === 0) return new Map();
  const rows = await database.kysely
    .selectFrom('waybill.attempts as a')
    .innerJoin('waybill.jobs as j', (join) => join.onRef('j.id', '=', 'a.job_id').onRef('j.run', '=', 'a.run'))
    .select(['a.job_id', 'a.target'])
    .where('a.status', '=', 'failed')
    .where((query) =>
      query.or([query('a.retry_at', 'is', null), query('a.retry_at', '>', sql<Date>`clock_timestamp()`)]),
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

/** What jobs in the backlog wait for that may end at any time. */
export const heldReasons = ['recovery', 'paused', 'rate_limit', 'breaker', 'budget'] as const;
export type HeldReason = (typeof heldReasons)[number];

/** Leaves jobs where they are until something may have changed. How long they have waited for a limit is not forgotten by it. */
export async function holdJobs(
  { pool }: Database,
  jobs: readonly { readonly id: string; readonly seq: number }[],
  untilMs: number,
  reason: HeldReason,
): Promise<void> {
  if (jobs.length === 0) return;
  await pool.query(
    `update waybill.jobs j set available_at = $3, waiting_reason = $4, waiting_since = coalesce(waiting_since, now()), waiting_until = $3,
       limited_since = case when $4 = 'rate_limit' then coalesce(limited_since, clock_timestamp()) else limited_since end
     from (select id, seq from unnest($1::text[], $2::int[]) as u(id, seq)) i
     where j.id = i.id and j.seq = i.seq and j.status = 'queued'`,
    [jobs.map(({ id }) => id), jobs.map(({ seq }) => seq), new Date(untilMs), reason],
  );
}

/**
 * Jobs that wait until something may have changed are due at once when it has: a credential was replaced, a provider
 * switched on or well again. They are looked at anew, and wait again where nothing has changed for them.
 *
 * One pass, in the order of their ids, however many are held again meanwhile.
 *
 * @param after where the last call ended; empty: from the beginning
 * @returns where this one ended; null: the pass is over
 */
export async function releaseHeld(
  database: Database,
  after: string,
  reasons: readonly HeldReason[],
  limit: number,
): Promise<string | null> {
  const { rows } = await database.pool.query(
    `with held as (
       select id from waybill.jobs
       where status = 'queued' and dispatched_at is null and waiting_reason = any($3::text[]) and paused_at is null
         and waiting_reason in ('recovery', 'paused', 'rate_limit', 'breaker', 'budget', 'conversation')
         and available_at > clock_timestamp() and id > $1
       order by id limit $2 for update skip locked),
     released as (
       update waybill.jobs j set available_at = clock_timestamp(), waiting_until = null from held where j.id = held.id)
     select max(id) as last, count(*)::int as n from held`,
    [after, limit, [...reasons]],
  );
  return rows[0]?.n === limit ? (rows[0].last as string) : null;
}

/** How many jobs wait in each provider's backlog, for Bull Board's descriptions: bounded, so never a full count. */
export async function backlogSizes(database: Database, limit: number): Promise<Map<string, number>> {
  const { rows } = await sql<{ provider: string; n: number }>`
    with recursive t as (
      (select target from waybill.jobs where status = 'queued' and dispatched_at is null order by target limit 1)
      union all
      select (select j.target from waybill.jobs j where j.status = 'queued' and j.dispatched_at is null and j.target > t.target order by j.target limit 1)
      from t where t.target is not null
    )
    select split_part(t.target, '/', 1) as provider, (select count(*)::int from (
      select 1 from waybill.jobs b where b.target = t.target and b.status = 'queued' and b.dispatched_at is null limit ${limit}) b) as n
    from t where t.target is not null`.execute(database.kysely);
  const sizes = new Map<string, number>();
  for (const { provider, n } of rows) sizes.set(provider, (sizes.get(provider) ?? 0) + n);
  return sizes;
}
