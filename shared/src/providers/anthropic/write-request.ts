/** Canonical request -> Anthropic Messages. */
import { type ChatMessage, type ChatRequest, outputLimitOf, textOf } from '../../chat/request.ts';
import type { CallInput, WriteResult } from '../dialect.ts';

const apiVersion = '2023-06-01';
/** `max_tokens` is mandatory there; what we send when the caller set no bound. */
const defaultMaxTokens = 4_096;

export function writeRequest({ request, model, endpoint, credential, stream }: CallInput): WriteResult {
  const warnings: string[] = [];
  const body: Record<string, unknown> = {
    model,
    max_tokens: outputLimitOf(request) ?? defaultMaxTokens,
    messages: toMessages(request.messages),
    ...(stream ? { stream: true } : {}),
  };
  const system = request.messages
    .filter((message) => message.role === 'system' || message.role === 'developer')
    .map((message) => textOf(message.content));
  if (system.length > 0) body.system = system.join('\n\n');
  const stop = typeof request.stop === 'string' ? [request.stop] : request.stop;
  if (stop) body.stop_sequences = stop;
  addSampling(body, request, model, warnings);
  addTools(body, request);
  if (request.response_format?.type === 'json_schema') {
    body.output_config = { format: { type: 'json_schema', schema: request.response_format.json_schema.schema } };
  }
  const user = request.safety_identifier ?? request.user;
  if (user) body.metadata = { user_id: user };
  for (const field of [
    'seed',
    'logit_bias',
    'frequency_penalty',
    'presence_penalty',
    'verbosity',
    'prompt_cache_key',
    'metadata',
    'store',
    'reasoning_effort',
  ] as const) {
    if (request[field] !== undefined && request[field] !== null)
      warnings.push(`dropped "${field}": Anthropic has no equivalent`);
  }
  return {
    kind: 'request',
    http: {
      url: `${endpoint}/messages`,
      headers: {
        'content-type': 'application/json',
        'anthropic-version': apiVersion,
        ...(credential ? { 'x-api-key': credential.reveal() } : {}),
      },
      body: JSON.stringify(body),
      warnings,
    },
  };
}

/** Models after generation 4.6 refuse sampling parameters; sending one would fail the whole call. */
export function acceptsSampling(model: string): boolean {
  const version = /claude-(?:opus|sonnet|haiku|fable)-(\d+)(?:-(\d{1,2}))?(?:-|$)/.exec(model);
  if (!version?.[1]) return /claude-(?:instant|2|3)/.test(model);
  const generation = Number(version[1]) + Number(version[2] ?? 0) / 100;
  return generation <= 4.06;
}

function addSampling(body: Record<string, unknown>, request: ChatRequest, model: string, warnings: string[]): void {
  const takes = acceptsSampling(model);
  if (typeof request.temperature === 'number') {
    // The canonical scale ends at 2, theirs at 1.
    if (takes) body.temperature = Math.min(1, request.temperature);
    else warnings.push('dropped "temperature": this model does not take it');
  }
  if (typeof request.top_p === 'number') {
    // Claude 4.5 and 4.6 refuse the two together; temperature is the one callers mean.
    if (takes && typeof request.temperature !== 'number') body.top_p = request.top_p;
    else warnings.push('dropped "top_p": this model does not take it here');
  }
}

function addTools(body: Record<string, unknown>, request: ChatRequest): void {
  if (!request.tools || request.tools.length === 0) return;
  body.tools = request.tools.map(({ function: fn }) => ({
    name: fn.name,
    ...(fn.description === undefined ? {} : { description: fn.description }),
    input_schema: fn.parameters ?? { type: 'object', properties: {} },
    ...(fn.strict ? { strict: true } : {}),
  }));
  const choice = request.tool_choice ?? 'auto';
  const once = request.parallel_tool_calls === false ? { disable_parallel_tool_use: true } : {};
  if (choice === 'none') body.tool_choice = { type: 'none' };
  else if (choice === 'auto') body.tool_choice = { type: 'auto', ...once };
  else if (choice === 'required') body.tool_choice = { type: 'any', ...once };
  else body.tool_choice = { type: 'tool', name: choice.function.name, ...once };
}

type Block = Record<string, unknown>;

/** Tool results of one turn go together into one user message, before any text of it. */
function toMessages(messages: readonly ChatMessage[]): { role: 'user' | 'assistant'; content: Block[] }[] {
  const out: { role: 'user' | 'assistant'; content: Block[] }[] = [];
  for (const message of messages) {
    if (message.role === 'system' || message.role === 'developer') continue;
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const content = toBlocks(message);
    if (content.length === 0) continue;
    const last = out.at(-1);
    if (last?.role === role) last.content.push(...content);
    else out.push({ role, content });
  }
  return out;
}

function toBlocks(message: ChatMessage): Block[] {
  if (message.role === 'tool')
    return [{ type: 'tool_result', tool_use_id: message.tool_call_id, content: textOf(message.content) }];
  if (message.role === 'assistant') {
    const text = textOf(message.content);
    return [
      ...(text === '' ? [] : [{ type: 'text', text }]),
      ...(message.tool_calls ?? []).map((call) => ({
        type: 'tool_use',
        id: call.id,
        name: call.function.name,
        input: parseArguments(call.function.arguments),
      })),
    ];
  }
  if (typeof message.content === 'string')
    return message.content === '' ? [] : [{ type: 'text', text: message.content }];
  return (message.content ?? []).flatMap((part): Block[] => {
    if (part.type === 'image_url') return [{ type: 'image', source: toImageSource(part.image_url.url) }];
    return part.text === '' ? [] : [{ type: 'text', text: part.text }];
  });
}

function toImageSource(url: string): Block {
  const data = /^data:([^;,]+);base64,(.+)$/s.exec(url);
  return data ? { type: 'base64', media_type: data[1], data: data[2] } : { type: 'url', url };
}

/** A model may have written broken JSON; the turn is worth more than its arguments. */
export function parseArguments(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { value };
  } catch {
    return { raw: text };
  }
}
