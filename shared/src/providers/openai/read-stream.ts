/** Streamed Chat Completions -> canonical, chunk by chunk. */
import { type Answer, emptyAnswer } from '../../chat/response.ts';
import type { Failure } from '../../domain/failure.ts';
import type { Usage } from '../../domain/usage.ts';
import { failure, type ReadResult, type StreamPiece, type StreamReader } from '../dialect.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, type Json, parseProviderJson } from '../provider-json.ts';
import { createSseParser } from '../sse.ts';
import { failedAnswer, failureInAnswer } from './error-inside.ts';
import { type Asked, contentText, toFinishReason, toToolCall, toUsage } from './read-answer.ts';
import { addReasoningPiece, reasoningText } from './read-reasoning.ts';

interface CallSoFar {
  id: string;
  name: string;
  arguments: string;
  /** Among the calls of its choice. */
  readonly position: number;
  isTold: boolean;
}

interface ChoiceSoFar {
  text: string;
  reasoning: string;
  refusal: string;
  finish: string;
  logprobs: Record<string, unknown[]> | null;
  readonly reasoningDetails: Json[];
  readonly calls: Map<number, CallSoFar>;
}

/** What has come so far. */
interface Collected {
  isDone: boolean;
  found: Failure | null;
  model: string | null;
  providerId: string | null;
  usage: Usage | null;
  readonly choices: Map<number, ChoiceSoFar>;
}

type Tell = (piece: StreamPiece) => void;
const tellNobody: Tell = () => undefined;

export function createStreamReader(onPiece: Tell, asked: Asked): StreamReader {
  const so: Collected = {
    isDone: false,
    found: null,
    model: null,
    providerId: null,
    usage: null,
    choices: new Map(),
  };
  const parser = createSseParser(({ data }) => {
    if (data === '[DONE]') so.isDone = true;
    // The marker itself may be cut: `end` says so.
    else if (!'[DONE]'.startsWith(data)) readChunk(asRecord(parseProviderJson(data)), so, onPiece, asked);
  });
  return {
    push: (piece) => parser.push(piece),
    partial: () => toAnswer(so, asked.toCaller),
    end() {
      parser.end();
      return conclude(so, asked.toCaller);
    },
  };
}

function readChunk(chunk: Json, so: Collected, onPiece: Tell, { toCaller, nowMs }: Asked): void {
  so.model ??= asTextOrNull(chunk.model);
  so.providerId ??= asTextOrNull(chunk.id);
  so.usage = toUsage(chunk.usage ?? asRecord(chunk.x_groq).usage) ?? so.usage;
  const choices = asList(chunk.choices).map(asRecord);
  const carrier = [chunk, ...choices, asRecord(chunk.x_groq)].find((each) => each.error);
  if (carrier) so.found ??= failureInAnswer(carrier, nowMs);
  for (const choice of choices) {
    const index = asCount(choice.index) ?? 0;
    const one = so.choices.get(index) ?? newChoice();
    so.choices.set(index, one);
    one.finish ||= asText(choice.finish_reason);
    addLogprobs(one, choice.logprobs);
    // Who listens hears the first choice: pieces do not say whose they are.
    readDelta(asRecord(choice.delta), one, index === 0 ? onPiece : tellNobody, toCaller);
  }
}

const newChoice = (): ChoiceSoFar => ({
  text: '',
  reasoning: '',
  refusal: '',
  finish: '',
  logprobs: null,
  reasoningDetails: [],
  calls: new Map(),
});

function addLogprobs(choice: ChoiceSoFar, value: unknown): void {
  for (const [field, list] of Object.entries(asRecord(value))) {
    if ((field !== 'content' && field !== 'refusal') || !Array.isArray(list)) continue;
    choice.logprobs ??= {};
    choice.logprobs[field] ??= [];
    choice.logprobs[field].push(...list);
  }
}

function readDelta(delta: Json, choice: ChoiceSoFar, onPiece: Tell, toCaller: Asked['toCaller']): void {
  const said = {
    reasoning: reasoningText(delta),
    text: contentText(delta.content),
    refusal: asText(delta.refusal),
  };
  for (const kind of ['reasoning', 'text', 'refusal'] as const) {
    choice[kind] += said[kind];
    if (said[kind] !== '') onPiece({ kind, text: said[kind] });
  }
  for (const piece of asList(delta.reasoning_details)) addReasoningPiece(choice.reasoningDetails, asRecord(piece));
  for (const piece of asList(delta.tool_calls)) readCallPiece(asRecord(piece), choice.calls, onPiece, toCaller);
}

