/** Canonical messages -> Cohere's: instructions are `system`, a tool's result keeps its id, reasoning goes home. */
import { type ChatMessage, type ChatRequest, textOf } from '../../chat/request.ts';
import { asRecord, asText } from '../provider-json.ts';
import type { ToolNames } from '../tool-names.ts';
import { ownReasoning, spokenText } from '../written-request.ts';

type Json = Record<string, unknown>;
type Of<Role extends ChatMessage['role']> = Extract<ChatMessage, { role: Role }>;

/** Turns that say nothing are left out: Cohere refuses a message without a token. */
export function toMessages({ messages }: ChatRequest, target: string, names: ToolNames): Json[] {
  return messages.flatMap((message): Json[] => {
    if (message.role === 'assistant') return toAssistant(message, target, names);
    if (message.role === 'tool')
      return [{ role: 'tool', tool_call_id: message.tool_call_id, content: textOf(message.content) }];
    const content = message.role === 'user' ? toUserContent(message.content) : textOf(message.content);
    if (content.length === 0) return [];
    return [{ role: message.role === 'user' ? 'user' : 'system', content }];
  });
}

function toUserContent(content: Of<'user'>['content']): string | Json[] {
  if (typeof content === 'string') return content;
  return content.flatMap((part): Json[] => {
    if (part.type === 'text') return part.text === '' ? [] : [{ type: 'text', text: part.text }];
    if (part.type !== 'image_url') return []; // Files and audio are refused before anything is written.
    const { url, detail } = part.image_url;
    // Their finest is `high`.
    return [{ type: 'image_url', image_url: { url, detail: detail === 'original' ? 'high' : detail } }];
  });
}

function toAssistant(message: Of<'assistant'>, target: string, names: ToolNames): Json[] {
  const own = ownReasoning(message, target).map(asRecord);
  const thinking = own
    .filter((part) => part.type === 'thinking')
    .map((part) => ({ type: 'thinking', thinking: asText(part.thinking) }));
  const plan = own.map((part) => (part.type === 'tool_plan' ? asText(part.tool_plan) : '')).join('');
  const text = spokenText(message);
  const calls = (message.tool_calls ?? []).map(({ id, function: fn }) => ({
    id,
    type: 'function',
    function: { name: names.toTheirs(fn.name), arguments: fn.arguments },
  }));
  if (text === '' && calls.length === 0) return [];
  const content = thinking.length === 0 ? text : [...thinking, ...(text === '' ? [] : [{ type: 'text', text }])];
  return [
    {
      role: 'assistant',
      ...(content.length === 0 ? {} : { content }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
      ...(calls.length === 0 || plan === '' ? {} : { tool_plan: plan }),
    },
  ];
}
