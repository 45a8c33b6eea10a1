/** The canonical conversation as the `input` items of the Responses surface. */
import { type ChatMessage, textOf } from '../../../chat/request.ts';
import type { CallInput } from '../../dialect.ts';
import { withoutUnset } from '../../post-json.ts';
import { asRecord } from '../../provider-json.ts';
import type { ToolCallIds } from '../../tool-call-ids.ts';
import { foreignReasoning, ownReasoning, parseDataUri } from '../../written-request.ts';
import { breakpointFor } from '../write-messages.ts';
import type { ReasoningPart } from './reasoning-part.ts';

type Json = Record<string, unknown>;
type Assistant = Extract<ChatMessage, { role: 'assistant' }>;
type Part = Extract<Extract<ChatMessage, { role: 'user' }>['content'], readonly unknown[]>[number];

export function writeInput(input: CallInput, ids: ToolCallIds, warnings: Set<string>): Json[] {
  const { request, target } = input;
  for (const warning of foreignReasoning(request, target)) warnings.add(warning);
  return request.messages.flatMap((message): Json[] => {
    if (message.role === 'tool') {
      const output = textOf(message.content);
      return [{ type: 'function_call_output', call_id: ids.toServer(message.tool_call_id), output }];
    }
    if (message.name !== undefined) warnings.add('dropped "name" of messages: this model does not take it');
    if (message.role === 'assistant') return toTurn(message, input, ids);
    const role = message.role === 'user' ? 'user' : 'developer';
    const { content } = message;
    const parts: readonly Part[] = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
    return [{ type: 'message', role, content: parts.map((part) => toPart(part, input, warnings)) }];
  });
}

function toPart(part: Part, input: CallInput, warnings: Set<string>): Json {
  const mark = { prompt_cache_breakpoint: breakpointFor(part.prompt_cache_breakpoint, input, warnings) };
  return withoutUnset({ ...withoutMark(part), ...mark });
}

function withoutMark(part: Part): Json {
  switch (part.type) {
    case 'text':
      return { type: 'input_text', text: part.text };
    case 'image_url':
      return { type: 'input_image', image_url: part.image_url.url, detail: part.image_url.detail ?? 'auto' };
    case 'file':
      return {
        type: 'input_file',
        filename: part.file.filename ?? nameOf(part.file.file_data),
        file_data: part.file.file_data,
      };
    case 'input_audio':
      // Refused before anything is written.
      return {};
  }
}

/** A file without a name is refused there. */
const nameOf = (uri: string): string =>
  parseDataUri(uri)?.mediaType === 'application/pdf' ? 'document.pdf' : 'document.txt';

/**
 * What the model said, called and thought, each an item. A reasoning item stands right before what it led to; one
 * whose item is gone is refused, so that it goes too.
 */
function toTurn(message: Assistant, { target }: CallInput, ids: ToolCallIds): Json[] {
  const thoughts = ownReasoning(message, target).map((part) => asRecord(part) as Partial<ReasoningPart>);
  const before = (call: string | null) =>
    thoughts.filter((each) => (each.before ?? null) === call).map((each) => asRecord(each.item));
  const said = spokenText(message);
  return [
    ...(said === '' ? [] : [...before(null), { type: 'message', role: 'assistant', content: said }]),
    ...(message.tool_calls ?? []).flatMap((call) => [
      ...before(call.id),
      {
        type: 'function_call',
        call_id: ids.toServer(call.id),
        name: call.function.name,
        arguments: call.function.arguments,
      },
    ]),
  ];
}

/** One text: parts of an answer are taken back only with the id they had, which is gone. */
function spokenText({ content, refusal }: Assistant): string {
  const parts = Array.isArray(content) ? content : [{ type: 'text' as const, text: content ?? '' }];
  const said = parts.map((part) => (part.type === 'refusal' ? part.refusal : part.text));
  return [...said, refusal ?? ''].filter((text) => text !== '').join('\n');
}
