/**
 * What the reader of a streamed job is told, from the worker's first word to the job's end.
 *
 * `started` and `restarted` begin an answer: what was told before is void. `resumed` goes on from it. `gap` says that
 * pieces are missing: what was told is void too, and the next piece is from the beginning of an answer again.
 */
import { z } from 'zod';

const begin = { attempt: z.int().positive(), target: z.string() };

const deltaSchema = z.discriminatedUnion('kind', [
  z.object({ type: z.literal('delta'), kind: z.enum(['text', 'reasoning', 'refusal']), text: z.string() }),
  z.object({
    type: z.literal('delta'),
    kind: z.literal('tool_call'),
    /** The position of the call in the answer. */
    index: z.int().nonnegative(),
    /** `id` and `name` come with the first piece of a call. */
    id: z.string().nullable(),
    name: z.string().nullable(),
    arguments: z.string(),
  }),
]);

/** What a worker tells, and the chunk store holds. */
export const streamEventSchema = z.union([
  z.object({ type: z.literal('started'), ...begin }),
  /** @property because the kind of the failure, or the status, of the attempt that broke */
  z.object({ type: z.literal('restarted'), ...begin, because: z.string() }),
  z.object({ type: z.literal('resumed'), ...begin }),
  deltaSchema,
]);
export type StreamEvent = z.infer<typeof streamEventSchema>;
export type StreamDelta = z.infer<typeof deltaSchema>;

/** What the API adds for its readers: numbered events come from the store, these from the job itself. */
export type ReaderEvent =
  | StreamEvent
  | { readonly type: 'gap' }
  | {
      readonly type: 'done';
      readonly status: string;
      readonly finish_reason: string | null;
      /** In the names of the Chat Completions API; null: unknown. */
      readonly usage: unknown;
      readonly error: { readonly kind: string; readonly message: string | null } | null;
    };

/** null: an event of a version that this one does not know. */
export function parseStreamEvent(text: string): StreamEvent | null {
  try {
    return streamEventSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
