/**
 * Webhook deliveries: rows written with the change they tell of, sent afterwards, at least once, under one id.
 */
import { type Selectable, sql } from 'kysely';
import { cleanText } from '../domain/clean-text.ts';
import { eventId, type JobEventType } from '../domain/events.ts';
import { newId } from '../domain/ids.ts';
import { isFinal, type JobStatus } from '../domain/job.ts';
import { type Usage, usageSchema } from '../domain/usage.ts';
import { webhookPayload } from '../domain/webhook-payload.ts';
import { collectTick } from './collect-tick.ts';
import type { Database, Trx } from './database.ts';
import type { JobRow } from './jobs.ts';
import type { DeliveryTable } from './tables.ts';

export type DeliveryRow = Selectable<DeliveryTable>;

export const eventOf: Partial<Record<JobStatus, JobEventType>> = {
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

/** What all attempts of the job cost, for an end that no attempt brings about. */
async function payloadOf(trx: Trx, job: JobRow, type: JobEventType): Promise<string> {
  const attempts = await trx
    .selectFrom('waybill.attempts')
    .select(['cost_nano', 'cost_basis'])
    .where('job_id', '=', job.id)
    .execute();
  return webhookPayload(
    type,
    job,
    {
      nano: attempts.reduce((sum, attempt) => sum + BigInt(attempt.cost_nano ?? 0), 0n),
      unknown: attempts.filter((attempt) => attempt.cost_nano === null && attempt.cost_basis !== null).length,
      usage: null,
    },
    job.finished_at ?? new Date(),
  );
}

/** Of the parts an answer has come in so far, in the job's present run; null: unknown. */
export async function usagesOfParts({ kysely }: Database, job: JobRow): Promise<(Usage | null)[]> {
  const parts = await kysely
    .selectFrom('waybill.attempts')
    .select('usage')
    .where('job_id', '=', job.id)
    .where('run', '=', job.run)
    .where('status', '=', 'succeeded')
    .execute();
  return parts.map(({ usage }) => readUsage(usage));
}

/** The end of a job must be told also when a stored usage is not readable. */
function readUsage(text: string | null): Usage | null {
  try {
    return text === null ? null : usageSchema.parse(JSON.parse(text));
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

/** Their entries could not be added: they are due again at once, not when they are taken for lost. */
export async function releaseDeliveries(database: Database, ids: readonly string[]): Promise<void> {
  await sql`
    update waybill.webhook_deliveries set queued_at = null, seq = seq + 1
    where id = any(${[...ids]}::text[]) and status = 'pending' and queued_at is not null`.execute(database.kysely);
}

/** The queue lost its entries: whatever was on its way is due again. */
export async function returnQueuedDeliveries(database: Database): Promise<number> {
  const { numAffectedRows } = await sql`
    update waybill.webhook_deliveries set queued_at = null, seq = seq + 1
    where status = 'pending' and queued_at is not null`.execute(database.kysely);
  return Number(numAffectedRows ?? 0);
}

export interface DeliveryKey {
  readonly id: string;
  readonly seq: number;
}

const maxDeliveries = 100;
const maxStatements = 2;

/** The delivery of an entry, or null when the entry is stale; those of one tick share a statement. */
export const createDeliveryFinder = (database: Database): ((key: DeliveryKey) => Promise<DueDelivery | null>) =>
  collectTick((keys) => findDeliveries(database, keys), { maxItems: maxDeliveries, maxInFlight: maxStatements });

async function findDeliveries(database: Database, keys: readonly DeliveryKey[]): Promise<(DueDelivery | null)[]> {
  const { rows } = await sql<DueDelivery>`
    select d.*, e.url from unnest(${keys.map(({ id }) => id)}::text[], ${keys.map(({ seq }) => seq)}::int[]) as k (id, seq)
      join waybill.webhook_deliveries d on d.id = k.id and d.seq = k.seq
      join waybill.webhook_endpoints e on e.id = d.endpoint_id
    where d.id = any(${keys.map(({ id }) => id)}::text[]) and d.status = 'pending'`.execute(database.kysely);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return keys.map(({ id, seq }) => {
    const row = byId.get(id);
    return row?.seq === seq ? row : null;
  });
}

export type DeliveryEnd =
  | { readonly kind: 'delivered'; readonly status: number }
  | { readonly kind: 'again'; readonly status: number | null; readonly error: string; readonly delayMs: number }
  | { readonly kind: 'failed'; readonly status: number | null; readonly error: string };

export interface DeliverySettlement extends DeliveryKey {
  readonly end: DeliveryEnd;
}

/** Settles a try, fenced on (id, seq); those of one tick share a statement. */
export function createDeliverySettler(database: Database): (settlement: DeliverySettlement) => Promise<void> {
  return collectTick(
    async (settlements: readonly DeliverySettlement[]) => {
      await settleDeliveries(database, settlements);
      return settlements.map(() => undefined);
    },
    { maxItems: maxDeliveries, maxInFlight: maxStatements },
  );
}

async function settleDeliveries(database: Database, settlements: readonly DeliverySettlement[]): Promise<void> {
  const items = settlements
    .map(({ id, seq, end }) => ({
      id,
      seq,
      kind: end.kind,
      http_status: end.status,
      error: end.kind === 'delivered' ? null : cleanText(end.error, 300),
      delay_ms: end.kind === 'again' ? Math.round(end.delayMs) : null,
    }))
    // Always in the same order, so that two statements that meet do not wait for each other.
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  await sql`
    update waybill.webhook_deliveries d set attempts = d.attempts + 1, seq = d.seq + 1, last_status = i.http_status, last_error = i.error, queued_at = null,
      next_at = case when i.kind = 'again' then clock_timestamp() + i.delay_ms * interval '1 millisecond' else d.next_at end,
      status = case i.kind when 'again' then d.status else i.kind end,
      finished_at = case when i.kind <> 'again' then clock_timestamp() end
    from jsonb_to_recordset(${JSON.stringify(items)}::jsonb) as i (id text, seq int, kind text, http_status int, error text, delay_ms bigint)
    where d.id = any(${items.map(({ id }) => id)}::text[]) and d.id = i.id and d.seq = i.seq and d.status = 'pending'`.execute(
    database.kysely,
  );
}
