/** Anthropic Messages answers -> canonical. */
import { type Answer, emptyAnswer, type FinishReason, type ToolCall } from '../../chat/response.ts';
import { consistentUsage, type Usage } from '../../domain/usage.ts';
import { failure, type ReadResult } from '../dialect.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, wordOf } from '../provider-json.ts';
import { parseArguments } from '../tool-calls.ts';
import { failureInAnswer } from './errors.ts';
import { isThinking } from './write-messages.ts';

/** What of the request decides how its answer is read. */
export interface Asked {
  /** Blocks of the turn that an earlier answer ended in the middle of. */
  readonly soFar: readonly unknown[];
  /** The answer's text is the arguments of this tool. */
  readonly answerTool: string | null;
  readonly nowMs: number;
}

export function readAnswer(body: unknown, asked: Asked): ReadResult {
  const root = asRecord(body);
  if (root.type === 'error') return { kind: 'failure', failure: failureInAnswer(root, asked.nowMs) };
  if (!Array.isArray(root.content))
    return { kind: 'failure', failure: failure('bad_output', 'the answer holds no content', { httpStatus: 200 }) };
  return { kind: 'answer', answer: toAnswer(root, asList(root.content).map(asRecord), asked) };
}

/** @param blocks of a stream, too: there the input of a tool is the text it came as */
export function toAnswer(root: Json, blocks: readonly Json[], { soFar, answerTool }: Asked): Answer {
  const stop = asText(root.stop_reason);
  const reason = finishReasons[stop];
  const ofType = (type: string) => blocks.filter((block) => block.type === type);
  const text = ofType('text')
    .map((block) => asText(block.text))
    .join('');
  const isCall = answerTool !== null && text !== '';
  const toolCalls = isCall ? [callOfAnswer(answerTool, root, text)] : ofType('tool_use').map(toToolCall);
  return {
    ...emptyAnswer,
    text: isCall ? '' : text,
    reasoning: ofType('thinking')
      .map((block) => asText(block.thinking))
      .join(''),
    reasoningDetails: blocks.filter(isThinking),
    refusal: stop === 'refusal' ? asTextOrNull(asRecord(root.stop_details).explanation) : null,
    toolCalls,
    finishReason: isCall && reason === 'stop' ? 'tool_calls' : (reason ?? 'stop'),
    continuation: stop === 'pause_turn' ? [...soFar, ...blocks.map(withInput)] : null,
    providerId: asTextOrNull(root.id),
    model: asTextOrNull(root.model),
    usage: toUsage(root.usage),
    warnings: reason || stop === '' ? [] : [`unknown stop reason ${wordOf(stop)} read as "stop"`],
  };
}

/** An id that stays the same however often the answer is read. */
export const answerCallId = (root: Json): string => `call_${asText(root.id) || 'answer'}`;

const callOfAnswer = (name: string, root: Json, text: string): ToolCall => ({
  id: answerCallId(root),
  type: 'function',
  function: { name, arguments: text },
});

const toToolCall = (block: Json): ToolCall => ({
  id: asText(block.id),
  type: 'function',
  function: {
    name: asText(block.name),
    arguments: typeof block.input === 'string' ? block.input : JSON.stringify(block.input ?? {}),
  },
});

/** As it must go back: the input of a tool is an object. */
const withInput = (block: Json): Json =>
  typeof block.input === 'string' ? { ...block, input: parseArguments(block.input) } : block;

const finishReasons: Readonly<Record<string, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  // A long turn is cut in parts; `continuation` says that it has not ended.
  pause_turn: 'stop',
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
  const written = asRecord(usage.cache_creation);
  const cacheWrite1hTokens = asCount(written.ephemeral_1h_input_tokens) ?? 0;
  const cacheReadTokens = asCount(usage.cache_read_input_tokens) ?? 0;
  const cacheWriteTokens =
    asCount(usage.cache_creation_input_tokens) ??
    cacheWrite1hTokens + (asCount(written.ephemeral_5m_input_tokens) ?? 0);
  return consistentUsage({
    inputTokens: fresh + cacheReadTokens + cacheWriteTokens,
    outputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    cacheWrite1hTokens,
    reasoningTokens: asCount(asRecord(usage.output_tokens_details).thinking_tokens) ?? 0,
  });
}
