/**
 * Ids of tool calls, as a server takes them.
 *
 * A conversation moves between targets, and an id that one of them made may be refused by the next. Such an id gets a
 * substitute: the same one every time, so that the server's prompt cache still matches, and it is named back in the answer.
 */
import { createHash } from 'node:crypto';
import type { ChatRequest } from '../chat/request.ts';

export interface ToolCallIds {
  toServer(id: string): string;
  toCaller(id: string): string;
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Nine letters or digits: what the strictest server takes. */
function substituteFor(id: string, round: number): string {
  const digest = createHash('sha256').update(`${round}:${id}`).digest();
  return [...digest.subarray(0, 9)].map((byte) => alphabet.charAt(byte % alphabet.length)).join('');
}

/** @param isTaken whether the server takes an id as it is */
export function toolCallIds({ messages }: ChatRequest, isTaken: (id: string) => boolean): ToolCallIds {
  const ids = new Set(
    messages.flatMap((message) => {
      if (message.role === 'tool') return [message.tool_call_id];
      return message.role === 'assistant' ? (message.tool_calls ?? []).map((call) => call.id) : [];
    }),
  );
  const used = new Set([...ids].filter(isTaken));
  const substitutes = new Map<string, string>();
  for (const id of ids) {
    if (used.has(id)) continue;
    let round = 0;
    while (used.has(substituteFor(id, round))) round += 1;
    substitutes.set(id, substituteFor(id, round));
    used.add(substituteFor(id, round));
  }
  const originals = new Map([...substitutes].map(([id, substitute]) => [substitute, id]));
  return {
    toServer: (id) => substitutes.get(id) ?? id,
    toCaller: (id) => originals.get(id) ?? id,
  };
}

/** @see https://docs.mistral.ai/capabilities/function_calling */
export const isNineAlphanumeric = (id: string): boolean => /^[A-Za-z0-9]{9}$/.test(id);
