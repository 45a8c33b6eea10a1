/** What the columns of a waiting job say: why it waits, and since when it waits for a limit. */
import { sql } from 'kysely';
import type { WaitingReason } from '../domain/job.ts';

/** Of a job that waits for nothing any more. */
export const nothingAwaited = { waiting_reason: null, waiting_since: null, waiting_until: null, limited_since: null };

/** A wait for a free slot is part of the wait for a limit; any other one ends it. */
export const limitedSince = (reason: WaitingReason) =>
  reason === 'turn'
    ? {}
    : { limited_since: reason === 'rate_limit' ? sql<Date>`coalesce(limited_since, clock_timestamp())` : null };