function readCallPiece(piece: Json, calls: ChoiceSoFar['calls'], onPiece: Tell, toCaller: Asked['toCaller']): void {
  const index = indexOfPiece(piece, calls);
  const call = calls.get(index) ?? { id: '', name: '', arguments: '', position: calls.size, isTold: false };
  calls.set(index, call);
  const fn = asRecord(piece.function);
  call.id ||= asText(piece.id);
  call.name ||= asText(fn.name);
  call.arguments += asText(fn.arguments);
  if (call.name === '') return;
  const isFirst = !call.isTold;
  call.isTold = true;
  // Told once, an id stays: the answer must name the same one.
  call.id ||= `call_${call.position}`;
  if (isFirst || asText(fn.arguments) !== '')
    onPiece({
      kind: 'tool_call',
      index: call.position,
      id: isFirst ? toCaller(call.id) : null,
      name: isFirst ? call.name : null,
      arguments: isFirst ? call.arguments : asText(fn.arguments),
    });
}

/**
 * Where a piece of a tool call belongs. Some servers leave the index out, repeat the id in every piece, or send
 * whole calls: then a new id, or a name where there is no id, begins a new call.
 */
function indexOfPiece(piece: Json, calls: ChoiceSoFar['calls']): number {
  const index = asCount(piece.index);
  if (index !== null) return index;
  const id = asText(piece.id);
  const known = [...calls].find(([, call]) => id !== '' && call.id === id);
  if (known) return known[0];
  const beginsCall = id !== '' || asText(asRecord(piece.function).name) !== '';
  return beginsCall ? calls.size : Math.max(0, calls.size - 1);
}

const callsOf = ({ calls }: ChoiceSoFar, toCaller: Asked['toCaller']) =>
  [...calls.values()].map(({ id, name, arguments: args }, index) =>
    toToolCall({ id, function: { name, arguments: args } }, index, toCaller),
  );

function toAnswer({ choices, model, providerId, usage }: Collected, toCaller: Asked['toCaller']): Answer {
  const first = choices.get(0) ?? newChoice();
  const toolCalls = callsOf(first, toCaller);
  const { reason, warnings } = toFinishReason(first.finish, toolCalls);
  return {
    ...emptyAnswer,
    text: first.text,
    reasoning: first.reasoning,
    reasoningDetails: first.reasoningDetails,
    refusal: first.refusal || null,
    toolCalls,
    finishReason: reason,
    logprobs: first.logprobs,
    otherChoices: [...choices]
      .filter(([index]) => index !== 0)
      .toSorted(([a], [b]) => a - b)
      .map(([index, choice]) => toOtherChoice(index, choice, toCaller)),
    model,
    providerId,
    usage,
    warnings,
  };
}

/** As the provider would have sent it whole. */
function toOtherChoice(index: number, choice: ChoiceSoFar, toCaller: Asked['toCaller']): Json {
  const toolCalls = callsOf(choice, toCaller);
  return {
    index,
    message: {
      role: 'assistant',
      content: choice.text === '' && toolCalls.length > 0 ? null : choice.text,
      refusal: choice.refusal || null,
      ...(toolCalls.length > 0 ? { tool_calls: toolCalls } : {}),
    },
    logprobs: choice.logprobs,
    finish_reason: choice.finish || null,
  };
}

/** Whole only when `[DONE]` was seen: usage comes after the finish reason. */
function conclude(so: Collected, toCaller: Asked['toCaller']): ReadResult {
  if (so.found) return { kind: 'failure', failure: so.found };
  if (so.choices.get(0)?.finish === 'error') return { kind: 'failure', failure: failedAnswer };
  if (so.isDone) return { kind: 'answer', answer: toAnswer(so, toCaller) };
  return {
    kind: 'failure',
    failure: failure('stream_interrupted', 'the stream ended before the answer did', { httpStatus: 200 }),
  };
}
