/** Pieces of an answer, joined to as few deltas as say the same: a provider may send one per token. */
import type { StreamDelta } from '@waybill/shared/coordination/stream-events.ts';
import type { StreamPiece } from '@waybill/shared/providers/dialect.ts';

/** @param callsBefore how many tool calls of the answer earlier attempts have delivered */
export function toDelta(piece: StreamPiece, callsBefore: number): StreamDelta {
  if (piece.kind !== 'tool_call') return { type: 'delta', kind: piece.kind, text: piece.text };
  const { index, id, name, arguments: args } = piece;
  return { type: 'delta', kind: 'tool_call', index: index + callsBefore, id, name, arguments: args };
}

/** Both in one; null where they are of different things. */
export function join(last: StreamDelta, next: StreamDelta): StreamDelta | null {
  if (last.kind === 'tool_call') {
    if (next.kind !== 'tool_call' || next.index !== last.index) return null;
    return {
      ...last,
      id: last.id ?? next.id,
      name: last.name ?? next.name,
      arguments: last.arguments + next.arguments,
    };
  }
  return next.kind === last.kind ? { ...last, text: last.text + next.text } : null;
}

export const isEmptyDelta = (delta: StreamDelta): boolean =>
  delta.kind === 'tool_call' ? delta.id === null && delta.name === null && delta.arguments === '' : delta.text === '';

export const lengthOf = (delta: StreamDelta): number =>
  delta.kind === 'tool_call' ? delta.arguments.length : delta.text.length;
