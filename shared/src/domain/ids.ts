/**
 * Ids: a prefix that says what it is, and a UUIDv7 that sorts by time of creation.
 *
 * No dashes and no colons: BullMQ refuses ids with a colon, and a double click selects the whole id.
 */
import { v7 as uuidv7 } from 'uuid';

export const idPrefixes = ['job', 'batch', 'ten', 'key', 'whe', 'whd', 'wrk', 'req'] as const;
export type IdPrefix = (typeof idPrefixes)[number];

/** A new id such as `job_0193…`; sortable by creation time within one prefix. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${uuidv7().replaceAll('-', '')}`;
}

/** True for a string of the form our own ids have; anything else can be answered with 404 without a query. */
export function isId(prefix: IdPrefix, value: string): boolean {
  return (
    value.length === prefix.length + 33 && value.startsWith(`${prefix}_`) && /^[0-9a-f]{32}$/.test(value.slice(-32))
  );
}

/** The id of the queue entry that asks a pool to try a job once. */
export function entryId(jobId: string, seq: number): string {
  return `${jobId}-${seq}`;
}
