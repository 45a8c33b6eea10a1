/** Streamed Chat Completions -> canonical, chunk by chunk. */
import { type Answer, emptyAnswer } from '../../chat/response.ts';
import type { Failure } from '../../domain/failure.ts';
import type { Usage } from '../../domain/usage.ts';
import { failure, type ReadResult, type StreamReader } from '../dialect.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, parseProviderJson } from '../provider-json.ts';
import { createSseParser } from '../sse.ts';
import { contentText, failedAnswer, failureInBody, toFinishReason, toToolCall, toUsage } from './read-answer.ts';

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

/** What has come so far. */
interface Collected {
  text: string;
  reasoning: string;
  refusal: string;
  finish: string;
  isDone: boolean;
  found: Failure | null;
  model: string | null;
  providerId: string | null;
  usage: Usage | null;
  readonly calls: Map<number, CallPiece>;
}

/** Assembles a stream of chunks. Whole only when `[DONE]` was seen: usage comes after the finish reason. */
export function createStreamReader(): StreamReader {
  const so: Collected = {
    text: '',
    reasoning: '',
    refusal: '',
    finish: '',
    isDone: false,
    found: null,
    model: null,
    providerId: null,
    usage: null,
    calls: new Map(),
  };
  const parser = createSseParser(({ data }) => {
    if (data === '[DONE]') so.isDone = true;
    // The marker itself may be cut: `end` says so.
    else if (!'[DONE]'.startsWith(data)) readChunk(asRecord(parseProviderJson(data)), so);
  });
  return {
    push: (piece) => parser.push(piece),
    partial: () => toAnswer(so),
    end() {
      parser.end();
      return conclude(so);
    },
  };
}

function readChunk(chunk: Json, so: Collected): void {
  so.model ??= asTextOrNull(chunk.model);
  so.providerId ??= asTextOrNull(chunk.id);
  so.usage = toUsage(chunk.usage ?? asRecord(chunk.x_groq).usage) ?? so.usage;
  const choice = asRecord(asList(chunk.choices)[0]);
  const carrier = [chunk, choice, asRecord(chunk.x_groq)].find((each) => each.error);
  if (carrier) so.found ??= failureInBody(carrier);
  so.finish ||= asText(choice.finish_reason);
  readDelta(asRecord(choice.delta), so);
}

function readDelta(delta: Json, so: Collected): void {
  so.text += contentText(delta.content);
  so.reasoning += asText(delta.reasoning_content ?? delta.reasoning);
  so.refusal += asText(delta.refusal);
  for (const value of asList(delta.tool_calls)) {
    const piece = asRecord(value);
    const index = indexOfPiece(piece, so.calls);
    const call = so.calls.get(index) ?? { id: '', name: '', arguments: '' };
    const fn = asRecord(piece.function);
    call.id ||= asText(piece.id);
    call.name ||= asText(fn.name);
    call.arguments += asText(fn.arguments);
    so.calls.set(index, call);
  }
}

function toAnswer({ text, reasoning, refusal, finish, calls, model, providerId, usage }: Collected): Answer {
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
}

function conclude(so: Collected): ReadResult {
  if (so.found) return { kind: 'failure', failure: so.found };
  if (so.finish === 'error') return { kind: 'failure', failure: failedAnswer };
  if (so.isDone) return { kind: 'answer', answer: toAnswer(so) };
  return {
    kind: 'failure',
    failure: failure('stream_interrupted', 'the stream ended before the answer did', { httpStatus: 200 }),
  };
}
