/** Ollama's answers -> canonical. One in one piece is read as the only line of a stream. */
import { type Answer, emptyAnswer, type FinishReason, type ToolCall } from '../../chat/response.ts';
import { consistentUsage } from '../../domain/usage.ts';
import { failure, type ReadResult, type StreamPiece } from '../dialect.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, wordOf } from '../provider-json.ts';
import { failureInAnswer } from './errors.ts';

/** What of the request decides how its answer is read. */
export interface Asked {
  readonly nowMs: number;
}

/** What an answer says over all of its lines. */
export interface Said {
  text: string;
  reasoning: string;
  readonly calls: ToolCall[];
  readonly logprobs: unknown[];
  /** The fields of the lines, later ones over earlier. */
  last: Json;
}

export const silence = (): Said => ({ text: '', reasoning: '', calls: [], logprobs: [], last: {} });

export function readAnswer(body: unknown, { nowMs }: Asked): ReadResult {
  const root = asRecord(body);
  if (root.error) return { kind: 'failure', failure: failureInAnswer(root, nowMs) };
  if (root.done !== true)
    return {
      kind: 'failure',
      failure: failure('bad_output', 'the answer does not say that it is done', { httpStatus: 200 }),
    };
  const said = silence();
  hear(root, said, () => undefined);
  return conclude(said);
}

/** Takes in one line, and tells what is new in it. */
export function hear(line: Json, said: Said, onPiece: (piece: StreamPiece) => void): void {
  const message = asRecord(line.message);
  const text = asText(message.content);
  const reasoning = asText(message.thinking);
  said.text += text;
  said.reasoning += reasoning;
  said.logprobs.push(...asList(line.logprobs).map(toLogprob));
  said.last = { ...said.last, ...line };
  if (reasoning !== '') onPiece({ kind: 'reasoning', text: reasoning });
  if (text !== '') onPiece({ kind: 'text', text });
  for (const value of asList(message.tool_calls)) {
    const index = said.calls.length;
    const call = toToolCall(value, index, line);
    said.calls.push(call);
    onPiece({ kind: 'tool_call', index, id: call.id, ...call.function });
  }
}

function toToolCall(value: unknown, index: number, line: Json): ToolCall {
  const call = asRecord(value);
  const fn = asRecord(call.function);
  return {
    id: asText(call.id) || `call_${momentOf(line)}_${index}`,
    type: 'function',
    function: {
      name: asText(fn.name),
      arguments: typeof fn.arguments === 'string' ? fn.arguments : JSON.stringify(fn.arguments ?? {}),
    },
  };
}

/** Tells calls of one conversation apart, which older servers give no ids. */
const momentOf = (line: Json): string => asText(line.created_at).replaceAll(/\D/g, '').slice(0, 24) || '0';

const toLogprob = (value: unknown) => ({
  ...tokenOf(value),
  top_logprobs: asList(asRecord(value).top_logprobs).map(tokenOf),
});

function tokenOf(value: unknown) {
  const { token, logprob, bytes } = asRecord(value);
  return {
    token: asText(token),
    logprob: typeof logprob === 'number' ? logprob : null,
    bytes: Array.isArray(bytes) ? bytes.map(asCount) : null,
  };
}

export function toAnswer({ text, reasoning, calls, logprobs, last }: Said): Answer {
  const inputTokens = asCount(last.prompt_eval_count);
  const outputTokens = asCount(last.eval_count);
  const done = asText(last.done_reason);
  const finishReason: FinishReason = calls.length > 0 ? 'tool_calls' : done === 'length' ? 'length' : 'stop';
  return {
    ...emptyAnswer,
    text,
    reasoning,
    toolCalls: calls,
    finishReason,
    logprobs: logprobs.length === 0 ? null : { content: logprobs, refusal: null },
    model: asTextOrNull(last.model),
    // A prompt that was cached whole is not counted: then its length is not known, and not zero.
    usage: inputTokens === null || outputTokens === null ? null : consistentUsage({ inputTokens, outputTokens }),
    warnings: ['', 'stop', 'length'].includes(done)
      ? []
      : [`unknown done reason ${wordOf(done)} read as "${finishReason}"`],
  };
}

export function conclude(said: Said): ReadResult {
  const answer = toAnswer(said);
  const done = said.last.done_reason;
  if (done !== 'load' && done !== 'unload') return { kind: 'answer', answer };
  return {
    kind: 'failure',
    failure: failure('bad_output', `the server did nothing but ${done} the model`, { httpStatus: 200 }),
    partial: answer,
  };
}
