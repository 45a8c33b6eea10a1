/**
 * What of an answer has been told, as lengths and digests: enough to know what is left of the whole, or that what was
 * told is not its beginning, without keeping the text of every reader.
 */
import { createHash, type Hash } from 'node:crypto';
import type { StreamEvent } from './stream-events.ts';

export interface Told {
  add(event: StreamEvent): void;
  clear(): void;
  readonly isEmpty: boolean;
  readonly toolCalls: number;
  /** What is left of the whole to tell. null: what was told is not its beginning. */
  rest(part: string, whole: string): string | null;
}

export const partOfCall = (index: number): string => `tool_call ${index}`;

export function createTold(): Told {
  const parts = new Map<string, { length: number; hash: Hash }>();
  const add = (part: string, text: string) => {
    const known = parts.get(part) ?? { length: 0, hash: createHash('sha256') };
    parts.set(part, known);
    known.length += text.length;
    // Code units: half of a surrogate pair may end a piece.
    known.hash.update(text, 'utf16le');
  };
  return {
    add(event) {
      if (event.type === 'started' || event.type === 'restarted') parts.clear();
      if (event.type !== 'delta') return;
      if (event.kind === 'tool_call') add(partOfCall(event.index), event.arguments);
      else add(event.kind, event.text);
    },
    clear: () => parts.clear(),
    get isEmpty() {
      return parts.size === 0;
    },
    get toolCalls() {
      return [...parts.keys()].filter((part) => part.startsWith('tool_call ')).length;
    },
    rest(part, whole) {
      const known = parts.get(part);
      if (known === undefined) return whole;
      if (whole.length < known.length) return null;
      const begin = createHash('sha256').update(whole.slice(0, known.length), 'utf16le').digest('hex');
      return begin === known.hash.copy().digest('hex') ? whole.slice(known.length) : null;
    },
  };
}
