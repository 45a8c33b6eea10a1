/** Reading jobs. Every query is scoped to a tenant. */
import { type Kysely, type Selectable, sql } from 'kysely';
import type { JobStatus } from '../domain/job.ts';
import type { AttemptTable, JobTable, Tables } from './tables.ts';

export type JobRow = Selectable<JobTable>;
export type AttemptRow = Selectable<AttemptTable>;

export interface JobView {
  readonly job: JobRow;
  readonly attempts: readonly AttemptRow[];
  /** JSON text of the output; null until the job has succeeded. */
  readonly output: string | null;
}

export interface JobFilter {
  readonly status?: JobStatus | undefined;
  readonly customId?: string | undefined;
  readonly batchId?: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** Only jobs with a smaller id: the newest come first. */
  readonly beforeId?: string | undefined;
  readonly limit: number;
}

export async function findJob(db: Kysely<Tables>, tenantId: string, id: string): Promise<JobView | null> {
  const job = await db
    .selectFrom('waybill.jobs')
    .selectAll()
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst();
  if (!job) return null;
  const [view] = await withAttempts(db, [job]);
  return view ?? null;
}

export async function listJobs(db: Kysely<Tables>, tenantId: string, filter: JobFilter): Promise<JobView[]> {
  let query = db
    .selectFrom('waybill.jobs')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('id', 'desc')
    .limit(filter.limit);
  if (filter.status) query = query.where('status', '=', filter.status);
  if (filter.customId !== undefined) query = query.where('custom_id', '=', filter.customId);
  if (filter.batchId !== undefined) query = query.where('batch_id', '=', filter.batchId);
  if (filter.beforeId !== undefined) query = query.where('id', '<', filter.beforeId);
  if (Object.keys(filter.metadata).length > 0)
    query = query.where(sql<boolean>`metadata @> ${JSON.stringify(filter.metadata)}::jsonb`);
  return withAttempts(db, await query.execute());
}

/** One query for the attempts and one for the outputs, however many jobs. */
export async function withAttempts(db: Kysely<Tables>, jobs: readonly JobRow[]): Promise<JobView[]> {
  if (jobs.length === 0) return [];
  const ids = jobs.map((job) => job.id);
  const attempts = await db
    .selectFrom('waybill.attempts')
    .selectAll()
    .where('job_id', 'in', ids)
    .orderBy('n')
    .execute();
  const outputs = await db
    .selectFrom('waybill.payloads')
    .select(['job_id', 'output'])
    .where('job_id', 'in', ids)
    .where('output', 'is not', null)
    .execute();
  const byJob = Map.groupBy(attempts, (attempt) => attempt.job_id);
  const outputOf = new Map(outputs.map((row) => [row.job_id, row.output]));
  return jobs.map((job) => ({
    job,
    attempts: byJob.get(job.id) ?? [],
    output: job.status === 'succeeded' ? (outputOf.get(job.id) ?? null) : null,
  }));
}

const maxPosition = 1_000;
const maxTenants = 200;

export interface BacklogPlace {
  /** In the line of its own tenant for the target, from 1. */
  readonly position: number;
  /** The part of the target's work its tenant is due now, from (0, 1]. */
  readonly share: number;
}

/** null when the job is not waiting in the backlog, or more than 1,000 of its tenant's jobs go first. */
export async function placeInBacklog(
  db: Kysely<Tables>,
  job: Pick<
    JobRow,
    'id' | 'tenant_id' | 'target' | 'status' | 'priority' | 'precedence' | 'dispatched_at' | 'available_at'
  >,
): Promise<BacklogPlace | null> {
  if (job.status !== 'queued' || job.dispatched_at !== null || job.available_at.getTime() > Date.now()) return null;
  const { rows } = await sql<{ ahead: number; share: number }>`
    with recursive waiting as (
      (select tenant_id from waybill.jobs where target = ${job.target} and status = 'queued' and dispatched_at is null order by tenant_id limit 1)
      union all
      select (select j.tenant_id from waybill.jobs j where j.target = ${job.target} and j.status = 'queued' and j.dispatched_at is null
        and j.tenant_id > w.tenant_id order by j.tenant_id limit 1) from waiting w where w.tenant_id is not null
    ), present as (select tenant_id from waiting where tenant_id is not null limit ${maxTenants})
    select (select count(*)::int from (
        select 1 from waybill.jobs b
        where b.target = ${job.target} and b.tenant_id = ${job.tenant_id} and b.status = 'queued' and b.dispatched_at is null and b.available_at <= now()
          and (b.priority, b.precedence, b.available_at, b.id) < (${job.priority}, ${job.precedence}, ${job.available_at}::timestamptz, ${job.id})
        limit ${maxPosition + 1}) ahead) as ahead,
      (select t.weight from waybill.tenants t where t.id = ${job.tenant_id})::float8
        / greatest(1, (select sum(t.weight) from present join waybill.tenants t on t.id = present.tenant_id)) as share`.execute(
    db,
  );
  const [row] = rows;
  return row === undefined || row.ahead > maxPosition ? null : { position: row.ahead + 1, share: row.share };
}
