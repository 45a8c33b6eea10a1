/**
 * What earlier attempts of a run have delivered of an answer that is not whole yet.
 *
 * An attempt is one request, and some answers take several: a list of inputs longer than a provider takes, an answer the
 * provider stopped in the middle, a stream that broke. It stands with the job's payload, never in the queue.
 */
import { addUsage, type Usage, usageSchema } from '@waybill/shared/domain/usage.ts';
import { z } from 'zod';

const usage = usageSchema.nullable();
const toolCall = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

const carriedSchema = z.discriminatedUnion('kind', [
  /** The provider stopped in the middle, and goes on when it is given `state`. */
  z.object({
    kind: z.literal('continuation'),
    target: z.string(),
    state: z.unknown(),
    text: z.string(),
    reasoning: z.string(),
    reasoningDetails: z.array(z.unknown()),
    toolCalls: z.array(toolCall),
    usage,
    rounds: z.int(),
  }),
  /** A stream broke, and the chain says to go on from its text. */
  z.object({ kind: z.literal('text'), text: z.string(), usage, rounds: z.int() }),
  /** Vectors of the first inputs. Those of another model would mean something else. */
  z.object({
    kind: z.literal('vectors'),
    target: z.string(),
    model: z.string().nullable(),
    vectors: z.array(z.array(z.number())),
    usage,
  }),
]);
export type Carried = z.infer<typeof carriedSchema>;

/** No answer is put together from more requests than this. */
export const mostRounds = 32;

/** null: nothing is carried, or a version wrote it that this one does not understand; the answer begins anew. */
export function parseCarried(text: string | null): Carried | null {
  if (text === null) return null;
  try {
    return carriedSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** A text can be gone on from anywhere; the rest only where it began. */
export const fits = (carried: Carried, target: string): boolean => carried.kind === 'text' || carried.target === target;

/** The usage of all requests together; unknown when one of them is. */
export const totalUsage = (a: Usage | null, b: Usage | null): Usage | null =>
  a === null || b === null ? null : addUsage(a, b);
