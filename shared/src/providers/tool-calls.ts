/** Tool calls in the words of providers that keep arguments as objects, or match results by name. */
import type { ChatMessage } from '../chat/request.ts';

/** A model may have written broken JSON; the turn is worth more than its arguments. */
export function parseArguments(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : { value };
  } catch {
    return { raw: text };
  }
}

/** The canonical form gives a result the id of its call alone; some providers want the name. The id when no call has it. */
export function toolNameOf(id: string, messages: readonly ChatMessage[]): string {
  for (const message of messages) {
    const call = message.role === 'assistant' ? message.tool_calls?.find((each) => each.id === id) : undefined;
    if (call) return call.function.name;
  }
  return id;
}
