/** Coordination as SQL functions on UNLOGGED tables; signals stay in memory when the process is alone, else NOTIFY. */
import type { Pause } from '../../routing/pauses.ts';
import { collectTick } from '../../store/collect-tick.ts';
import type { Database, Pool } from '../../store/database.ts';
import {
  type Charge,
  type Coordination,
  congestedFactor,
  type FleetState,
  type PermitAnswer,
  type PermitEnd,
  type PermitRequest,
  permitLeaseMs,
  throughputSeconds,
} from '../coordination.ts';
import { createHeldPermits } from '../held-permits.ts';
import { permitGroup, toPermitAnswers } from '../permit-groups.ts';
import type { Signals } from '../signals.ts';

const maxGroup = 100;
const maxStatements = 2;

export interface PostgresCoordinationOptions {
  readonly database: Database;
  readonly signals: Signals;
  /** Ends what brings the signals. */
  readonly onClose?: () => Promise<void>;
}

export function createPostgresCoordination({ database, signals, onClose }: PostgresCoordinationOptions): Coordination {
  const { pool } = database;
  return {
    ...createPermits(pool, signals),
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
        'truncate coordination.permits, coordination.pauses, coordination.throughput, coordination.charges, coordination.epochs, coordination.places',
      );
    },
    publish: signals.publish,
    subscribe: signals.subscribe,
    close: async () => onClose?.(),
  };
}

type Permits = Pick<Coordination, 'takePermit' | 'givePermitBack' | 'settlePermit' | 'renewPermits' | 'dropPermits'>;

function createPermits(pool: Pool, signals: Signals): Permits {
  const held = createHeldPermits();
  const freed = (target: string) => signals.publish({ type: 'permit_freed', target });
  const take = byKey(permitGroup, (requests: readonly PermitRequest[]) => takePermits(pool, requests));
  const settle = byKey(
    ({ target }: PermitEnd) => target,
    async (ends: readonly PermitEnd[]) => {
      if (await settlePermits(pool, ends)) freed(ends[0]?.target ?? '');
      return ends;
    },
  );
  return {
    async takePermit(request) {
      const answer = await take(request);
      if (answer.kind === 'go') held.add({ ...request, place: answer.place });
      return answer;
    },
    async givePermitBack(permit) {
      held.remove(permit);
      await pool.query('delete from coordination.permits where token = $1', [permit.token]);
      freed(permit.target);
    },
    async settlePermit(end) {
      held.remove(end);
      await settle(end);
    },
    async renewPermits() {
      const tokens = [...held.byProvider().values()].flat().map(({ token }) => token);
      if (tokens.length === 0) return;
      await pool.query(
        `update coordination.permits set expires_at = clock_timestamp() + make_interval(secs => $2) where token = any($1)`,
        [tokens, permitLeaseMs / 1_000],
      );
    },
    dropPermits: () => held.clear(),
  };
}

/** Groups the calls of one tick that can share a statement. */
function byKey<Item, Result>(
  keyOf: (item: Item) => string,
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): (item: Item) => Promise<Result> {
  const collectors = new Map<string, (item: Item) => Promise<Result>>();
  return (item) => {
    const key = keyOf(item);
    let collect = collectors.get(key);
    if (!collect) {
      collect = collectTick(run, { maxItems: maxGroup, maxInFlight: maxStatements });
      collectors.set(key, collect);
    }
    return collect(item);
  };
}

async function takePermits(pool: Pool, requests: readonly PermitRequest[]): Promise<PermitAnswer[]> {
  const [first] = requests;
  if (!first) return [];
  const { target, places } = first;
  const { rows } = await pool.query(
    'select coordination.take_permits($1, $2, $3::text[], $4::int[], $5, $6::text[]) as taken',
    [
      first.epoch,
      target,
      places.map(({ id }) => id),
      places.map(({ concurrency }) => concurrency),
      permitLeaseMs,
      requests.map(({ token }) => token),
    ],
  );
  return toPermitAnswers(rows[0]?.taken as number[], places, requests.length);
}

/** True: a place was full, so somebody may wait for one. */
async function settlePermits(pool: Pool, ends: readonly PermitEnd[]): Promise<boolean> {
  const [first] = ends;
  if (!first) return false;
  const items = ends.map((end) => ({
    token: end.token,
    place: end.place,
    concurrency: end.concurrency,
    pressure: end.pressure,
    held_ms: Math.round(end.heldMs),
    rest_ms: Math.round(end.restMs),
    tenant: end.tenantId,
    estimated: Math.round(end.estimated),
    used: Math.round(end.used),
  }));
  const { rows } = await pool.query('select coordination.settle_permits($1, $2, $3::jsonb) as was_full', [
    first.target,
    congestedFactor,
    JSON.stringify(items),
  ]);
  return rows[0]?.was_full === true;
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
    async restore(provider, epoch, permits) {
      // Three statements, the epoch last: between them nothing is let through.
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
        'delete from coordination.charges returning target, tenant_id, why, tokens::float8 as tokens',
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
     select 'pause', scope, (extract(epoch from until) * 1000)::float8, kind from coordination.pauses where until > clock_timestamp()`,
    [throughputSeconds],
  );
  const of = (what: string) => rows.filter((row) => row.what === what);
  return {
    throughput: new Map(of('throughput').map((row) => [row.name as string, row.value as number])),
    pauses: new Map(
      of('pause').map((row): [string, Pause] => [
        row.name as string,
        { kind: row.kind as string, untilMs: row.value as number },
      ]),
    ),
  };
}
