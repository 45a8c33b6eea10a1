/** Pieces of a request that several dialects write alike. */
import type { ChatMessage, ChatRequest } from '../chat/request.ts';
import type { CallInput } from './dialect.ts';

/** One warning for each hint that a request gives and a provider has no word for. */
export const droppedFields = (request: object, fields: readonly string[], provider: string): string[] =>
  fields
    .filter((field) => {
      const value: unknown = (request as Record<string, unknown>)[field];
      return value !== undefined && value !== null;
    })
    .map((field) => `dropped "${field}": ${provider} has no equivalent`);

/** Hints that stand in messages and their parts; `auto` is no wish for a detail. */
const messageHints = {
  name: (message: ChatMessage) => 'name' in message && message.name !== undefined,
  prompt_cache_breakpoint: ({ content }: ChatMessage) =>
    Array.isArray(content) &&
    content.some((part) => 'prompt_cache_breakpoint' in part && part.prompt_cache_breakpoint !== undefined),
  detail: ({ content }: ChatMessage) =>
    Array.isArray(content) &&
    content.some((part) => part.type === 'image_url' && (part.image_url.detail ?? 'auto') !== 'auto'),
} as const;

/** One warning for each of them that a provider has no word for. */
export const droppedFromMessages = (
  { messages }: ChatRequest,
  hints: readonly (keyof typeof messageHints)[],
  provider: string,
): string[] =>
  hints
    .filter((hint) => messages.some(messageHints[hint]))
    .map((hint) => `dropped "${hint}" of messages: ${provider} has no equivalent`);

/**
 * The request without what a server is known to refuse, and a warning for each field that was set.
 * @see Quirks.drop
 */
export function withoutDropped({ request, quirks }: Pick<CallInput, 'request' | 'quirks'>): {
  readonly request: ChatRequest;
  readonly warnings: readonly string[];
} {
  const fields = quirks.drop.filter((field) => field !== 'model' && field !== 'messages');
  return withoutFields(request, fields, 'this provider does not take it');
}

export function withoutFields(
  request: ChatRequest,
  fields: readonly string[],
  reason: string,
): { readonly request: ChatRequest; readonly warnings: readonly string[] } {
  const kept: Record<string, unknown> = { ...request };
  const warnings: string[] = [];
  for (const field of fields) {
    const value = kept[field];
    delete kept[field];
    // `false` asks for what is so without the field, but for calls in parallel.
    const isUnset = value === undefined || value === null || (value === false && field !== 'parallel_tool_calls');
    if (!isUnset) warnings.push(`dropped "${field}": ${reason}`);
  }
  return { request: kept as ChatRequest, warnings };
}

/** What a turn of the model's said. A refusal was said too, whichever field holds it. */
export function spokenText({ content, refusal }: Extract<ChatMessage, { role: 'assistant' }>): string {
  const parts = Array.isArray(content) ? content : [{ type: 'text' as const, text: content ?? '' }];
  const text = parts.map((part) => (part.type === 'text' ? part.text : part.refusal)).join('');
  return text === '' ? (refusal ?? '') : text;
}

/** `data:image/png;base64,…` taken apart; null for an address. */
export function parseDataUri(uri: string): { readonly mediaType: string; readonly data: string } | null {
  const comma = uri.indexOf(',');
  if (!uri.startsWith('data:') || comma < 0) return null;
  const [mediaType = '', ...parameters] = uri.slice('data:'.length, comma).split(';');
  return parameters.includes('base64') ? { mediaType, data: uri.slice(comma + 1) } : null;
}

/** The parts of a turn's reasoning that this target made. Those of others are refused by it, or mean nothing there. */
export function ownReasoning(message: ChatMessage, target: string): readonly unknown[] {
  if (message.role !== 'assistant') return [];
  return (message.reasoning_details ?? []).filter(({ origin }) => origin === target).map(({ part }) => part);
}

/** A warning when the conversation holds reasoning of another target. */
export function foreignReasoning({ messages }: ChatRequest, target: string): string[] {
  const isForeign = messages.some(
    (message) =>
      message.role === 'assistant' && (message.reasoning_details ?? []).some(({ origin }) => origin !== target),
  );
  return isForeign ? ['dropped reasoning of another target: it is bound to the endpoint that made it'] : [];
}

/** The tools the model may call: `allowed_tools` narrows them. */
export function allowedTools(request: ChatRequest): NonNullable<ChatRequest['tools']> {
  const { tools = [], tool_choice: choice } = request;
  if (typeof choice !== 'object' || choice.type !== 'allowed_tools') return tools;
  const names = new Set(choice.allowed_tools.tools.map((each) => each.function.name));
  return tools.filter((each) => names.has(each.function.name));
}

/** How the model may use them, whichever way the request said it. */
export type ToolUse =
  | { readonly kind: 'none' | 'auto' | 'required' }
  | { readonly kind: 'named'; readonly name: string };

export function toolUse({ tool_choice: choice = 'auto' }: ChatRequest): ToolUse {
  if (typeof choice === 'string') return { kind: choice };
  return choice.type === 'function'
    ? { kind: 'named', name: choice.function.name }
    : { kind: choice.allowed_tools.mode };
}

/** The stop texts as a list; undefined when there are none. */
export const stopTexts = ({ stop }: ChatRequest): string[] | undefined =>
  typeof stop === 'string' ? [stop] : (stop ?? undefined);
