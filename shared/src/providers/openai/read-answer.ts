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
function failureInBody(root: Json): Failure {
  const body = readErrorBody(JSON.stringify(root));
  const status = Number(body.code);
  const code = Number.isInteger(status) && status >= 400 && status < 600 ? status : 500;
  return failure(classify(code, body, errorRows), errorMessage(code, body), { httpStatus: 200 });
}

/** A finish reason of its own at some servers, with nothing said about the cause. */
const failedAnswer = failure('server_error', 'the provider ended its answer with an error', { httpStatus: 200 });

function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  return asList(content)
    .map((part) => asText(asRecord(part).text))
    .join('');
}

const toToolCall = (value: unknown, index: number): ToolCall => {
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

/**
 * Where a piece of a tool call belongs. Some servers leave the index out, repeat the id in every piece, or send
 * whole calls: then a new id, or a name where there is no id, begins a new call.
 */
function indexOfPiece(piece: Json, calls: ReadonlyMap<number, CallPiece>): number {
  const index = asCount(piece.index);
  if (index !== null) return index;
  const id = asText(piece.id);
  const known = [...calls].find(([, call]) => id !== '' && call.id === id);
  if (known) return known[0];
  const beginsCall = id !== '' || asText(asRecord(piece.function).name) !== '';
  return beginsCall ? calls.size : Math.max(0, calls.size - 1);
}

/** Assembles a stream of chunks. Whole only when `[DONE]` was seen: usage comes after the finish reason. */
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
    asList(delta.tool_calls).forEach((value) => {
      const piece = asRecord(value);
      const index = indexOfPiece(piece, calls);
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
    if ('[DONE]'.startsWith(data)) return; // The marker itself was cut: `end` says so.
    const chunk = asRecord(parseProviderJson(data));
    model ??= asTextOrNull(chunk.model);
    providerId ??= asTextOrNull(chunk.id);
    usage = toUsage(chunk.usage ?? asRecord(chunk.x_groq).usage) ?? usage;
    const choice = asRecord(asList(chunk.choices)[0]);
    const carrier = [chunk, choice, asRecord(chunk.x_groq)].find((each) => each.error);
    if (carrier) found ??= failureInBody(carrier);
    finish ||= asText(choice.finish_reason);
    readDelta(asRecord(choice.delta));
  });
  const partial = (): Answer => {
    const toolCalls = [...calls.values()].map(({ id, ...fn }, index) => toToolCall({ id, function: fn }, index));
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
      if (finish === 'error') return { kind: 'failure', failure: failedAnswer };
      if (!isDone)
        return {
          kind: 'failure',
          failure: failure('stream_interrupted', 'the stream ended before the answer did', { httpStatus: 200 }),
        };
      return { kind: 'answer', answer: partial() };
    },
  };
}
