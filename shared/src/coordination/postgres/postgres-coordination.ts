/** Coordination as SQL functions on UNLOGGED tables; signals stay in memory when the process is alone, else NOTIFY. */
import type { BreakerState } from '../../routing/breaker.ts';
import type { Pause } from '../../routing/pauses.ts';
import type { Database, Pool } from '../../store/database.ts';
import { readState, toUsual } from '../breaker-text.ts';
import {
  type Charge,
  type Coordination,
  type FleetState,
  permitLeaseMs,
  throughputSeconds,
  type UsualCalls,
} from '../coordination.ts';
import { createPermits } from '../permits.ts';
import type { Signals } from '../signals.ts';
import { createBreakers } from './postgres-breakers.ts';
import { createPermitStore } from './postgres-permits.ts';

export interface PostgresCoordinationOptions {
  readonly database: Database;
  readonly signals: Signals;
  /** Ends what brings the signals. */
  readonly onClose?: () => Promise<void>;
}

export function createPostgresCoordination({ database, signals, onClose }: PostgresCoordinationOptions): Coordination {
  const { pool } = database;
  return {
    ...createPermits(createPermitStore(pool), signals),
    ...createBreakers(pool),
    ...createEpochs(pool),
    ...createShares(pool),
    fleetState: () => readFleetState(pool),
    async pause(scope, kind, untilMs) {
      const { rows } = await pool.query('select coordination.pause($1, $2, $3) as is_new', [
        scope,
        kind,
        new Date(untilMs),
      ]);
      return rows[0]?.is_new === true;
    },
    async resume(scope) {
      const { rows } = await pool.query('delete from coordination.pauses where scope = $1 returning scope', [scope]);
      return rows.length > 0;
    },
    async reset() {
      await pool.query(
        'truncate coordination.permits, coordination.pauses, coordination.throughput, coordination.charges, coordination.epochs, coordination.places, coordination.rates, coordination.kept_room, coordination.breakers, coordination.outcomes, coordination.usual, coordination.retries',
      );
    },
    publish: signals.publish,
    subscribe: signals.subscribe,
    close: async () => onClose?.(),
  };
}

function createEpochs(pool: Pool): Pick<Coordination, 'holdsEpoch' | 'restore'> {
  return {
    async holdsEpoch(provider, epoch) {
      const { rows } = await pool.query('select 1 from coordination.epochs where provider = $1 and epoch = $2', [
        provider,
        epoch,
      ]);
      return rows.length > 0;
    },
    async restore(provider, epoch, permits, spent = []) {
      // Several statements, the epoch last: between them nothing is let through.
      await pool.query('delete from coordination.epochs where provider = $1', [provider]);
      await pool.query(
        `with gone as (delete from coordination.permits where split_part(target, '/', 1) = $1 and not token = any($2::text[]))
         insert into coordination.permits (token, target, place, expires_at)
           select t, g, p, clock_timestamp() + make_interval(secs => $5) from unnest($2::text[], $3::text[], $4::text[]) as u(t, g, p)
         on conflict (token) do update set target = excluded.target, place = excluded.place, expires_at = excluded.expires_at`,
        [
          provider,
          permits.map(({ token }) => token),
          permits.map(({ target }) => target),
          permits.map(({ place }) => place),
          permitLeaseMs / 1_000,
        ],
      );
      for (const table of ['rates', 'kept_room'])
        await pool.query(`delete from coordination.${table} where split_part(target, '/', 1) = $1`, [provider]);
      for (const { target, account, limit, slots } of spent)
        await pool.query('select coordination.restore_rate($1, $2, $3::jsonb, $4::bigint[], $5::bigint[])', [
          target,
          account,
          JSON.stringify(limit),
          [...slots.keys()],
          [...slots.values()],
        ]);
      await pool.query(
        'insert into coordination.epochs (provider, epoch) values ($1, $2) on conflict (provider) do update set epoch = excluded.epoch',
        [provider, epoch],
      );
    },
  };
}

function createShares(pool: Pool): Pick<Coordination, 'charge' | 'takeCharges'> {
  return {
    async charge({ target, tenantId, tokens }) {
      await pool.query(
        `insert into coordination.charges as c (target, tenant_id, why, tokens) values ($1, $2, 'added', $3)
         on conflict (target, tenant_id, why) do update set tokens = c.tokens + excluded.tokens`,
        [target, tenantId, Math.round(tokens)],
      );
    },
    async takeCharges() {
      const { rows } = await pool.query(
        // Those that are being added to are left for the next time: two that wait for each other's rows would both lose.
        `delete from coordination.charges where (target, tenant_id, why) in (select target, tenant_id, why from coordination.charges for update skip locked)
         returning target, tenant_id, why, tokens::float8 as tokens`,
      );
      return rows.map((row) => ({
        target: row.target as string,
        tenantId: row.tenant_id as string,
        tokens: row.tokens as number,
        why: row.why as Charge['why'],
      }));
    },
  };
}

async function readFleetState(pool: Pool): Promise<FleetState> {
  const { rows } = await pool.query(
    `select 'throughput' as what, target as name, (sum(ended)::float8 / $1::float8) as value, null as kind from coordination.throughput
       where second > extract(epoch from clock_timestamp())::bigint - $1::int group by target
     union all
     select 'pause', scope, (extract(epoch from until) * 1000)::float8, kind from coordination.pauses where until > clock_timestamp()
     union all
     select 'breaker', target, 0, state from coordination.breakers where state is not null
     union all
     select 'usual', target, 0, coordination.usual_text(u, coordination.now_ms()) from coordination.usual u`,
    [throughputSeconds],
  );
  const of = <Value>(what: string, read: (value: number, kind: string) => Value): ReadonlyMap<string, Value> =>
    new Map(
      rows
        .filter((row) => row.what === what)
        .map((row) => [row.name as string, read(row.value as number, row.kind as string)]),
    );
  return {
    throughput: of('throughput', (value) => value),
    pauses: of('pause', (untilMs, kind): Pause => ({ kind, untilMs })),
    breakers: of('breaker', (_, state): BreakerState => readState(state)),
    usual: of('usual', (_, text): UsualCalls => toUsual(text)),
  };
}
