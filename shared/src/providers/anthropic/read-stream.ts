/** Anthropic's streamed answers, block by block. */
import type { Answer } from '../../chat/response.ts';
import type { Failure } from '../../domain/failure.ts';
import { failure, type ReadResult, type StreamPiece, type StreamReader } from '../dialect.ts';
import { asCount, asRecord, asText, type Json, parseProviderJson } from '../provider-json.ts';
import { createSseParser } from '../sse.ts';
import { failureInAnswer } from './errors.ts';
import { type Asked, answerCallId, toAnswer } from './read-answer.ts';

type OnPiece = (piece: StreamPiece) => void;

interface OpenBlock {
  readonly start: Json;
  /** Of a tool call, its number among the calls. */
  readonly call: number;
  text: string;
  json: string;
  isClosed: boolean;
}

interface Collected {
  message: Json;
  usage: Json;
  isStopped: boolean;
  found: Failure | null;
  /** The answer is a tool call, and its first piece is out. */
  isCallTold: boolean;
  readonly blocks: Map<number, OpenBlock>;
}

export function createStreamReader(onPiece: OnPiece, asked: Asked): StreamReader {
  const so: Collected = {
    message: {},
    usage: {},
    isStopped: false,
    found: null,
    isCallTold: false,
    blocks: new Map(),
  };
  const tell = pieceTeller(so, onPiece, asked);
  const parser = createSseParser(({ data }) => readEvent(asRecord(parseProviderJson(data)), so, tell, asked));
  const partial = (): Answer =>
    toAnswer({ ...so.message, usage: so.usage }, [...so.blocks.values()].map(contentOf), asked);
  return {
    push: (piece) => parser.push(piece),
    partial,
    end(): ReadResult {
      parser.end();
      if (so.found) return { kind: 'failure', failure: so.found };
      if (so.isStopped) return { kind: 'answer', answer: partial() };
      return {
        kind: 'failure',
        failure: failure('stream_interrupted', 'the stream ended before message_stop', { httpStatus: 200 }),
      };
    },
  };
}

/** Pieces of no text are none; the text of an answer that is a tool call is told as its arguments. */
function pieceTeller(so: Collected, onPiece: OnPiece, { answerTool }: Asked): OnPiece {
  return (piece) => {
    if (piece.kind === 'tool_call') return onPiece(piece);
    if (piece.text === '') return;
    if (piece.kind !== 'text' || answerTool === null) return onPiece(piece);
    const head = so.isCallTold ? { id: null, name: null } : { id: answerCallId(so.message), name: answerTool };
    so.isCallTold = true;
    onPiece({ kind: 'tool_call', index: 0, ...head, arguments: piece.text });
  };
}

function readEvent(event: Json, so: Collected, tell: OnPiece, { nowMs }: Asked): void {
  const index = asCount(event.index) ?? 0;
  if (event.type === 'message_start') {
    so.message = { ...asRecord(event.message) };
    so.usage = { ...asRecord(so.message.usage) };
  } else if (event.type === 'content_block_start') openBlock(index, { ...asRecord(event.content_block) }, so, tell);
  else if (event.type === 'content_block_delta') readDelta(so.blocks.get(index), asRecord(event.delta), tell);
  else if (event.type === 'content_block_stop') closeBlock(so.blocks.get(index), tell);
  else if (event.type === 'message_delta') readMessageDelta(event, so, tell);
  else if (event.type === 'message_stop') {
    for (const block of so.blocks.values()) closeBlock(block, tell);
    so.isStopped = true;
  } else if (event.type === 'error') so.found ??= failureInAnswer(event, nowMs);
}

function openBlock(index: number, start: Json, so: Collected, tell: OnPiece): void {
  const call = [...so.blocks.values()].filter((block) => block.start.type === 'tool_use').length;
  so.blocks.set(index, { start, call, text: '', json: '', isClosed: false });
  if (start.type === 'text') tell({ kind: 'text', text: asText(start.text) });
  if (start.type === 'thinking') tell({ kind: 'reasoning', text: asText(start.thinking) });
  if (start.type === 'tool_use')
    tell({ kind: 'tool_call', index: call, id: asText(start.id), name: asText(start.name), arguments: '' });
}

function readDelta(block: OpenBlock | undefined, delta: Json, tell: OnPiece): void {
  if (!block) return;
  const { start, call } = block;
  if (typeof delta.signature === 'string') start.signature = delta.signature;
  if (start.type === 'text' || start.type === 'thinking') {
    const text = asText(start.type === 'text' ? delta.text : delta.thinking);
    block.text += text;
    tell({ kind: start.type === 'text' ? 'text' : 'reasoning', text });
    return;
  }
  const json = asText(delta.partial_json);
  block.json += json;
  if (start.type === 'tool_use' && json !== '')
    tell({ kind: 'tool_call', index: call, id: null, name: null, arguments: json });
}

/** A tool without arguments streams none: what it began with is all. */
function closeBlock(block: OpenBlock | undefined, tell: OnPiece): void {
  if (!block || block.isClosed) return;
  block.isClosed = true;
  if (block.start.type !== 'tool_use' || block.json !== '') return;
  const all = JSON.stringify(block.start.input ?? {});
  tell({ kind: 'tool_call', index: block.call, id: null, name: null, arguments: all });
}

function readMessageDelta(event: Json, so: Collected, tell: OnPiece): void {
  const delta = asRecord(event.delta);
  so.message = {
    ...so.message,
    stop_reason: delta.stop_reason ?? so.message.stop_reason,
    stop_details: delta.stop_details ?? so.message.stop_details,
  };
  if (delta.stop_reason === 'refusal')
    tell({ kind: 'refusal', text: asText(asRecord(so.message.stop_details).explanation) });
  // Cumulative, and null where it has nothing to add to `message_start`.
  const counts = Object.entries(asRecord(event.usage)).filter(([, count]) => count !== null);
  so.usage = { ...so.usage, ...Object.fromEntries(counts) };
}

/** Arguments cut by `max_tokens`, or by a break, stay as they were written: the bill and the text are kept. */
function contentOf({ start, text, json }: OpenBlock): Json {
  if (start.type === 'text') return { ...start, text: asText(start.text) + text };
  if (start.type === 'thinking') return { ...start, thinking: asText(start.thinking) + text };
  return json === '' ? start : { ...start, input: json };
}
