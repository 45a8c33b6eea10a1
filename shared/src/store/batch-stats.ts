/** Totals of a batch, for progress: what its jobs do, and what their attempts did and cost. */
import { type Kysely, sql } from 'kysely';
import type { JobStatus } from '../domain/job.ts';
import type { Tables } from './tables.ts';

export async function batchCounts(
  db: Kysely<Tables>,
  tenantId: string,
  batchId: string,
): Promise<Partial<Record<JobStatus, number>>> {
  const rows = await db
    .selectFrom('waybill.jobs')
    .select(['status', sql<number>`count(*)::int`.as('n')])
    .where('tenant_id', '=', tenantId)
    .where('batch_id', '=', batchId)
    .groupBy('status')
    .execute();
  return Object.fromEntries(rows.map((row) => [row.status, row.n]));
}

export interface ProviderTotals {
  readonly provider: string;
  readonly attempts: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Jobs that moved on from here to another target. */
  readonly fallbacks: number;
  readonly costNano: bigint;
}

/** By the provider that was called. */
export async function batchAttempts(db: Kysely<Tables>, batchIds: readonly string[]): Promise<ProviderTotals[]> {
  const { rows } = await sql<Omit<ProviderTotals, 'costNano'> & { cost: string }>`
    with a as (
      select a.target, a.status, a.cost_nano, lead(a.target) over (partition by a.job_id order by a.n) as next_target
      from waybill.attempts a join waybill.jobs j on j.id = a.job_id where j.batch_id = any(${batchIds})
    )
    select split_part(target, '/', 1) as provider, count(*)::int as attempts,
      (count(*) filter (where status = 'succeeded'))::int as succeeded,
      (count(*) filter (where status not in ('succeeded', 'started')))::int as failed,
      (count(*) filter (where next_target <> target))::int as fallbacks,
      coalesce(sum(cost_nano), 0)::text as cost
    from a group by 1 order by 1`.execute(db);
  return rows.map((row) => ({ ...row, costNano: BigInt(row.cost) }));
}
