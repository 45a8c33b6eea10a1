/** Answers of the Responses surface -> canonical. */
import { type Answer, emptyAnswer, type FinishReason, type ToolCall } from '../../../chat/response.ts';
import { consistentUsage, type Usage } from '../../../domain/usage.ts';
import { failure, type ReadResult } from '../../dialect.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, wordOf } from '../../provider-json.ts';
import { failedAnswer, failureInAnswer } from '../error-inside.ts';
import type { Asked } from '../read-answer.ts';
import { textOfParts } from '../read-reasoning.ts';
import type { ReasoningPart } from './reasoning-part.ts';

export function readResponse(body: unknown, { toCaller, nowMs }: Asked): ReadResult {
  const root = asRecord(body);
  const status = asText(root.status);
  if (root.error || status === 'failed' || status === 'cancelled') {
    const found = root.error ? failureInAnswer({ error: root.error }, nowMs) : failedAnswer;
    return { kind: 'failure', failure: found, partial: toAnswer(root, toCaller) };
  }
  if (!Array.isArray(root.output) || status === 'queued' || status === 'in_progress')
    return { kind: 'failure', failure: failure('bad_output', 'the answer holds no output', { httpStatus: 200 }) };
  return { kind: 'answer', answer: toAnswer(root, toCaller) };
}

export function toAnswer(root: Json, toCaller: Asked['toCaller']): Answer {
  const items = asList(root.output).map(asRecord);
  const parts = items.filter(({ type }) => type === 'message').flatMap(({ content }) => asList(content).map(asRecord));
  const toolCalls = items
    .filter(({ type }) => type === 'function_call')
    .map((item, at) => toToolCall(item, at, toCaller));
  const finish = toFinishReason(root, toolCalls.length > 0);
  return {
    ...emptyAnswer,
    text: parts.map((part) => asText(part.text)).join(''),
    reasoning: items.map(reasoningOf).join(''),
    reasoningDetails: reasoningParts(items, toCaller),
    refusal: parts.map((part) => asText(part.refusal)).join('') || null,
    toolCalls,
    finishReason: finish.reason,
    providerId: asTextOrNull(root.id),
    model: asTextOrNull(root.model),
    usage: toUsage(root.usage),
    warnings: [...finish.warnings, ...unknownItems(items)],
  };
}

const toToolCall = (item: Json, at: number, toCaller: Asked['toCaller']): ToolCall => ({
  id: toCaller(asText(item.call_id)) || `call_${at}`,
  type: 'function',
  function: { name: asText(item.name), arguments: asText(item.arguments) },
});

const reasoningOf = ({ type, summary, content }: Json): string =>
  type === 'reasoning' ? textOfParts(summary) || textOfParts(content) : '';

/** Only what is encrypted can be given back: OpenAI keeps nothing for us. */
function reasoningParts(items: readonly Json[], toCaller: Asked['toCaller']): ReasoningPart[] {
  return items.flatMap((item, at): ReasoningPart[] => {
    if (item.type !== 'reasoning' || asText(item.encrypted_content) === '') return [];
    const next = items.slice(at + 1).find(({ type }) => type === 'function_call' || type === 'message');
    // `status` is an answer's, and refused in a request.
    const { status: _status, ...kept } = item;
    return [{ item: kept, before: next?.type === 'function_call' ? toCaller(asText(next.call_id)) : null }];
  });
}

const knownItems = ['message', 'function_call', 'reasoning'];

function unknownItems(items: readonly Json[]): string[] {
  const unknown = new Set(items.map(({ type }) => asText(type)).filter((type) => !knownItems.includes(type)));
  return [...unknown].map((type) => `output of an unknown type ${wordOf(type)} passed over`);
}

function toFinishReason(root: Json, hasCalls: boolean): { reason: FinishReason; warnings: string[] } {
  if (root.status !== 'incomplete') return { reason: hasCalls ? 'tool_calls' : 'stop', warnings: [] };
  const reason = asText(asRecord(root.incomplete_details).reason);
  if (reason === 'content_filter') return { reason, warnings: [] };
  const warnings = reason === 'max_output_tokens' ? [] : [`unknown reason ${wordOf(reason)} read as "length"`];
  return { reason: 'length', warnings };
}

/** `input_tokens` is the total; null when either total is missing. */
export function toUsage(value: unknown): Usage | null {
  const usage = asRecord(value);
  const inputTokens = asCount(usage.input_tokens);
  const outputTokens = asCount(usage.output_tokens);
  if (inputTokens === null || outputTokens === null) return null;
  const input = asRecord(usage.input_tokens_details);
  return consistentUsage({
    inputTokens,
    outputTokens,
    cacheReadTokens: asCount(input.cached_tokens) ?? 0,
    cacheWriteTokens: asCount(input.cache_write_tokens) ?? 0,
    reasoningTokens: asCount(asRecord(usage.output_tokens_details).reasoning_tokens) ?? 0,
  });
}
