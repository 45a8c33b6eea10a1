/** Chat Completions answers -> canonical, streamed and not. An error inside HTTP 200 is a failure. */
import { emptyAnswer, type FinishReason, type ToolCall } from '../../chat/response.ts';
import type { Failure } from '../../domain/failure.ts';
import { consistentUsage, type Usage } from '../../domain/usage.ts';
import { failure, type ReadResult } from '../dialect.ts';
import { classify, errorMessage, readErrorBody } from '../error-body.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json } from '../provider-json.ts';
import { errorRows } from './errors.ts';

export function readAnswer(body: unknown): ReadResult {
  const root = asRecord(body);
  if (root.error) return { kind: 'failure', failure: failureInBody(root) };
  const [choice, ...otherChoices] = asList(root.choices);
  if (choice === undefined)
    return { kind: 'failure', failure: failure('bad_output', 'the answer holds no choice', { httpStatus: 200 }) };
  if (asRecord(choice).error) return { kind: 'failure', failure: failureInBody(asRecord(choice)) };
  if (asRecord(choice).finish_reason === 'error') return { kind: 'failure', failure: failedAnswer };
  const message = asRecord(asRecord(choice).message);
  const finish = toFinishReason(asText(asRecord(choice).finish_reason), message.tool_calls);
  return {
    kind: 'answer',
    answer: {
      ...emptyAnswer,
      text: contentText(message.content),
      reasoning: asText(message.reasoning_content ?? message.reasoning),
      reasoningDetails: asList(message.reasoning_details),
      refusal: asTextOrNull(message.refusal),
      toolCalls: asList(message.tool_calls).map(toToolCall),
      finishReason: finish.reason,
      logprobs: asRecord(choice).logprobs ?? null,
      otherChoices,
      providerId: asTextOrNull(root.id),
      model: asTextOrNull(root.model),
      usage: toUsage(root.usage ?? asRecord(root.x_groq).usage),
      warnings: finish.warnings,
    },
  };
}

/** Some providers answer 200 and put the error in the body, with its status as `code`. */
export function failureInBody(root: Json): Failure {
  const body = readErrorBody(JSON.stringify(root));
  const status = Number(body.code);
  const code = Number.isInteger(status) && status >= 400 && status < 600 ? status : 500;
  return failure(classify(code, body, errorRows), errorMessage(code, body), { httpStatus: 200 });
}

/** A finish reason of its own at some servers, with nothing said about the cause. */
export const failedAnswer = failure('server_error', 'the provider ended its answer with an error', { httpStatus: 200 });

export function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  return asList(content)
    .map((part) => asText(asRecord(part).text))
    .join('');
}

export const toToolCall = (value: unknown, index: number): ToolCall => {
  const call = asRecord(value);
  const fn = asRecord(call.function);
  return {
    id: asText(call.id) || `call_${index}`,
    type: 'function',
    function: { name: asText(fn.name), arguments: asText(fn.arguments) },
  };
};

const knownReasons: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  length: 'length',
  model_length: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
};

export function toFinishReason(reason: string, toolCalls: unknown): { reason: FinishReason; warnings: string[] } {
  const known = knownReasons[reason];
  if (known) return { reason: known, warnings: [] };
  const fallback = asList(toolCalls).length > 0 ? 'tool_calls' : 'stop';
  return {
    reason: fallback,
    warnings: reason === '' ? [] : [`unknown finish reason "${reason.slice(0, 40)}" read as "${fallback}"`],
  };
}

/** `prompt_tokens` is the total here; null when either total is missing. */
export function toUsage(value: unknown): Usage | null {
  const usage = asRecord(value);
  const inputTokens = asCount(usage.prompt_tokens);
  const outputTokens = asCount(usage.completion_tokens);
  if (inputTokens === null || outputTokens === null) return null;
  const input = asRecord(usage.prompt_tokens_details);
  return consistentUsage({
    inputTokens,
    outputTokens,
    cacheReadTokens: Math.min(inputTokens, asCount(input.cached_tokens) ?? asCount(usage.num_cached_tokens) ?? 0),
    cacheWriteTokens: asCount(input.cache_write_tokens) ?? 0,
    cacheWrite1hTokens: 0,
    reasoningTokens: asCount(asRecord(usage.completion_tokens_details).reasoning_tokens) ?? 0,
  });
}
