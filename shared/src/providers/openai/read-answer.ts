/** Chat Completions answers -> canonical, streamed and not. An error inside HTTP 200 is a failure. */
import { type Answer, emptyAnswer, type FinishReason, type ToolCall } from '../../chat/response.ts';
import type { Failure } from '../../domain/failure.ts';
import type { Usage } from '../../domain/usage.ts';
import { failure, type ReadResult, type StreamReader } from '../dialect.ts';
import { classify, errorMessage, readErrorBody } from '../error-body.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, parseProviderJson } from '../provider-json.ts';
import { createSseParser } from '../sse.ts';
import { errorRows } from './errors.ts';

export function readAnswer(body: unknown): ReadResult {
  const root = asRecord(body);
  if (root.error) return { kind: 'failure', failure: failureInBody(root) };
  const [choice, ...otherChoices] = asList(root.choices);
  if (choice === undefined)
    return { kind: 'failure', failure: failure('bad_output', 'the answer holds no choice', { httpStatus: 200 }) };
  if (asRecord(choice).error) return { kind: 'failure', failure: failureInBody(asRecord(choice)) };
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
function failureInBody(root: Json): Failure {
  const body = readErrorBody(JSON.stringify(root));
  const status = Number(body.code);
  const code = Number.isInteger(status) && status >= 400 && status < 600 ? status : 500;
  return failure(classify(code, body, errorRows), errorMessage(code, body), { httpStatus: 200 });
}

function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  return asList(content)
    .map((part) => asText(asRecord(part).text))
    .join('');
}

const toToolCall = (value: unknown): ToolCall => {
  const call = asRecord(value);
  const fn = asRecord(call.function);
  return {
    id: asText(call.id),
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

function toFinishReason(reason: string, toolCalls: unknown): { reason: FinishReason; warnings: string[] } {
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
  return {
    inputTokens,
    outputTokens,
    cacheReadTokens: Math.min(inputTokens, asCount(input.cached_tokens) ?? asCount(usage.num_cached_tokens) ?? 0),
    cacheWriteTokens: asCount(input.cache_write_tokens) ?? 0,
    cacheWrite1hTokens: 0,
    reasoningTokens: asCount(asRecord(usage.completion_tokens_details).reasoning_tokens) ?? 0,
  };
}

interface CallPiece {
  id: string;
  name: string;
  arguments: string;
}

/** Assembles a stream of chunks. Whole only when `[DONE]` was seen or the choice said why it finished. */
export function createStreamReader(): StreamReader {
  let text = '';
  let reasoning = '';
  let refusal = '';
  let finish = '';
  let isDone = false;
  let found: Failure | null = null;
  let model: string | null = null;
  let providerId: string | null = null;
  let usage: Usage | null = null;
  const calls = new Map<number, CallPiece>();

  const readDelta = (delta: Json) => {
    text += contentText(delta.content);
    reasoning += asText(delta.reasoning_content ?? delta.reasoning);
    refusal += asText(delta.refusal);
    asList(delta.tool_calls).forEach((value, position) => {
      const piece = asRecord(value);
      const index = asCount(piece.index) ?? position;
      const call = calls.get(index) ?? { id: '', name: '', arguments: '' };
      const fn = asRecord(piece.function);
      call.id ||= asText(piece.id);
      call.name ||= asText(fn.name);
      call.arguments += asText(fn.arguments);
      calls.set(index, call);
    });
  };
  const parser = createSseParser(({ data }) => {
    if (data === '[DONE]') {
      isDone = true;
      return;
    }
    const chunk = asRecord(parseProviderJson(data));
    if (chunk.error) found ??= failureInBody(chunk);
    model ??= asTextOrNull(chunk.model);
    providerId ??= asTextOrNull(chunk.id);
    usage = toUsage(chunk.usage ?? asRecord(chunk.x_groq).usage) ?? usage;
    const choice = asRecord(asList(chunk.choices)[0]);
    finish ||= asText(choice.finish_reason);
    readDelta(asRecord(choice.delta));
  });
  const partial = (): Answer => {
    const toolCalls = [...calls.values()].map(
      (call): ToolCall => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } }),
    );
    const { reason, warnings } = toFinishReason(finish, toolCalls);
    return {
      ...emptyAnswer,
      text,
      reasoning,
      refusal: refusal || null,
      toolCalls,
      finishReason: reason,
      model,
      providerId,
      usage,
      warnings,
    };
  };
  return {
    push: (piece) => parser.push(piece),
    partial,
    end() {
      parser.end();
      if (found) return { kind: 'failure', failure: found };
      if (!isDone && finish === '')
        return {
          kind: 'failure',
          failure: failure('stream_interrupted', 'the stream ended before the answer did', { httpStatus: 200 }),
        };
      return { kind: 'answer', answer: partial() };
    },
  };
}
