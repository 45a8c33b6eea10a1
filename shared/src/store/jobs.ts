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

/** How many jobs of the same target go first; null when the job is not in the backlog, or more than 1,000 do. */
export async function positionOf(db: Kysely<Tables>, job: JobRow): Promise<number | null> {
  if (job.status !== 'queued' || job.dispatched_at !== null || job.available_at.getTime() > Date.now()) return null;
  const { rows } = await sql<{ ahead: number }>`
    select count(*)::int as ahead from (
      select 1 from waybill.jobs b
      where b.target = ${job.target} and b.status = 'queued' and b.dispatched_at is null and b.available_at <= now()
        and (b.priority, b.precedence, b.available_at, b.id) < (${job.priority}, ${job.precedence}, ${job.available_at}::timestamptz, ${job.id})
      limit ${maxPosition + 1}) ahead`.execute(db);
  const ahead = rows[0]?.ahead ?? 0;
  return ahead > maxPosition ? null : ahead + 1;
}
