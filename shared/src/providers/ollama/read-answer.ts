/** Ollama's answers -> canonical. Streams are lines of JSON; an error may come on a line although the status is 200. */
import { type Answer, emptyAnswer, type FinishReason, type ToolCall } from '../../chat/response.ts';
import type { Failure } from '../../domain/failure.ts';
import { failure, type ReadResult, type StreamReader } from '../dialect.ts';
import { classify, readErrorBody } from '../error-body.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, parseProviderJson } from '../provider-json.ts';
import { maxEventLength, SseTooLongError } from '../sse.ts';
import { errorRows } from './errors.ts';

export function readAnswer(body: unknown): ReadResult {
  const root = asRecord(body);
  if (root.error) return { kind: 'failure', failure: failureInBody(root) };
  if (root.done !== true)
    return {
      kind: 'failure',
      failure: failure('bad_output', 'the answer does not say that it is done', { httpStatus: 200 }),
    };
  const message = asRecord(root.message);
  return {
    kind: 'answer',
    answer: toAnswer(root, asText(message.content), asText(message.thinking), asList(message.tool_calls)),
  };
}

function toAnswer(last: Json, text: string, reasoning: string, calls: readonly unknown[]): Answer {
  const toolCalls = calls.map(toToolCall);
  const inputTokens = asCount(last.prompt_eval_count);
  const outputTokens = asCount(last.eval_count);
  const done = asText(last.done_reason);
  const finishReason: FinishReason = toolCalls.length > 0 ? 'tool_calls' : done === 'length' ? 'length' : 'stop';
  return {
    ...emptyAnswer,
    text,
    reasoning,
    toolCalls,
    finishReason,
    model: asTextOrNull(last.model),
    usage:
      inputTokens === null || outputTokens === null
        ? null
        : {
            inputTokens,
            outputTokens,
            cacheReadTokens: 0,
            cacheWriteTokens: 0,
            cacheWrite1hTokens: 0,
            reasoningTokens: 0,
          },
    warnings: ['', 'stop', 'length'].includes(done)
      ? []
      : [`unknown done reason "${done.slice(0, 40)}" read as "${finishReason}"`],
  };
}

const toToolCall = (value: unknown, index: number): ToolCall => {
  const call = asRecord(value);
  const fn = asRecord(call.function);
  return {
    id: asText(call.id) || `call_${index}`,
    type: 'function',
    function: { name: asText(fn.name), arguments: JSON.stringify(fn.arguments ?? {}) },
  };
};

function failureInBody(root: Json): Failure {
  const body = readErrorBody(JSON.stringify(root));
  return failure(classify(500, body, errorRows), 'an error came inside an answer of status 200', { httpStatus: 200 });
}

export function createStreamReader(): StreamReader {
  let buffer = '';
  let text = '';
  let reasoning = '';
  let last: Json = {};
  let found: Failure | null = null;
  const calls: unknown[] = [];
  const readLine = (line: string) => {
    if (line.trim() === '') return;
    const piece = asRecord(parseProviderJson(line));
    if (piece.error) found ??= failureInBody(piece);
    const message = asRecord(piece.message);
    text += asText(message.content);
    reasoning += asText(message.thinking);
    calls.push(...asList(message.tool_calls));
    last = { ...last, ...piece };
  };
  const partial = (): Answer => toAnswer(last, text, reasoning, calls);
  return {
    push(piece) {
      buffer += piece;
      if (buffer.length > maxEventLength)
        throw new SseTooLongError(`Cannot read the stream: a line is longer than ${maxEventLength} characters`);
      const lines = buffer.split('\n');
      buffer = lines.pop() ?? '';
      lines.forEach(readLine);
    },
    partial,
    end() {
      readLine(buffer);
      if (found) return { kind: 'failure', failure: found };
      if (last.done !== true)
        return {
          kind: 'failure',
          failure: failure('stream_interrupted', 'the stream ended before its last line', { httpStatus: 200 }),
        };
      return { kind: 'answer', answer: partial() };
    },
  };
}
