/** Coordination as SQL functions on UNLOGGED tables; signals stay in memory, because the process is alone. */
import { EventEmitter } from 'node:events';
import type { Pause } from '../../routing/target-facts.ts';
import type { Database, Pool } from '../../store/database.ts';
import { type Coordination, permitLeaseMs, type Signal } from '../coordination.ts';

const throughputSeconds = 10;

export function createPostgresCoordination(database: Database): Coordination {
  const { pool } = database;
  const signals = new EventEmitter<{ signal: [Signal] }>();
  signals.setMaxListeners(0);
  const publish = (signal: Signal): void => void signals.emit('signal', signal);
  return {
    ...createPermits(pool, (target) => publish({ type: 'permit_freed', target })),
    ...createPauses(pool),
    async reset() {
      await pool.query('truncate coordination.permits, coordination.pauses, coordination.throughput');
    },
    publish,
    subscribe(listener) {
      signals.on('signal', listener);
      return () => void signals.off('signal', listener);
    },
  };
}

type Permits = Pick<Coordination, 'takePermit' | 'givePermitBack' | 'settlePermit' | 'renewPermits' | 'throughput'>;

function createPermits(pool: Pool, onFreed: (target: string) => void): Permits {
  // Only these are renewed: a permit whose return was lost must be able to expire.
  const inUse = new Set<string>();
  return {
    async takePermit({ token, entryId, target, workerId, limit }) {
      const { rows } = await pool.query('select coordination.take_permit($1, $2, $3, $4, $5, $6) as is_taken', [
        token,
        entryId,
        target,
        workerId,
        limit,
        permitLeaseMs,
      ]);
      if (rows[0]?.is_taken !== true) return { kind: 'wait' };
      inUse.add(token);
      return { kind: 'go' };
    },
    async givePermitBack(token, target) {
      inUse.delete(token);
      await pool.query('delete from coordination.permits where token = $1', [token]);
      onFreed(target);
    },
    async settlePermit(token, target) {
      inUse.delete(token);
      await pool.query('select coordination.settle_permit($1, $2)', [token, target]);
      onFreed(target);
    },
    async renewPermits() {
      if (inUse.size === 0) return;
      await pool.query(
        `update coordination.permits set expires_at = clock_timestamp() + make_interval(secs => $2) where token = any($1)`,
        [[...inUse], permitLeaseMs / 1_000],
      );
    },
    async throughput() {
      const { rows } = await pool.query(
        `select target, sum(ended)::float8 / $1::float8 as rate from coordination.throughput
         where second > extract(epoch from clock_timestamp())::bigint - $1::int group by target`,
        [throughputSeconds],
      );
      return new Map(rows.map((row) => [row.target as string, row.rate as number]));
    },
  };
}

function createPauses(pool: Pool): Pick<Coordination, 'pause' | 'pauses'> {
  return {
    async pause(scope, kind, untilMs) {
      await pool.query(
        `insert into coordination.pauses (scope, kind, until) values ($1, $2, $3)
         on conflict (scope) do update set kind = excluded.kind, until = greatest(coordination.pauses.until, excluded.until)`,
        [scope, kind, new Date(untilMs)],
      );
    },
    async pauses() {
      const { rows } = await pool.query(
        'select scope, kind, until from coordination.pauses where until > clock_timestamp()',
      );
      return new Map(
        rows.map((row): [string, Pause] => [
          row.scope as string,
          { kind: row.kind as string, untilMs: (row.until as Date).getTime() },
        ]),
      );
    },
  };
}
