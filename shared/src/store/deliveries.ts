/**
 * Webhook deliveries: rows written with the change they tell of, sent afterwards, at least once, under one id.
 */
import { type Selectable, sql } from 'kysely';
import { cleanText } from '../domain/clean-text.ts';
import { eventId, type JobEventType } from '../domain/events.ts';
import { newId } from '../domain/ids.ts';
import { isFinal, type JobStatus } from '../domain/job.ts';
import { formatUsd } from '../domain/money.ts';
import { toUsageJson, usageSchema } from '../domain/usage.ts';
import type { Database, Trx } from './database.ts';
import type { JobRow } from './jobs.ts';
import type { DeliveryTable } from './tables.ts';

export type DeliveryRow = Selectable<DeliveryTable>;

const eventOf: Partial<Record<JobStatus, JobEventType>> = {
  succeeded: 'job.succeeded',
  failed: 'job.failed',
  cancelled: 'job.cancelled',
  expired: 'job.expired',
};

/** Writes the delivery of a job that has just become final; null when nobody asked, or the receiver is disabled. */
export async function insertDeliveries(trx: Trx, job: JobRow): Promise<string | null> {
  const type = eventOf[job.status];
  if (!isFinal(job.status) || !type || job.webhook_endpoint_id === null) return null;
  const payload = await payloadOf(trx, job, type);
  const row = await trx
    .insertInto('waybill.webhook_deliveries')
    .columns(['id', 'event_id', 'tenant_id', 'endpoint_id', 'job_id', 'type', 'payload', 'queued_at', 'traceparent'])
    .expression((query) =>
      query
        .selectFrom('waybill.webhook_endpoints')
        .select(({ val, ref }) => [
          val(newId('whd')).as('id'),
          val(eventId(job.id, job.run, type)).as('event_id'),
          val(job.tenant_id).as('tenant_id'),
          ref('id').as('endpoint_id'),
          val(job.id).as('job_id'),
          val(type).as('type'),
          val(payload).as('payload'),
          sql<Date>`now()`.as('queued_at'),
          val(job.traceparent).as('traceparent'),
        ])
        .where('id', '=', job.webhook_endpoint_id)
        .where('disabled_at', 'is', null),
    )
    .onConflict((conflict) => conflict.columns(['event_id', 'endpoint_id']).doNothing())
    .returning('id')
    .executeTakeFirst();
  return row?.id ?? null;
}

/** Thin: the receiver fetches the output when it wants it. */
async function payloadOf(trx: Trx, job: JobRow, type: JobEventType): Promise<string> {
  const attempts = await trx
    .selectFrom('waybill.attempts')
    .select(['status', 'usage', 'cost_nano', 'cost_basis'])
    .where('job_id', '=', job.id)
    .execute();
  const cost = attempts.reduce((sum, attempt) => sum + BigInt(attempt.cost_nano ?? 0), 0n);
  const usage = attempts.find((attempt) => attempt.status === 'succeeded')?.usage ?? null;
  return JSON.stringify({
    type,
    timestamp: (job.finished_at ?? new Date()).toISOString(),
    data: {
      id: job.id,
      custom_id: job.custom_id,
      batch_id: job.batch_id,
      status: job.status,
      target: job.status === 'succeeded' ? job.target : null,
      usage: readUsage(usage),
      cost_usd: formatUsd(cost),
      cost_unknown_attempts: attempts.filter((attempt) => attempt.cost_nano === null && attempt.cost_basis !== null)
        .length,
      error: job.error_kind === null ? null : { kind: job.error_kind, message: job.error_message },
      metadata: job.metadata,
    },
  });
}

/** The end of a job must be told also when a stored usage is not readable. */
function readUsage(text: string | null) {
  try {
    return text === null ? null : toUsageJson(usageSchema.parse(JSON.parse(text)));
  } catch {
    return null;
  }
}

export interface DueDelivery extends DeliveryRow {
  readonly url: string;
}

/** Takes what is due and not on its way: new tries, and deliveries whose entry was lost. */
export async function takeDueDeliveries(database: Database, limit: number): Promise<DeliveryRow[]> {
  const { rows } = await sql<DeliveryRow>`
    update waybill.webhook_deliveries set queued_at = now(), seq = seq + 1
    where id in (
      select id from waybill.webhook_deliveries
      where status = 'pending' and next_at <= now() and (queued_at is null or queued_at < now() - interval '5 minutes')
      order by next_at limit ${limit} for update skip locked)
    returning *`.execute(database.kysely);
  return rows;
}

/** The delivery of an entry, or null when the entry is stale. */
export async function findDelivery(database: Database, id: string, seq: number): Promise<DueDelivery | null> {
  const row = await database.kysely
    .selectFrom('waybill.webhook_deliveries as d')
    .innerJoin('waybill.webhook_endpoints as e', 'e.id', 'd.endpoint_id')
    .selectAll('d')
    .select('e.url')
    .where('d.id', '=', id)
    .where('d.seq', '=', seq)
    .where('d.status', '=', 'pending')
    .executeTakeFirst();
  return row ?? null;
}

export type DeliveryEnd =
  | { readonly kind: 'delivered'; readonly status: number }
  | { readonly kind: 'again'; readonly status: number | null; readonly error: string; readonly delayMs: number }
  | { readonly kind: 'failed'; readonly status: number | null; readonly error: string };

/** Settles one try; fenced on (id, seq). */
export async function settleDelivery(database: Database, id: string, seq: number, end: DeliveryEnd): Promise<void> {
  await database.kysely
    .updateTable('waybill.webhook_deliveries')
    .set({
      attempts: sql`attempts + 1`,
      seq: sql`seq + 1`,
      last_status: end.status,
      last_error: end.kind === 'delivered' ? null : cleanText(end.error, 300),
      queued_at: null,
      ...(end.kind === 'again'
        ? { next_at: sql<Date>`clock_timestamp() + ${end.delayMs} * interval '1 millisecond'` }
        : {
            status: end.kind === 'delivered' ? ('delivered' as const) : ('failed' as const),
            finished_at: sql<Date>`clock_timestamp()`,
          }),
    })
    .where('id', '=', id)
    .where('seq', '=', seq)
    .where('status', '=', 'pending')
    .execute();
}
