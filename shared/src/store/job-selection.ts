/**
 * Which jobs an action on many is about: read page by page in the order of their ids, every statement bounded.
 *
 * What the filter means is fixed when the action begins: a job that comes later is not part of it.
 */
import { type RawBuilder, sql } from 'kysely';
import type { JobStatus } from '../domain/job.ts';
import type { Database } from './database.ts';

/** All that is set must hold; null: whatever it is. */
export interface JobSelection {
  readonly ids: readonly string[] | null;
  readonly batchId: string | null;
  readonly status: JobStatus | null;
  readonly target: string | null;
  readonly provider: string | null;
  /** As it was asked for: a chain or a target. */
  readonly model: string | null;
  readonly chain: string | null;
  readonly priority: number | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdAfter: Date | null;
  readonly createdBefore: Date | null;
  readonly errorKind: string | null;
}

export interface ActionScope {
  readonly tenantId: string;
  readonly selection: JobSelection;
  /** The tenant's newest job when the action began. */
  readonly upperId: string;
  readonly beganAt: Date;
}

/** null: the tenant has no job. */
export async function beginAction(
  { kysely }: Database,
  tenantId: string,
): Promise<Pick<ActionScope, 'upperId' | 'beganAt'> | null> {
  // Whole milliseconds, and never before anything that has happened already.
  const { rows } = await sql<{ upper: string; began: Date }>`
    select id as upper, date_trunc('milliseconds', clock_timestamp()) + interval '1 millisecond' as began
    from waybill.jobs where tenant_id = ${tenantId} order by id desc limit 1`.execute(kysely);
  const [row] = rows;
  return row === undefined ? null : { upperId: row.upper, beganAt: row.began };
}

/** How many of the ids are no job of the tenant. */
export async function countMissing({ kysely }: Database, tenantId: string, ids: readonly string[]): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from waybill.jobs where id = any(${[...ids]}::text[]) and tenant_id = ${tenantId}`.execute(
    kysely,
  );
  return new Set(ids).size - (rows[0]?.n ?? 0);
}

export interface PageSize {
  /** At most so many jobs that fit. */
  readonly jobs: number;
  /** At most so many rows looked at, or as many as there are ids: a filter that nothing fits must not read a whole table. */
  readonly rows: number;
}

export interface JobPage {
  readonly ids: string[];
  /** Where the next page begins; null: there is none. */
  readonly nextAfter: string | null;
}

/** @param after ids above this one; empty: from the beginning */
export async function readActionPage(
  { kysely }: Database,
  scope: ActionScope,
  after: string,
  size: PageSize,
): Promise<JobPage> {
  const { rows } = await sql<{ ids: string[]; seen: number; last: string | null }>`
    with seen as materialized (
      select id, ${fitsSelection(scope.selection)} as fits from waybill.jobs
      where ${inOrder(scope, after, size)}
    )
    select array(select id from seen where fits order by id limit ${size.jobs}) as ids,
      (select count(*)::int from seen) as seen, (select max(id) from seen) as last`.execute(kysely);
  const row = rows[0] ?? { ids: [], seen: 0, last: null };
  const lastFitting = row.ids.length === size.jobs ? (row.ids.at(-1) ?? null) : null;
  return { ids: row.ids, nextAfter: lastFitting ?? (row.seen === size.rows ? row.last : null) };
}

/** The tenant's rows of a page, by index, whatever the planner takes for likely. */
function inOrder({ tenantId, selection, upperId }: ActionScope, after: string, size: PageSize): RawBuilder<unknown> {
  const { ids, batchId } = selection;
  const isBetween = sql`id > ${after} and id <= ${upperId}`;
  if (ids !== null) {
    const ofBatch = batchId === null ? sql`` : sql`and batch_id = ${batchId}`;
    return sql`tenant_id = ${tenantId} and id = any(${[...ids]}::text[]) and ${isBetween} ${ofBatch}`;
  }
  if (batchId === null) return sql`tenant_id = ${tenantId} and ${isBetween} order by id limit ${size.rows}`;
  // A batch is its tenant's as a whole. As pairs, because only `jobs_of_batch` has them in this order: by id alone, all
  // jobs before the batch could be read.
  return sql`(select true from waybill.batches where id = ${batchId} and tenant_id = ${tenantId})
    and batch_id is not null and (batch_id, id) > (${batchId}, ${after}) and (batch_id, id) <= (${batchId}, ${upperId})
    order by batch_id, id limit ${size.rows}`;
}

/** The part of the selection that a job may leave again, and what no index answers. */
export function fitsSelection(selection: JobSelection): RawBuilder<boolean> {
  const equal: readonly (readonly [column: string, value: string | number | null])[] = [
    ['status', selection.status],
    ['target', selection.target],
    ['provider', selection.provider],
    ['requested_model', selection.model],
    ['chain', selection.chain],
    ['priority', selection.priority],
    ['error_kind', selection.errorKind],
  ];
  const { metadata, createdAfter, createdBefore } = selection;
  const conditions = [
    ...equal.flatMap(([column, value]) => (value === null ? [] : [sql`${sql.ref(column)} = ${value}`])),
    ...(createdAfter === null ? [] : [sql`created_at > ${createdAfter}`]),
    ...(createdBefore === null ? [] : [sql`created_at < ${createdBefore}`]),
    ...(Object.keys(metadata).length === 0 ? [] : [sql`metadata @> ${JSON.stringify(metadata)}::jsonb`]),
  ];
  return conditions.length === 0 ? sql<boolean>`true` : sql<boolean>`(${sql.join(conditions, sql` and `)})`;
}

/** Of these, the ones that fit now. */
export async function stillFitting(
  { kysely }: Database,
  { tenantId, selection }: ActionScope,
  ids: readonly string[],
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from waybill.jobs where id = any(${[...ids]}::text[]) and tenant_id = ${tenantId} and ${fitsSelection(selection)}
    order by id`.execute(kysely);
  return rows.map((row) => row.id);
}
