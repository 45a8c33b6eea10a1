/** Anthropic Messages answers -> canonical, streamed and not. */
import { type Answer, emptyAnswer, type FinishReason, type ToolCall } from '../../chat/response.ts';
import type { Failure } from '../../domain/failure.ts';
import { consistentUsage, type Usage } from '../../domain/usage.ts';
import { failure, type ReadResult, type StreamReader } from '../dialect.ts';
import { classify, errorMessage, readErrorBody } from '../error-body.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, parseProviderJson } from '../provider-json.ts';
import { createSseParser } from '../sse.ts';
import { errorRows } from './errors.ts';

export function readAnswer(body: unknown): ReadResult {
  const root = asRecord(body);
  if (root.type === 'error') return { kind: 'failure', failure: failureInBody(root) };
  if (!Array.isArray(root.content))
    return { kind: 'failure', failure: failure('bad_output', 'the answer holds no content', { httpStatus: 200 }) };
  return { kind: 'answer', answer: toAnswer(root, asList(root.content).map(asRecord)) };
}

function toAnswer(root: Json, blocks: readonly Json[]): Answer {
  const stop = asText(root.stop_reason);
  const reason = finishReasons[stop];
  const ofType = (type: string) => blocks.filter((block) => block.type === type);
  return {
    ...emptyAnswer,
    text: ofType('text')
      .map((block) => asText(block.text))
      .join(''),
    reasoning: ofType('thinking')
      .map((block) => asText(block.thinking))
      .join(''),
    reasoningDetails: blocks.filter((block) => block.type === 'thinking' || block.type === 'redacted_thinking'),
    toolCalls: ofType('tool_use').map(toToolCall),
    finishReason: reason ?? 'stop',
    providerId: asTextOrNull(root.id),
    model: asTextOrNull(root.model),
    usage: toUsage(root.usage),
    warnings: reason || stop === '' ? [] : [`unknown stop reason "${stop.slice(0, 40)}" read as "stop"`],
  };
}

const toToolCall = (block: Json): ToolCall => ({
  id: asText(block.id),
  type: 'function',
  function: {
    name: asText(block.name),
    arguments: typeof block.input === 'string' ? block.input : JSON.stringify(block.input ?? {}),
  },
});

const finishReasons: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

/** Their `input_tokens` leaves cached tokens out; ours is the total. */
export function toUsage(value: unknown): Usage | null {
  const usage = asRecord(value);
  const fresh = asCount(usage.input_tokens);
  const outputTokens = asCount(usage.output_tokens);
  if (fresh === null || outputTokens === null) return null;
  const cacheReadTokens = asCount(usage.cache_read_input_tokens) ?? 0;
  const cacheWriteTokens = asCount(usage.cache_creation_input_tokens) ?? 0;
  return consistentUsage({
    inputTokens: fresh + cacheReadTokens + cacheWriteTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    cacheWrite1hTokens: asCount(asRecord(usage.cache_creation).ephemeral_1h_input_tokens) ?? 0,
    reasoningTokens: asCount(asRecord(usage.output_tokens_details).thinking_tokens) ?? 0,
  });
}

const streamStatus: Readonly<Record<string, number>> = {
  overloaded_error: 529,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  billing_error: 402,
  invalid_request_error: 400,
};

/** Errors also come inside HTTP 200, as `event: error`: the type then stands for the status. */
function failureInBody(root: Json): Failure {
  const body = readErrorBody(JSON.stringify(root));
  const status = streamStatus[body.type] ?? 500;
  return failure(classify(status, body, errorRows), errorMessage(status, body), { httpStatus: 200 });
}

interface OpenBlock {
  readonly start: Json;
  text: string;
  json: string;
}

export function createStreamReader(): StreamReader {
  let message: Json = {};
  let usage: Json = {};
  let isStopped = false;
  let found: Failure | null = null;
  const open = new Map<number, OpenBlock>();

  const readDelta = (index: number, delta: Json) => {
    const block = open.get(index);
    if (!block) return;
    block.text += asText(delta.text) + asText(delta.thinking);
    block.json += asText(delta.partial_json);
    if (typeof delta.signature === 'string') block.start.signature = delta.signature;
  };
  const readEvent = (event: Json) => {
    const index = asCount(event.index) ?? 0;
    if (event.type === 'message_start') {
      message = { ...asRecord(event.message) };
      usage = { ...asRecord(message.usage) };
    } else if (event.type === 'content_block_start')
      open.set(index, { start: { ...asRecord(event.content_block) }, text: '', json: '' });
    else if (event.type === 'content_block_delta') readDelta(index, asRecord(event.delta));
    else if (event.type === 'message_delta') {
      message = { ...message, stop_reason: asRecord(event.delta).stop_reason ?? message.stop_reason };
      // Cumulative, and null where it has nothing to add to `message_start`.
      const counts = Object.entries(asRecord(event.usage)).filter(([, count]) => count !== null);
      usage = { ...usage, ...Object.fromEntries(counts) };
    } else if (event.type === 'message_stop') isStopped = true;
    else if (event.type === 'error') found ??= failureInBody(event);
  };
  const parser = createSseParser(({ data }) => readEvent(asRecord(parseProviderJson(data))));
  const partial = (): Answer => toAnswer({ ...message, usage }, [...open.values()].map(closeBlock));
  return {
    push: (piece) => parser.push(piece),
    partial,
    end() {
      parser.end();
      if (found) return { kind: 'failure', failure: found };
      if (!isStopped)
        return {
          kind: 'failure',
          failure: failure('stream_interrupted', 'the stream ended before message_stop', { httpStatus: 200 }),
        };
      return { kind: 'answer', answer: partial() };
    },
  };
}

function closeBlock({ start, text, json }: OpenBlock): Json {
  if (start.type === 'text') return { ...start, text: asText(start.text) + text };
  if (start.type === 'thinking') return { ...start, thinking: asText(start.thinking) + text };
  if (start.type === 'tool_use') return { ...start, input: json === '' ? (start.input ?? {}) : parseInput(json) };
  return start;
}

/** Arguments cut by `max_tokens`, or by a break, stay as they were written: the bill and the text are kept. */
function parseInput(json: string): unknown {
  try {
    return parseProviderJson(json);
  } catch {
    return json;
  }
}
