/**
 * Canonical request -> Ollama's native chat.
 *
 * Native, because its OpenAI surface ignores `max_completion_tokens` and `tool_choice`. `truncate` and `shift` are
 * off: by default a prompt that does not fit is cut from the front without a word. How long a model stays loaded is
 * its server's to say.
 */
import { type ChatMessage, type ChatRequest, outputLimitOf, textOf } from '../../chat/request.ts';
import type { CallInput, HttpWritten, Unsupported } from '../dialect.ts';
import { type Effort, effortFor } from '../efforts.ts';
import { bearer, postJson } from '../post-json.ts';
import type { Quirks } from '../quirks.ts';
import { parseArguments, toolNameOf } from '../tool-calls.ts';
import {
  allowedTools,
  droppedFields,
  droppedFromMessages,
  foreignReasoning,
  parseDataUri,
  spokenText,
  stopTexts,
  toolUse,
  withoutDropped,
} from '../written-request.ts';

const unknownFields = ['logit_bias', 'verbosity', 'prompt_cache_key', 'metadata', 'store', 'user', 'safety_identifier'];

export function writeRequest(input: CallInput): HttpWritten | Unsupported {
  const { model, endpoint, credential, quirks, stream, target } = input;
  const { request, warnings: dropped } = withoutDropped(input);
  const feature = unsupportedFeature(request, quirks);
  if (feature !== null) return { kind: 'unsupported', feature };
  const { effort, warnings: efforts } = effortFor(request.reasoning_effort, quirks);
  const body = {
    model,
    messages: request.messages.map((message) => toMessage(message, request.messages)),
    stream,
    truncate: false,
    shift: false,
    ...writeTools(request),
    ...formatOf(request.response_format),
    ...thinkOf(effort),
    ...logprobsOf(request),
    options: optionsOf(request, input.contextWindow),
  };
  return postJson(`${endpoint}/api/chat`, bearer(credential), body, [
    ...dropped,
    ...droppedFields(request, unknownFields, 'Ollama'),
    // It keeps prefixes by itself, so that a mark for its cache is no loss.
    ...droppedFromMessages(request, ['name', 'detail'], 'Ollama'),
    ...(request.parallel_tool_calls === false ? ['dropped "parallel_tool_calls": Ollama has no equivalent'] : []),
    ...efforts,
    ...foreignReasoning(request, target),
  ]);
}

function unsupportedFeature(request: ChatRequest, { imageInput }: Quirks): string | null {
  if ((request.n ?? 1) > 1) return 'several choices';
  const use = toolUse(request).kind;
  if (use === 'required' || use === 'named') return 'forced tool use';
  for (const { content } of request.messages) {
    for (const part of Array.isArray(content) ? content : []) {
      if (part.type === 'input_audio') return 'audio input';
      if (part.type === 'file') return 'files';
      if (part.type !== 'image_url') continue;
      if (imageInput === 'none') return 'images';
      if (!part.image_url.url.startsWith('data:')) return 'images by address';
      if (parseDataUri(part.image_url.url) === null) return 'images that are not base64';
    }
  }
  return null;
}

/** @param contextWindow the same for every call of a model: another one loads the model anew */
const optionsOf = (request: ChatRequest, contextWindow: number | null) => ({
  num_ctx: contextWindow ?? undefined,
  num_predict: outputLimitOf(request) ?? undefined,
  temperature: request.temperature ?? undefined,
  top_p: request.top_p ?? undefined,
  seed: request.seed ?? undefined,
  stop: stopTexts(request),
  frequency_penalty: request.frequency_penalty ?? undefined,
  presence_penalty: request.presence_penalty ?? undefined,
});

function writeTools(request: ChatRequest) {
  const tools = toolUse(request).kind === 'none' ? [] : allowedTools(request);
  if (tools.length === 0) return {};
  return {
    tools: tools.map(({ function: { strict: _strict, parameters, ...fn } }) => ({
      type: 'function',
      function: { ...fn, parameters: { type: 'object', ...(parameters ?? { properties: {} }) } },
    })),
  };
}

function formatOf(format: ChatRequest['response_format']) {
  if (format?.type === 'json_schema') return { format: format.json_schema.schema };
  return format?.type === 'json_object' ? { format: 'json' } : {};
}

function thinkOf(effort: Effort | null) {
  if (effort === null) return {};
  if (effort === 'none') return { think: false };
  return { think: effort === 'minimal' ? 'low' : effort === 'xhigh' ? 'max' : effort };
}

function logprobsOf({ logprobs, top_logprobs: top }: ChatRequest) {
  if (!logprobs) return {};
  return { logprobs: true, ...(typeof top === 'number' ? { top_logprobs: top } : {}) };
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
    return { role: 'assistant', content: spokenText(message), ...(calls ? { tool_calls: calls } : {}) };
  }
  if (message.role !== 'user') return { role: 'system', content };
  const images = Array.isArray(message.content)
    ? message.content.flatMap((part) =>
        part.type === 'image_url' ? [parseDataUri(part.image_url.url)?.data ?? ''] : [],
      )
    : [];
  return { role: 'user', content, ...(images.length > 0 ? { images } : {}) };
}
