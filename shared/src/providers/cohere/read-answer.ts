/** Cohere's answers -> canonical. It names no model; its plan before tool calls is reasoning like any other. */
import { type Answer, emptyAnswer, type FinishReason, type ToolCall } from '../../chat/response.ts';
import { consistentUsage, type Usage } from '../../domain/usage.ts';
import { failure, type ReadResult } from '../dialect.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, wordOf } from '../provider-json.ts';
import { failureInAnswer } from './errors.ts';

/** What of the request decides how its answer is read. */
export interface Asked {
  /** From the name of a tool that Cohere was given to the name the caller gave it. */
  readonly toOurs: (name: string) => string;
  readonly nowMs: number;
}

export function readAnswer(body: unknown, { toOurs, nowMs }: Asked): ReadResult {
  const root = asRecord(body);
  // An error says `message` too: as a text.
  if (typeof root.message === 'string') return { kind: 'failure', failure: failureInAnswer(root.message, nowMs) };
  if (typeof root.message !== 'object' || root.message === null)
    return { kind: 'failure', failure: failure('bad_output', 'the answer holds no message', { httpStatus: 200 }) };
  return conclude(toAnswer(root, toOurs), asText(root.finish_reason), '', nowMs);
}

/** What was generated is known, and billed, even when it ended with an error. */
export function conclude(answer: Answer, finish: string, error: string, nowMs: number): ReadResult {
  if (finish === 'TIMEOUT')
    return {
      kind: 'failure',
      failure: failure('timeout', 'the provider stopped its answer at its time limit', { httpStatus: 200 }),
      partial: answer,
    };
  if (finish.startsWith('ERROR') || error !== '')
    return { kind: 'failure', failure: failureInAnswer(error, nowMs), partial: answer };
  return { kind: 'answer', answer };
}

export function toAnswer(root: Json, toOurs: Asked['toOurs']): Answer {
  const message = asRecord(root.message);
  const content = asList(message.content).map(asRecord);
  const thinking = content.filter((part) => part.type === 'thinking');
  const plan = asText(message.tool_plan);
  const toolCalls = asList(message.tool_calls).map((call, index) => toToolCall(asRecord(call), index, toOurs));
  const { reason, warnings } = toFinishReason(asText(root.finish_reason), toolCalls.length > 0);
  return {
    ...emptyAnswer,
    text: content.map((part) => (part.type === 'text' ? asText(part.text) : '')).join(''),
    reasoning: thinking.map((part) => asText(part.thinking)).join('') + plan,
    reasoningDetails: [
      ...thinking.map((part) => ({ type: 'thinking', thinking: asText(part.thinking) })),
      ...(plan === '' ? [] : [{ type: 'tool_plan', tool_plan: plan }]),
    ],
    toolCalls,
    finishReason: reason,
    logprobs: toLogprobs(root.logprobs),
    providerId: asTextOrNull(root.id),
    usage: toUsage(root.usage),
    warnings,
  };
}

function toToolCall(call: Json, index: number, toOurs: Asked['toOurs']): ToolCall {
  const fn = asRecord(call.function);
  return {
    id: asText(call.id) || `call_${index}`,
    type: 'function',
    // No arguments are an empty object: callers parse what they get.
    function: { name: toOurs(asText(fn.name)), arguments: asText(fn.arguments) || '{}' },
  };
}

const finishReasons: ReadonlyMap<string, FinishReason> = new Map([
  ['COMPLETE', 'stop'],
  ['STOP_SEQUENCE', 'stop'],
  ['MAX_TOKENS', 'length'],
  ['TOOL_CALL', 'tool_calls'],
]);

function toFinishReason(finish: string, hasCalls: boolean): { reason: FinishReason; warnings: string[] } {
  const known = finishReasons.get(finish);
  if (known) return { reason: known, warnings: [] };
  const reason = hasCalls ? 'tool_calls' : 'stop';
  return {
    reason,
    warnings: finish === '' ? [] : [`unknown finish reason ${wordOf(finish)} read as "${reason}"`],
  };
}

/**
 * An item is a piece of text with the ids and logarithms of its tokens: the text's own is their sum.
 * null: none were asked for.
 */
function toLogprobs(value: unknown): unknown {
  const content = asList(value)
    .map(asRecord)
    .map((item) => ({
      token: asText(item.text),
      logprob: asList(item.logprobs).reduce<number>((sum, each) => sum + (typeof each === 'number' ? each : 0), 0),
      bytes: [...Buffer.from(asText(item.text))],
      top_logprobs: [],
    }));
  return content.length === 0 ? null : { content, refusal: null };
}

/** `tokens` counts what the model read and wrote; `billed_units`, without their own additions, where it is all there is. */
export function toUsage(value: unknown): Usage | null {
  const usage = asRecord(value);
  for (const counts of [asRecord(usage.tokens), asRecord(usage.billed_units)]) {
    const inputTokens = asCount(counts.input_tokens);
    const outputTokens = asCount(counts.output_tokens);
    if (inputTokens === null || outputTokens === null) continue;
    return consistentUsage({ inputTokens, outputTokens, cacheReadTokens: asCount(usage.cached_tokens) ?? 0 });
  }
  return null;
}
