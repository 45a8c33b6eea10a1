/** Breakers in SQL: the states are texts to it, and are swapped by version. */
import type { Pool } from '../../store/database.ts';
import { toReading, writeState } from '../breaker-text.ts';
import { type Coordination, retryBudget } from '../coordination.ts';

type Breakers = Pick<Coordination, 'readBreaker' | 'swapBreaker' | 'resetBreaker' | 'takeRetry' | 'returnRetry'>;

export function createBreakers(pool: Pool): Breakers {
  return {
    async readBreaker(target, windowMs) {
      const { rows } = await pool.query('select coordination.breaker_reading($1, $2) as reading', [target, windowMs]);
      return toReading(target, rows[0]?.reading as string[]);
    },
    async swapBreaker({ target, version }, next, endedProbe) {
      const { rows } = await pool.query('select coordination.swap_breaker($1, $2, $3, $4) as is_swapped', [
        target,
        version,
        writeState(next),
        endedProbe,
      ]);
      return rows[0]?.is_swapped === true;
    },
    async resetBreaker(target) {
      await pool.query('select coordination.reset_breaker($1)', [target]);
    },
    async returnRetry(provider) {
      await pool.query('update coordination.retries set level = level + 1 where provider = $1', [provider]);
    },
    async takeRetry(provider) {
      const { rows } = await pool.query('select coordination.take_retry($1, $2, $3) as wait_ms', [
        provider,
        retryBudget.perSecond,
        retryBudget.most,
      ]);
      return Number(rows[0]?.wait_ms ?? 0);
    },
  };
}
