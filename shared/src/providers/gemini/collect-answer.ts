/** What has come of an answer so far. A whole answer is one chunk of it, a stream is many. */
import { createHash } from 'node:crypto';
import { type Answer, emptyAnswer, type ToolCall } from '../../chat/response.ts';
import type { Failure } from '../../domain/failure.ts';
import { failure, type ReadResult, type StreamPiece } from '../dialect.ts';
import { asList, asRecord, asText, asTextOrNull, type Json, wordOf } from '../provider-json.ts';
import { failureInAnswer } from './errors.ts';
import { continues, isUnusable, toFinishReason } from './finish-reason.ts';
import type { SignedPart } from './signed-part.ts';
import { toUsage } from './usage.ts';

/** What of the request decides how its answer is read. */
export interface Asked {
  /** The request asked for one call at a time, for which Gemini has no word: further ones are left out. */
  readonly firstCallOnly: boolean;
  /** It goes on where another answer stopped: positions in its text are not those of the whole text. */
  readonly isContinued: boolean;
  /** From the name under which a tool was declared to the name the caller gave it. */
  readonly toOurs: (name: string) => string;
  readonly nowMs: number;
}

type OnPiece = (piece: StreamPiece) => void;

export interface Collector {
  add(body: unknown): void;
  /** @param isStream a stream that told no finish reason was cut; an answer in one piece is whole all the same */
  end(isStream: boolean): ReadResult;
  partial(): Answer;
}

interface Collected {
  text: string;
  reasoning: string;
  finish: string;
  /** As told; null while the prompt is not blocked. */
  block: string | null;
  continuation: string | null;
  found: Failure | null;
  hasCandidate: boolean;
  leftOutCalls: number;
  leftOutParts: number;
  usage: Json;
  providerId: string | null;
  model: string | null;
  readonly signed: SignedPart[];
  readonly calls: ToolCall[];
  readonly logprobs: unknown[];
}

export function createCollector(onPiece: OnPiece, asked: Asked): Collector {
  const so: Collected = {
    text: '',
    reasoning: '',
    finish: '',
    block: null,
    continuation: null,
    found: null,
    hasCandidate: false,
    leftOutCalls: 0,
    leftOutParts: 0,
    usage: {},
    providerId: null,
    model: null,
    signed: [],
    calls: [],
    logprobs: [],
  };
  return {
    add(body) {
      // One chunk mostly; a list of them where `alt=sse` was lost, or around an error.
      for (const chunk of Array.isArray(body) ? body : [body]) addChunk(asRecord(chunk), so, onPiece, asked);
    },
    end: (isStream) => conclude(so, isStream),
    partial: () => toAnswer(so),
  };
}

