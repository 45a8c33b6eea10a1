/**
 * The epoch of each provider, as the database keeps it: the value a coordination store must hold to be believed.
 *
 * A store that lost it (a wiped or restarted Redis, an UNLOGGED table after a crash) lost permits too.
 */
import { sql } from 'kysely';
import type { Database } from './database.ts';

export interface KnownEpoch {
  readonly epoch: string;
  /** True for the process that made it. */
  readonly isNew: boolean;
  /** How long ago it was changed, by the database's clock. */
  readonly ageMs: number;
}

/** The provider's epoch; `first` when it has none yet. */
export async function readEpoch(database: Database, provider: string, first: string): Promise<KnownEpoch> {
  const { rows } = await sql<KnownEpoch>`
    with made as (
      insert into waybill.epochs (provider, epoch) values (${provider}, ${first}) on conflict (provider) do nothing returning epoch
    )
    select epoch, true as "isNew", 0::float8 as "ageMs" from made
    union all
    select epoch, false, (extract(epoch from clock_timestamp() - changed_at) * 1000)::float8 from waybill.epochs where provider = ${provider}
    limit 1`.execute(database.kysely);
  // Another process made it between the two looks of this statement: it is there for the next one.
  return rows[0] ?? readEpoch(database, provider, first);
}

/** True for the one process that changed it, and now rebuilds the store. */
export async function swapEpoch(database: Database, provider: string, from: string, to: string): Promise<boolean> {
  const { rows } = await sql<{ swapped: boolean }>`
    select waybill.swap_epoch(${provider}, ${from}, ${to}) as swapped`.execute(database.kysely);
  return rows[0]?.swapped === true;
}

export interface OpenPermit {
  readonly token: string;
  readonly target: string;
  readonly place: string;
}

/** The calls that live workers have under way: each holds a permit. */
export async function openPermits(database: Database, provider: string): Promise<OpenPermit[]> {
  const { rows } = await sql<OpenPermit>`
    select a.permit as token, a.target, coalesce(a.place, 'default') as place from waybill.workers w join waybill.attempts a on a.worker_id = w.id
    where w.lease_until > clock_timestamp() and a.status = 'started' and a.permit is not null
      and split_part(a.target, '/', 1) = ${provider}`.execute(database.kysely);
  return rows;
}

/** What a lost queue held: dispatched but unclaimed jobs go back under a new seq, so that an entry that survived is stale. */
export async function returnDispatched(database: Database, provider: string): Promise<number> {
  const result = await database.kysely
    .updateTable('waybill.jobs')
    .set({ seq: sql`seq + 1`, dispatched_at: null, precedence: 0 })
    .where('provider', '=', provider)
    .where('status', '=', 'queued')
    .where('dispatched_at', 'is not', null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

export interface SpentRow {
  readonly target: string;
  readonly account: string;
  /** The number of a slot of the length that was asked for. */
  readonly slot: number;
  readonly requests: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
}

/** The process that changed it is at work: nobody else takes its turn meanwhile. */
export async function keepEpoch(database: Database, provider: string, epoch: string): Promise<void> {
  await sql`update waybill.epochs set changed_at = clock_timestamp() where provider = ${provider} and epoch = ${epoch}`.execute(
    database.kysely,
  );
}

/** A day of a large house is many rows: they are counted in parts, none of which takes longer than a statement may. */
const partMs = 3_600_000;

/**
 * What was called lately, for windows that a lost store counted: of calls under way what was reserved for them, of the
 * others what they really used.
 */
export async function spentLately(
  database: Database,
  provider: string,
  sinceMs: number,
  slotMs: number,
): Promise<SpentRow[]> {
  const { rows: clock } = await sql<{ ms: number }>`
    select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as ms`.execute(database.kysely);
  const nowMs = clock[0]?.ms ?? 0;
  // No slot is cut in two.
  const stepMs = Math.ceil(partMs / slotMs) * slotMs;
  const found: SpentRow[] = [];
  for (let slot = Math.floor((nowMs - sinceMs) / slotMs); slot * slotMs <= nowMs; slot += stepMs / slotMs)
    found.push(...(await spentIn(database, provider, { fromMs: slot * slotMs, toMs: slot * slotMs + stepMs, slotMs })));
  return found;
}

async function spentIn(
  { kysely }: Database,
  provider: string,
  { fromMs, toMs, slotMs }: { readonly fromMs: number; readonly toMs: number; readonly slotMs: number },
): Promise<SpentRow[]> {
  const { rows } = await sql<SpentRow>`
    select target, split_part(coalesce(place, 'default'), '@', 1) as account,
      floor(extract(epoch from started_at) * 1000 / ${slotMs}::float8)::float8 as slot, count(*)::float8 as requests,
      coalesce(sum(input_tokens), 0)::float8 as input_tokens, coalesce(sum(output_tokens), 0)::float8 as output_tokens
    from waybill.attempts
    where started_at >= to_timestamp(${fromMs}::float8 / 1000) and started_at < to_timestamp(${toMs}::float8 / 1000)
      and split_part(target, '/', 1) = ${provider}
    group by 1, 2, 3`.execute(kysely);
  return rows;
}
