/** Receivers of webhooks: one row per tenant and address, which an answer of 410 disables. */
import { type Kysely, sql } from 'kysely';
import { newId } from '../domain/ids.ts';
import type { Database } from './database.ts';
import type { Tables } from './tables.ts';

/** The endpoint of an ad-hoc address, made at its first use. Looked for first: a row that is there is not written. */
export async function endpointFor(db: Kysely<Tables>, tenantId: string, url: string): Promise<string> {
  for (;;) {
    const found = await db
      .selectFrom('waybill.webhook_endpoints')
      .select('id')
      .where('tenant_id', '=', tenantId)
      .where('url', '=', url)
      .executeTakeFirst();
    if (found) return found.id;
    const made = await db
      .insertInto('waybill.webhook_endpoints')
      .values({ id: newId('whe'), tenant_id: tenantId, url, kind: 'ad_hoc' })
      .onConflict((conflict) => conflict.columns(['tenant_id', 'url']).doNothing())
      .returning('id')
      .executeTakeFirst();
    if (made) return made.id;
  }
}

const rememberedEndpoints = 10_000;

/** The same, asked of the database once for each address; an endpoint keeps its id for ever. */
export function createEndpointFinder(db: Kysely<Tables>): (tenantId: string, url: string) => Promise<string> {
  const known = new Map<string, string>();
  return async (tenantId, url) => {
    const key = `${tenantId} ${url}`;
    const id = known.get(key) ?? (await endpointFor(db, tenantId, url));
    if (known.size >= rememberedEndpoints) known.clear();
    known.set(key, id);
    return id;
  };
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