function addChunk(chunk: Json, so: Collected, onPiece: OnPiece, asked: Asked): void {
  if (chunk.error) so.found ??= failureInAnswer(chunk, asked.nowMs);
  so.providerId ??= asTextOrNull(chunk.responseId);
  so.model ??= asTextOrNull(asText(chunk.modelVersion).replace(/^models\//, ''));
  // Cumulative: the last word on each count holds.
  so.usage = { ...so.usage, ...asRecord(chunk.usageMetadata) };
  so.block ??= asTextOrNull(asRecord(chunk.promptFeedback).blockReason);
  const [first] = asList(chunk.candidates);
  if (first === undefined) return;
  const candidate = asRecord(first);
  so.hasCandidate = true;
  so.finish = asText(candidate.finishReason).replace(/^FINISH_REASON_UNSPECIFIED$/, '') || so.finish;
  so.continuation = asTextOrNull(candidate.continuationToken ?? chunk.continuationToken) ?? so.continuation;
  for (const each of toLogprobs(asRecord(candidate.logprobsResult))) so.logprobs.push(each);
  for (const part of asList(asRecord(candidate.content).parts)) addPart(asRecord(part), so, onPiece, asked);
}

function addPart(part: Json, so: Collected, onPiece: OnPiece, asked: Asked): void {
  const { firstCallOnly, isContinued, toOurs } = asked;
  const thought_signature = asText(part.thoughtSignature);
  const isSigned = thought_signature !== '';
  if (part.functionCall !== undefined) {
    if (firstCallOnly && so.calls.length > 0) {
      so.leftOutCalls += 1;
      return;
    }
    const call = toToolCall(asRecord(part.functionCall), so, toOurs);
    so.calls.push(call);
    if (isSigned) so.signed.push({ type: 'tool_call', tool_call_id: call.id, thought_signature });
    onPiece({ kind: 'tool_call', index: so.calls.length - 1, id: call.id, ...call.function });
  } else if (typeof part.text !== 'string' && !isSigned) so.leftOutParts += 1;
  else if (part.thought === true) {
    const text = asText(part.text);
    so.reasoning += text;
    if (isSigned) so.signed.push({ type: 'thought', text, thought_signature });
    if (text !== '') onPiece({ kind: 'reasoning', text });
  } else {
    const text = asText(part.text);
    const start = so.text.length;
    so.text += text;
    if (isSigned && !isContinued) so.signed.push({ type: 'text', start, end: so.text.length, thought_signature });
    if (text !== '') onPiece({ kind: 'text', text });
  }
}

/**
 * Older models name no id. One is made of the answer's own and the call, so that it is the same whichever way the answer
 * was read, and no other turn of the conversation has it for another tool.
 */
function toToolCall(call: Json, so: Collected, toOurs: Asked['toOurs']): ToolCall {
  const name = toOurs(asText(call.name));
  const args = JSON.stringify(call.args ?? {});
  const digest = () => createHash('sha256').update(JSON.stringify([so.providerId, so.calls.length, name, args]));
  return {
    id: asText(call.id) || `call_${digest().digest('hex').slice(0, 24)}`,
    type: 'function',
    function: { name, arguments: args },
  };
}

/** Their lists run side by side: what was chosen, and what else was likely, token by token. */
function toLogprobs(result: Json): unknown[] {
  const top = asList(result.topCandidates).map((each) => asList(asRecord(each).candidates).map(toLogprob));
  return asList(result.chosenCandidates).map((each, index) => ({ ...toLogprob(each), top_logprobs: top[index] ?? [] }));
}

const toLogprob = (value: unknown) => {
  const { token, logProbability } = asRecord(value);
  return { token: asText(token), logprob: typeof logProbability === 'number' ? logProbability : null, bytes: null };
};

function toAnswer(so: Collected): Answer {
  const { reason, warnings } = so.finish
    ? toFinishReason(so.finish, so.calls.length > 0)
    : { reason: so.calls.length > 0 ? ('tool_calls' as const) : ('stop' as const), warnings: [] };
  const isOpen = so.finish === continues;
  return {
    ...emptyAnswer,
    text: so.text,
    reasoning: so.reasoning,
    reasoningDetails: [...so.signed],
    toolCalls: [...so.calls],
    finishReason: reason,
    logprobs: so.logprobs.length > 0 ? { content: [...so.logprobs], refusal: null } : null,
    continuation: isOpen ? so.continuation : null,
    providerId: so.providerId,
    model: so.model,
    usage: toUsage(so.usage),
    warnings: [
      ...warnings,
      ...(isOpen && so.continuation === null ? ['the answer is cut, and nothing was given to go on with'] : []),
      ...(so.leftOutCalls > 0 ? [`left out ${so.leftOutCalls} tool calls: one at a time was asked for`] : []),
      ...(so.leftOutParts > 0 ? [`left out ${so.leftOutParts} parts that are neither text nor a tool call`] : []),
    ],
  };
}

function conclude(so: Collected, isStream: boolean): ReadResult {
  const hasCome = so.hasCandidate || Object.keys(so.usage).length > 0;
  const partial = hasCome ? { partial: toAnswer(so) } : {};
  const fail = (found: Failure): ReadResult => ({ kind: 'failure', failure: found, ...partial });
  const inside = (kind: Failure['kind'], message: string) => fail(failure(kind, message, { httpStatus: 200 }));
  if (so.found) return fail(so.found);
  if (so.block !== null && so.finish === '')
    return inside('content_filter', `the prompt was blocked, reason ${wordOf(so.block)}`);
  if (isUnusable(so.finish))
    return inside('bad_output', `the model's answer is not usable, finish reason ${wordOf(so.finish)}`);
  if (isStream && so.finish === '') return inside('stream_interrupted', 'the stream ended before a finish reason');
  if (!so.hasCandidate) return inside('bad_output', 'the answer holds no candidate');
  return { kind: 'answer', answer: toAnswer(so) };
}
