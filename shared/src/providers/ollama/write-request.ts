/**
 * Canonical request -> Ollama's native chat.
 *
 * Native, because its OpenAI surface ignores `max_completion_tokens` and `tool_choice`. `truncate` and `shift` are
 * off: by default a prompt that does not fit is cut from the front without a word.
 */
import { type ChatMessage, outputLimitOf, textOf } from '../../chat/request.ts';
import { parseArguments } from '../anthropic/write-request.ts';
import type { CallInput, WriteResult } from '../dialect.ts';

export function writeRequest({ request, model, endpoint, credential, stream }: CallInput): WriteResult {
  const remoteImage = request.messages.some(
    (message) =>
      Array.isArray(message.content) &&
      message.content.some((part) => part.type === 'image_url' && !part.image_url.url.startsWith('data:')),
  );
  if (remoteImage) return { kind: 'unsupported', feature: 'images by address' };
  const options = {
    num_predict: outputLimitOf(request) ?? undefined,
    temperature: request.temperature ?? undefined,
    top_p: request.top_p ?? undefined,
    seed: request.seed ?? undefined,
    stop: typeof request.stop === 'string' ? [request.stop] : (request.stop ?? undefined),
    frequency_penalty: request.frequency_penalty ?? undefined,
    presence_penalty: request.presence_penalty ?? undefined,
  };
  const body = {
    model,
    messages: request.messages.map((message) => toMessage(message, request.messages)),
    stream,
    truncate: false,
    shift: false,
    ...(request.tools && request.tools.length > 0 && request.tool_choice !== 'none' ? { tools: request.tools } : {}),
    ...formatOf(request.response_format),
    ...thinkOf(request.reasoning_effort),
    options,
  };
  const warnings = (
    [
      'logit_bias',
      'verbosity',
      'prompt_cache_key',
      'metadata',
      'store',
      'user',
      'safety_identifier',
      'parallel_tool_calls',
    ] as const
  )
    .filter((field) => request[field] !== undefined && request[field] !== null)
    .map((field) => `dropped "${field}": Ollama has no equivalent`);
  return {
    kind: 'request',
    http: {
      url: `${endpoint}/api/chat`,
      headers: {
        'content-type': 'application/json',
        ...(credential ? { authorization: `Bearer ${credential.reveal()}` } : {}),
      },
      body: JSON.stringify(body),
      warnings,
    },
  };
}

function formatOf(format: CallInput['request']['response_format']) {
  if (format?.type === 'json_schema') return { format: format.json_schema.schema };
  return format?.type === 'json_object' ? { format: 'json' } : {};
}

function thinkOf(effort: CallInput['request']['reasoning_effort']) {
  if (!effort) return {};
  if (effort === 'none') return { think: false };
  return { think: effort === 'minimal' ? 'low' : effort === 'xhigh' ? 'max' : effort };
}

function toMessage(message: ChatMessage, all: readonly ChatMessage[]) {
  const content = textOf(message.content);
  if (message.role === 'tool')
    return {
      role: 'tool',
      content,
      tool_name: toolNameOf(message.tool_call_id, all),
      tool_call_id: message.tool_call_id,
    };
  if (message.role === 'assistant') {
    const calls = message.tool_calls?.map((call) => ({
      id: call.id,
      function: { name: call.function.name, arguments: parseArguments(call.function.arguments) },
    }));
    return { role: 'assistant', content, ...(calls ? { tool_calls: calls } : {}) };
  }
  if (message.role !== 'user') return { role: 'system', content };
  const images = Array.isArray(message.content)
    ? message.content.flatMap((part) =>
        part.type === 'image_url' ? [part.image_url.url.replace(/^data:[^,]*,/, '')] : [],
      )
    : [];
  return { role: 'user', content, ...(images.length > 0 ? { images } : {}) };
}

/** Ollama matches a result to its call by name; the canonical form has only the id. */
function toolNameOf(id: string, all: readonly ChatMessage[]): string {
  for (const message of all) {
    const call = message.role === 'assistant' ? message.tool_calls?.find((each) => each.id === id) : undefined;
    if (call) return call.function.name;
  }
  return id;
}
