/**
 * Canonical request -> Chat Completions, for OpenAI and for every server that speaks it.
 *
 * Nearly the identity; how a server differs is data (`quirks`), and what OpenAI's own models refuse is in `model-rules`.
 */
import { type ChatRequest, outputLimitOf } from '../../chat/request.ts';
import type { CallInput, HttpWritten, Unsupported } from '../dialect.ts';
import type { Effort } from '../efforts.ts';
import { bearer, postJson, withoutUnset } from '../post-json.ts';
import { isNineAlphanumeric, type ToolCallIds, toolCallIds } from '../tool-call-ids.ts';
import { allowedTools, toolUse } from '../written-request.ts';
import { fitRequest, refusedFeature } from './fit-request.ts';
import { rulesOf } from './model-rules.ts';
import { writeMessages } from './write-messages.ts';

type Json = Record<string, unknown>;

/** OpenAI refuses longer ids of tool calls; those of others may be longer. */
const maxIdLength = 40;

/** The ids of this conversation's tool calls, as the server of `input` takes them. */
export function idsFor({ request, quirks }: Pick<CallInput, 'request' | 'quirks'>): ToolCallIds {
  if (quirks.toolCallIds === 'nine_alphanumeric') return toolCallIds(request, isNineAlphanumeric);
  return toolCallIds(request, (id) => quirks.vendorRules !== 'openai' || id.length <= maxIdLength);
}

export function writeRequest(input: CallInput): HttpWritten | Unsupported {
  const feature = refusedFeature(input);
  if (feature !== null) return { kind: 'unsupported', feature };
  const warnings = new Set<string>();
  const { request, effort } = fitRequest(input, 'chat', warnings);
  const fitted = { ...input, request };
  const {
    model: _model,
    messages: _messages,
    max_completion_tokens: _long,
    max_tokens: _short,
    seed: _seed,
    tools: _tools,
    tool_choice: _choice,
    parallel_tool_calls: _parallel,
    reasoning_effort: _effort,
    // Whether the caller listens to the job is another matter than how its answer is fetched.
    stream: _stream,
    stream_options: _options,
    ...same
  } = request;
  const tools = writeTools(fitted, warnings);
  if (tools === null) return { kind: 'unsupported', feature: 'a forced call of a tool that is not there' };
  const body = {
    model: input.model,
    messages: writeMessages(fitted, idsFor(input), warnings),
    ...same,
    response_format: same.response_format && withoutNulls(same.response_format),
    ...writeLimit(fitted),
    ...writeSeed(fitted, warnings),
    ...tools,
    ...writeEffort(effort, fitted, warnings),
    ...writeStream(fitted),
    ...writeRouting(fitted),
  };
  return postJson(`${input.endpoint}/chat/completions`, bearer(input.credential), body, warnings);
}

function writeLimit({ request, quirks, model }: CallInput): Json {
  const limit = outputLimitOf(request);
  if (limit === null) return {};
  const isLong = quirks.vendorRules === 'openai' && rulesOf(model).isReasoning === true;
  return { [isLong ? 'max_completion_tokens' : quirks.maxTokensField]: limit };
}

function writeSeed({ request: { seed }, quirks }: CallInput, warnings: Set<string>): Json {
  if (seed === undefined || seed === null) return {};
  if (quirks.seedField !== 'none') return { [quirks.seedField]: seed };
  warnings.add('dropped "seed": this provider does not take it');
  return {};
}

/** null: a call is wanted of a tool that the request does not have. */
function writeTools({ request, quirks }: CallInput, warnings: Set<string>): Json | null {
  const isOpenai = quirks.vendorRules === 'openai';
  const use = toolUse(request);
  const tools = isOpenai ? (request.tools ?? []) : allowedTools(request);
  if (tools.length === 0) return use.kind === 'required' || use.kind === 'named' ? null : {};
  if (request.parallel_tool_calls !== undefined && !quirks.parallelToolCalls)
    warnings.add('dropped "parallel_tool_calls": this provider does not take it');
  return {
    tools: tools.map((each) => ({ type: 'function', function: writeFunction(each.function, isOpenai) })),
    tool_choice: toolChoice(request, isOpenai),
    parallel_tool_calls: quirks.parallelToolCalls ? request.parallel_tool_calls : undefined,
  };
}

type Tool = NonNullable<ChatRequest['tools']>[number];

/** Other servers' templates read the parameters of a tool that has none. */
function writeFunction(fn: Tool['function'], isOpenai: boolean): Json {
  const parameters = fn.parameters ?? (isOpenai ? undefined : { type: 'object', properties: {} });
  return withoutUnset({ ...fn, parameters });
}

/** OpenAI narrows the tools itself, which keeps its cache of them; others are given the narrowed list. */
function toolChoice({ tool_choice: choice }: ChatRequest, isOpenai: boolean): unknown {
  if (isOpenai || typeof choice !== 'object' || choice.type === 'function') return choice;
  return choice.allowed_tools.mode;
}

function withoutNulls(format: NonNullable<ChatRequest['response_format']>): Json {
  return format.type === 'json_schema' ? { ...format, json_schema: withoutUnset(format.json_schema) } : format;
}

function writeEffort(effort: Effort | null, { quirks }: CallInput, warnings: Set<string>): Json {
  if (effort === null) return {};
  if (quirks.reasoningRequest === 'reasoning_effort') return { reasoning_effort: effort };
  if (quirks.reasoningRequest === 'none') {
    warnings.add('dropped "reasoning_effort": this provider does not take it');
    return {};
  }
  if (effort !== 'none')
    warnings.add(`"reasoning_effort" ${effort} sent as thinking: this provider knows no more of it`);
  return { chat_template_kwargs: { enable_thinking: effort !== 'none' } };
}

function writeStream({ stream, quirks }: CallInput): Json {
  if (!stream) return {};
  if (!quirks.streamUsage) return { stream: true };
  // OpenAI pads its chunks against listeners on the wire, which TLS to the provider and a queue between do not need.
  const padding = quirks.vendorRules === 'openai' ? { include_obfuscation: false } : {};
  return { stream: true, stream_options: { include_usage: true, ...padding } };
}

/** A router of its own may choose a server that ignores a field; then what was asked for is not what is done. */
function writeRouting({ request, quirks }: CallInput): Json {
  const needs =
    (request.tools ?? []).length > 0 ||
    (request.response_format?.type ?? 'text') !== 'text' ||
    request.logprobs === true;
  return quirks.requireParameters && needs ? { provider: { require_parameters: true } } : {};
}
