/**
 * Cohere's streamed answers -> canonical, event by event.
 *
 * Whole when `message-end` was seen: it tells how the answer ended and what it used. The marker after it adds nothing.
 */
import type { Answer } from '../../chat/response.ts';
import type { Failure } from '../../domain/failure.ts';
import { failure, type StreamPiece, type StreamReader } from '../dialect.ts';
import { asCount, asList, asRecord, asText, type Json, parseProviderJson } from '../provider-json.ts';
import { createSseParser } from '../sse.ts';
import { failureInAnswer } from './errors.ts';
import { type Asked, conclude, toAnswer } from './read-answer.ts';

interface CallSoFar {
  /** Which call it is, by the order they came in. */
  readonly order: number;
  readonly id: string;
  readonly name: string;
  arguments: string;
}

/** What has come so far, and who is told of each piece. */
interface Collected {
  readonly asked: Asked;
  readonly onPiece: (piece: StreamPiece) => void;
  id: unknown;
  text: string;
  reasoning: string;
  plan: string;
  /** By the index of their block: each goes back as a part of its own. */
  readonly thinking: Map<number, string>;
  readonly calls: Map<number, CallSoFar>;
  readonly logprobs: unknown[];
  /** `delta` of `message-end`; null before it. */
  end: Json | null;
  found: Failure | null;
}

export function createStreamReader(onPiece: (piece: StreamPiece) => void, asked: Asked): StreamReader {
  const so: Collected = {
    asked,
    onPiece,
    id: null,
    text: '',
    reasoning: '',
    plan: '',
    thinking: new Map(),
    calls: new Map(),
    logprobs: [],
    end: null,
    found: null,
  };
  const parser = createSseParser(({ data }) => {
    if (!'[DONE]'.startsWith(data)) readEvent(asRecord(parseProviderJson(data)), so); // The marker itself may be cut.
  });
  return {
    push: (piece) => parser.push(piece),
    partial: () => collect(so),
    end() {
      parser.end();
      if (so.found) return { kind: 'failure', failure: so.found };
      if (so.end) return conclude(collect(so), asText(so.end.finish_reason), asText(so.end.error), asked.nowMs);
      const cut = failure('stream_interrupted', 'the stream ended before message-end', { httpStatus: 200 });
      return { kind: 'failure', failure: cut };
    },
  };
}

function readEvent(event: Json, so: Collected): void {
  const delta = asRecord(event.delta);
  const message = asRecord(delta.message);
  const index = asCount(event.index);
  switch (event.type) {
    case 'message-start':
      so.id = event.id;
      break;
    case 'content-start':
    case 'content-delta':
      if (event.logprobs !== undefined) so.logprobs.push(event.logprobs);
      readContent(asRecord(message.content), index ?? 0, so);
      break;
    case 'tool-plan-delta':
      so.plan += asText(message.tool_plan);
      tell('reasoning', asText(message.tool_plan), so);
      break;
    case 'tool-call-start':
    case 'tool-call-delta':
      // One call to an event; read from a list all the same.
      readCall(asRecord(asList(message.tool_calls)[0] ?? message.tool_calls), index, so);
      break;
    case 'tool-call-end':
      endCall(index, so);
      break;
    case 'message-end':
      so.end = delta;
      break;
    default:
      // An error in place of a stream, or in the middle of one, is a bare text.
      if (typeof event.message === 'string') so.found ??= failureInAnswer(event.message, so.asked.nowMs);
  }
}

function tell(kind: 'text' | 'reasoning', text: string, so: Collected): void {
  if (text === '') return;
  so[kind] += text;
  so.onPiece({ kind, text });
}

function readContent(content: Json, index: number, so: Collected): void {
  const thinking = asText(content.thinking);
  if (thinking !== '') so.thinking.set(index, (so.thinking.get(index) ?? '') + thinking);
  tell('reasoning', thinking, so);
  tell('text', asText(content.text), so);
}

/** The call of an event that gives no index is the last one. */
const indexOfLast = ({ calls }: Collected): number => [...calls.keys()].at(-1) ?? 0;

function readCall(piece: Json, given: number | null, so: Collected): void {
  const fn = asRecord(piece.function);
  const begins = asText(piece.id) !== '' || asText(fn.name) !== '';
  const index = given ?? (begins ? so.calls.size : indexOfLast(so));
  const known = so.calls.get(index);
  const order = so.calls.size;
  const call = known ?? {
    order,
    id: asText(piece.id) || `call_${order}`,
    name: so.asked.toOurs(asText(fn.name)),
    arguments: '',
  };
  so.calls.set(index, call);
  addArguments(call, asText(fn.arguments), known === undefined, so);
}

/** No arguments are an empty object: callers parse what they get. */
function endCall(given: number | null, so: Collected): void {
  const call = so.calls.get(given ?? indexOfLast(so));
  if (call?.arguments === '') addArguments(call, '{}', false, so);
}

function addArguments(call: CallSoFar, text: string, isFirst: boolean, so: Collected): void {
  call.arguments += text;
  if (!isFirst && text === '') return;
  const { order, id, name } = call;
  so.onPiece({
    kind: 'tool_call',
    index: order,
    id: isFirst ? id : null,
    name: isFirst ? name : null,
    arguments: text,
  });
}

/** One answer of the pieces: its texts are their sum in the order they came, as whoever followed has seen them. */
function collect(so: Collected): Answer {
  const root = {
    id: so.id,
    finish_reason: so.end?.finish_reason,
    message: {
      content: [...so.thinking.values()].map((thinking) => ({ type: 'thinking', thinking })),
      tool_plan: so.plan,
      tool_calls: [...so.calls.values()].map(({ id, name, arguments: text }) => ({
        id,
        function: { name, arguments: text },
      })),
    },
    usage: so.end?.usage,
    logprobs: so.logprobs,
  };
  // The names are the caller's already.
  const answer = toAnswer(root, (name) => name);
  return { ...answer, text: so.text, reasoning: so.reasoning };
}
