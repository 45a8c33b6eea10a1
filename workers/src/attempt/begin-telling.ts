/** How an attempt begins to tell: from what readers have been told already, and what the attempt goes on from. */
import type { StreamDelta, StreamEvent } from '@waybill/shared/coordination/stream-events.ts';
import { createTold } from '@waybill/shared/coordination/told.ts';

/** What earlier attempts delivered of the answer, as deltas. */
export interface GoesOnFrom {
  readonly text: string;
  readonly deltas: readonly StreamDelta[];
  readonly toolCalls: number;
}

export interface Beginning {
  readonly attempt: number;
  readonly target: string;
  /** null: the answer begins anew. */
  readonly goesOnFrom: GoesOnFrom | null;
  /** Why the attempt before it ended; null: there was none. */
  readonly because: string | null;
}

/** Readers are never left with text that the answer does not have. */
export function beginTelling(told: readonly (StreamEvent | null)[], beginning: Beginning): StreamEvent[] {
  const { attempt, target, goesOnFrom, because } = beginning;
  const soFar = createTold();
  for (const event of told) if (event !== null) soFar.add(event);
  const anew: StreamEvent = soFar.isEmpty
    ? { type: 'started', attempt, target }
    : { type: 'restarted', attempt, target, because: because ?? 'unknown' };
  if (goesOnFrom === null) return [anew];
  const rest = soFar.toolCalls === goesOnFrom.toolCalls ? soFar.rest('text', goesOnFrom.text) : null;
  // Nothing was told of what it goes on from: that comes first.
  if (soFar.isEmpty || rest === null) return [anew, ...goesOnFrom.deltas];
  const resumed: StreamEvent = { type: 'resumed', attempt, target };
  return rest === '' ? [resumed] : [resumed, { type: 'delta', kind: 'text', text: rest }];
}
