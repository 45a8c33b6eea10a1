/** Receivers of webhooks: one row per tenant and address, which an answer of 410 disables. */
import { type Kysely, sql } from 'kysely';
import { newId } from '../domain/ids.ts';
import type { Database } from './database.ts';
import type { Tables } from './tables.ts';

/** The endpoint of an ad-hoc address, made at its first use. */
export async function endpointFor(
  db: Kysely<Tables>,
  tenantId: string,
  url: string,
): Promise<{ id: string; isDisabled: boolean }> {
  const inserted = await db
    .insertInto('waybill.webhook_endpoints')
    .values({ id: newId('whe'), tenant_id: tenantId, url, kind: 'ad_hoc' })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'url']).doUpdateSet({ url }))
    .returning(['id', 'disabled_at'])
    .executeTakeFirstOrThrow();
  return { id: inserted.id, isDisabled: inserted.disabled_at !== null };
}

/** Nothing more is sent there: what still waits to be delivered ends with it. */
export function disableEndpoint(database: Database, id: string, reason: string): Promise<void> {
  return database.transaction(async (trx) => {
    await trx
      .updateTable('waybill.webhook_endpoints')
      .set({ disabled_at: sql`clock_timestamp()`, disabled_reason: reason })
      .where('id', '=', id)
      .where('disabled_at', 'is', null)
      .execute();
    await trx
      .updateTable('waybill.webhook_deliveries')
      .set({
        status: 'failed',
        seq: sql`seq + 1`,
        last_error: reason,
        queued_at: null,
        finished_at: sql`clock_timestamp()`,
      })
      .where('endpoint_id', '=', id)
      .where('status', '=', 'pending')
      .execute();
  });
}
