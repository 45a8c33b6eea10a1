/** The clock of this machine against the database's: leases and delays need them to agree. */
import { Problem } from '../domain/problem.ts';
import type { Pool } from './database.ts';

export const mostSkewMs = 2_000;

/** How far this clock is ahead of the database's, in ms; what the question itself took is left out. */
export async function clockSkewMs(pool: Pool, now: () => number = Date.now): Promise<number> {
  const before = now();
  const { rows } = await pool.query('select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms');
  const after = now();
  const theirs = Number(rows[0]?.ms);
  // Between the two looks at our clock theirs was read: only what lies outside of them is skew.
  if (theirs < before) return before - theirs;
  return theirs > after ? after - theirs : 0;
}

/** @throws Problem `clock_skew` */
export async function checkClock(pool: Pool, now: () => number = Date.now): Promise<void> {
  const skew = await clockSkewMs(pool, now);
  if (Math.abs(skew) <= mostSkewMs) return;
  throw new Problem(
    'clock_skew',
    `Cannot run: the clock of this machine is ${(Math.abs(skew) / 1_000).toFixed(1)} s ${skew > 0 ? 'ahead of' : 'behind'} that of the database, and ${mostSkewMs / 1_000} s is the most that is safe. Synchronise both (NTP)`,
  );
}
