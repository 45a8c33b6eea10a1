/** Chat Completions answers -> canonical. An error inside HTTP 200 is a failure. */
import { type Answer, emptyAnswer, type FinishReason, type ToolCall } from '../../chat/response.ts';
import { consistentUsage, type Usage } from '../../domain/usage.ts';
import { failure, type ReadResult } from '../dialect.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, wordOf } from '../provider-json.ts';
import { failedAnswer, failureInAnswer } from './error-inside.ts';
import { reasoningText, textOfParts } from './read-reasoning.ts';

/** What of the request decides how its answer is read. */
export interface Asked {
  /** Names an id of a tool call as the caller knows it: the request may have held a substitute. */
  readonly toCaller: (id: string) => string;
  readonly nowMs: number;
}

export function readAnswer(body: unknown, { toCaller, nowMs }: Asked): ReadResult {
  const root = asRecord(body);
  const choices = asList(root.choices).map(asRecord);
  const choice = choices[0];
  const carrier = [root, choice ?? {}].find((each) => each.error);
  const isFailed = carrier !== undefined || choice?.finish_reason === 'error';
  if (isFailed) {
    const found = carrier === undefined ? failedAnswer : failureInAnswer(carrier, nowMs);
    const partial = choice === undefined ? {} : { partial: toAnswer(root, choice, [], toCaller) };
    return { kind: 'failure', failure: found, ...partial };
  }
  if (choice === undefined)
    return { kind: 'failure', failure: failure('bad_output', 'the answer holds no choice', { httpStatus: 200 }) };
  return { kind: 'answer', answer: toAnswer(root, choice, choices.slice(1), toCaller) };
}

function toAnswer(root: Json, choice: Json, otherChoices: readonly Json[], toCaller: Asked['toCaller']): Answer {
  const message = asRecord(choice.message);
  const finish = toFinishReason(asText(choice.finish_reason), message.tool_calls);
  return {
    ...emptyAnswer,
    text: contentText(message.content),
    reasoning: reasoningText(message),
    reasoningDetails: asList(message.reasoning_details),
    refusal: asTextOrNull(message.refusal),
    toolCalls: asList(message.tool_calls).map((call, index) => toToolCall(call, index, toCaller)),
    finishReason: finish.reason,
    logprobs: choice.logprobs ?? null,
    otherChoices,
    providerId: asTextOrNull(root.id),
    model: asTextOrNull(root.model),
    usage: toUsage(root.usage ?? asRecord(root.x_groq).usage),
    warnings: finish.warnings,
  };
}

export function contentText(content: unknown): string {
  return typeof content === 'string' ? content : textOfParts(content);
}

export const toToolCall = (value: unknown, index: number, toCaller: Asked['toCaller']): ToolCall => {
  const call = asRecord(value);
  const fn = asRecord(call.function);
  return {
    id: toCaller(asText(call.id)) || `call_${index}`,
    type: 'function',
    function: { name: asText(fn.name), arguments: asText(fn.arguments) },
  };
};

const knownReasons: ReadonlyMap<string, FinishReason> = new Map([
  ['stop', 'stop'],
  ['length', 'length'],
  ['model_length', 'length'],
  ['tool_calls', 'tool_calls'],
  ['function_call', 'tool_calls'],
  ['content_filter', 'content_filter'],
]);

export function toFinishReason(reason: string, toolCalls: unknown): { reason: FinishReason; warnings: string[] } {
  const known = knownReasons.get(reason);
  if (known) return { reason: known, warnings: [] };
  const fallback = asList(toolCalls).length > 0 ? 'tool_calls' : 'stop';
  return {
    reason: fallback,
    warnings: reason === '' ? [] : [`unknown finish reason ${wordOf(reason)} read as "${fallback}"`],
  };
}

/** `prompt_tokens` is the total here; null when either total is missing. */
export function toUsage(value: unknown): Usage | null {
  const usage = asRecord(value);
  const inputTokens = asCount(usage.prompt_tokens);
  const outputTokens = asCount(usage.completion_tokens);
  if (inputTokens === null || outputTokens === null) return null;
  const input = asRecord(usage.prompt_tokens_details);
  const output = asRecord(usage.completion_tokens_details);
  return consistentUsage({
    inputTokens,
    outputTokens,
    cacheReadTokens: asCount(input.cached_tokens) ?? asCount(usage.num_cached_tokens) ?? 0,
    cacheWriteTokens: asCount(input.cache_write_tokens) ?? 0,
    reasoningTokens: asCount(output.reasoning_tokens) ?? 0,
    audioInputTokens: asCount(input.audio_tokens) ?? 0,
    audioOutputTokens: asCount(output.audio_tokens) ?? 0,
  });
}
