/**
 * An entry: the BullMQ job that asks a pool to try a job once. Ids and numbers only; a queue is read by operators,
 * copied into backups and printed by Bull Board.
 *
 * `z.object`, not strict: a queue outlives a deploy, and yesterday's producer may have written it.
 */
import { z } from 'zod';

export const entrySchema = z.object({
  job: z.string(),
  seq: z.int(),
  target: z.string(),
  tenant: z.string(),
  chain: z.string().nullable(),
  /** Estimated tokens, input and output. */
  estimate: z.int(),
  /** The part of them that is output. */
  output: z.int().default(0),
  /** The number the next attempt will have. */
  attempt: z.int(),
  /** Why this entry exists: `submitted`, `backoff`, `rate_limit`, `fallback`, `recovery` … */
  reason: z.string(),
  traceparent: z.string().nullable(),
});
export type Entry = z.infer<typeof entrySchema>;

export const deliveryEntrySchema = z.object({
  delivery: z.string(),
  seq: z.int(),
  tenant: z.string(),
  event: z.string(),
  job: z.string(),
  traceparent: z.string().nullable(),
});
export type DeliveryEntry = z.infer<typeof deliveryEntrySchema>;
