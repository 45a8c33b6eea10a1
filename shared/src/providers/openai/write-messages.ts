/** The canonical conversation as messages of Chat Completions, in the words of one server. */
import type { ChatMessage } from '../../chat/request.ts';
import { textOf } from '../../chat/request.ts';
import type { CallInput } from '../dialect.ts';
import { withoutUnset } from '../post-json.ts';
import type { ToolCallIds } from '../tool-call-ids.ts';
import { toolNameOf } from '../tool-calls.ts';
import { foreignReasoning, ownReasoning, parseDataUri } from '../written-request.ts';
import { rulesOf } from './model-rules.ts';

type Json = Record<string, unknown>;
type Part = Extract<Extract<ChatMessage, { role: 'user' }>['content'], readonly unknown[]>[number];
type Of<Role extends ChatMessage['role']> = Extract<ChatMessage, { role: Role }>;

export function writeMessages(input: CallInput, ids: ToolCallIds, warnings: Set<string>): Json[] {
  for (const warning of foreignReasoning(input.request, input.target)) warnings.add(warning);
  return input.request.messages.map((message) => toMessage(message, input, ids, warnings));
}

function toMessage(message: ChatMessage, input: CallInput, ids: ToolCallIds, warnings: Set<string>): Json {
  if (message.role === 'assistant') return toAssistant(message, input, ids, warnings);
  const content = toContent(message.content, input, warnings);
  if (message.role === 'tool') {
    const name = input.quirks.toolResultNames ? toolNameOf(message.tool_call_id, input.request.messages) : undefined;
    return withoutUnset({ role: 'tool', tool_call_id: ids.toServer(message.tool_call_id), name, content });
  }
  const role = message.role === 'user' ? 'user' : roleOfInstructions(message.role, input);
  return withoutUnset({ role, content, name: toName(message.name, input, warnings) });
}

function roleOfInstructions(role: 'system' | 'developer', { quirks, model }: CallInput): string {
  if (quirks.systemRole !== 'as_is') return quirks.systemRole;
  return quirks.vendorRules === 'openai' && rulesOf(model).isReasoning ? 'developer' : role;
}

function toName(name: string | undefined, { quirks }: CallInput, warnings: Set<string>): string | undefined {
  if (name === undefined || quirks.messageNames) return name;
  warnings.add('dropped "name" of messages: this provider does not take it');
  return undefined;
}

function toAssistant(message: Of<'assistant'>, input: CallInput, ids: ToolCallIds, warnings: Set<string>): Json {
  const { tool_calls: calls, refusal } = message;
  const isOpenai = input.quirks.vendorRules === 'openai';
  const spoken = isOpenai ? message.content : refusalAsText(message);
  const written = withoutUnset({
    role: 'assistant',
    name: toName(message.name, input, warnings),
    refusal: isOpenai ? refusal : undefined,
    tool_calls: calls?.map((call) => ({ ...call, id: ids.toServer(call.id) })),
    ...toReasoning(message, input, warnings),
  });
  // No content is `null` beside a call or a refusal, and refused alone.
  const nothing = written.tool_calls || written.refusal ? null : '';
  return { ...written, content: toContent(spoken, input, warnings) ?? nothing };
}

/** Other servers know no field for a refusal: what was said is what matters to the next turn. */
function refusalAsText({ content, refusal }: Of<'assistant'>): Of<'assistant'>['content'] {
  if (!Array.isArray(content)) return textOf(content) === '' && refusal ? refusal : content;
  return content.map((part) => (part.type === 'refusal' ? { type: 'text' as const, text: part.refusal } : part));
}

function toReasoning(message: Of<'assistant'>, { quirks, target }: CallInput, warnings: Set<string>): Json {
  const own = ownReasoning(message, target);
  if (quirks.reasoningReplay === 'reasoning_details') return own.length > 0 ? { reasoning_details: own } : {};
  if (quirks.reasoningReplay === 'reasoning_content')
    return message.reasoning_content ? { reasoning_content: message.reasoning_content } : {};
  if (own.length > 0) warnings.add('dropped "reasoning_details": this provider does not take it');
  return {};
}

type AnyPart = Part | { readonly type: 'refusal'; readonly refusal: string };

function toContent(
  content: string | readonly AnyPart[] | null | undefined,
  input: CallInput,
  warnings: Set<string>,
): unknown {
  if (content === null || content === undefined || typeof content === 'string') return content ?? null;
  return content.map((part) => {
    if (part.type === 'refusal') return part;
    const { prompt_cache_breakpoint: breakpoint, ...plain } = part;
    const kept = breakpointFor(breakpoint, input, warnings);
    return { ...toPart(plain, input, warnings), ...(kept ? { prompt_cache_breakpoint: kept } : {}) };
  });
}

/** OpenAI keeps a prefix for 30 minutes or 12 hours: the nearer that is not shorter. */
export function breakpointFor(
  breakpoint: Part['prompt_cache_breakpoint'],
  { quirks, model }: CallInput,
  warnings: Set<string>,
): Json | null {
  if (breakpoint === undefined) return null;
  if (quirks.vendorRules !== 'openai' || !rulesOf(model).takesBreakpoints) {
    warnings.add('dropped "prompt_cache_breakpoint": this target does not take it');
    return null;
  }
  const { mode, ttl } = breakpoint;
  if (ttl === undefined) return { mode };
  return { mode, ttl: ttl === '5m' || ttl === '30m' ? '30m' : '12h' };
}

function toPart(part: Part, input: CallInput, warnings: Set<string>): Json {
  const { quirks } = input;
  if (part.type === 'image_url' && part.image_url.detail === 'original' && quirks.vendorRules !== 'openai') {
    warnings.add('image detail "original" sent as high: the nearest that this provider takes');
    return { ...part, image_url: { ...part.image_url, detail: 'high' } };
  }
  if (part.type === 'input_audio' && quirks.audioInput === 'base64')
    return { type: 'input_audio', input_audio: part.input_audio.data };
  return part.type === 'file' && quirks.fileInput === 'document_url' ? toDocument(part.file) : { ...part };
}

/** Mistral takes documents by address, which may be a data URI, and has no part for a file that is text. */
function toDocument({ file_data: uri, filename }: Extract<Part, { type: 'file' }>['file']): Json {
  const parsed = parseDataUri(uri);
  if (parsed?.mediaType.startsWith('text/'))
    return { type: 'text', text: Buffer.from(parsed.data, 'base64').toString('utf8') };
  return withoutUnset({ type: 'document_url', document_url: uri, document_name: filename });
}
