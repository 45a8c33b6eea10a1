/** What happened to no single job: a credential died, a provider recovered. Told once, whoever notices. */
import { cleanText } from '../domain/clean-text.ts';
import type { Database, Trx } from './database.ts';

export const systemEventTypes = [
  'credential.dead',
  'credentials.exhausted',
  'provider.unhealthy',
  'provider.recovered',
  'breaker.opened',
  'breaker.closed',
  'budget.threshold',
  'price.unknown',
] as const;
export type SystemEventType = (typeof systemEventTypes)[number];

export interface SystemEvent {
  /** A function of what happened, so that noting it twice is noting it once. */
  readonly id: string;
  readonly type: SystemEventType;
  readonly data: Readonly<Record<string, string | number | null>>;
}

/** True: it was new. */
export async function noteEvent(
  { kysely }: { readonly kysely: Database['kysely'] | Trx },
  { id, type, data }: SystemEvent,
): Promise<boolean> {
  const row = await kysely
    .insertInto('waybill.events')
    .values({ id: cleanText(id, 300), type, data: JSON.stringify(data) })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}

export interface NotedEvent {
  readonly id: string;
  /** Rises with every event. */
  readonly ord: number;
  readonly type: string;
  readonly data: unknown;
  readonly createdAt: Date;
}

/** @param after the `ord` of the last one seen */
export async function readEvents({ kysely }: Database, after: number, limit: number): Promise<NotedEvent[]> {
  const rows = await kysely
    .selectFrom('waybill.events')
    .selectAll()
    .where('ord', '>', `${after}`)
    .orderBy('ord')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    ord: Number(row.ord),
    type: row.type,
    data: JSON.parse(row.data) as unknown,
    createdAt: row.created_at,
  }));
}
