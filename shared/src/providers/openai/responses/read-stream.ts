/**
 * Streamed Responses -> canonical.
 *
 * The last event holds the whole answer, and is what is read; the pieces before it are for who listens, and for what is
 * known when the stream breaks.
 */
import type { Answer } from '../../../chat/response.ts';
import { failure, type ReadResult, type StreamPiece, type StreamReader } from '../../dialect.ts';
import { asCount, asList, asRecord, asText, type Json, parseProviderJson } from '../../provider-json.ts';
import { createSseParser } from '../../sse.ts';
import { failureInAnswer } from '../error-inside.ts';
import type { Asked } from '../read-answer.ts';
import { readResponse, toAnswer } from './read-answer.ts';

type Tell = (piece: StreamPiece) => void;

interface Collected {
  /** `output` as it grows, by its index. */
  readonly items: Map<number, Json>;
  /** What the first event says of the answer: its id and model. */
  head: Json;
  result: ReadResult | null;
}

export function createResponseStreamReader(onPiece: Tell, asked: Asked): StreamReader {
  const so: Collected = { items: new Map(), head: {}, result: null };
  const parser = createSseParser(({ event, data }) => {
    if (data === '' || '[DONE]'.startsWith(data)) return;
    const body = asRecord(parseProviderJson(data));
    readEvent(asText(body.type) || event, body, so, onPiece, asked);
  });
  return {
    push: (text) => parser.push(text),
    partial: () => partialOf(so, asked.toCaller),
    end() {
      parser.end();
      return (
        so.result ?? {
          kind: 'failure',
          failure: failure('stream_interrupted', 'the stream ended before the answer did', { httpStatus: 200 }),
        }
      );
    },
  };
}

const endings = ['response.completed', 'response.incomplete', 'response.failed'];

function readEvent(type: string, body: Json, so: Collected, onPiece: Tell, asked: Asked): void {
  const isError = type === 'error' || (type === '' && Boolean(body.error));
  if (isError) {
    const found = failureInAnswer(body.error ? { error: body.error } : errorOf(body), asked.nowMs);
    so.result ??= { kind: 'failure', failure: found };
  } else if (endings.includes(type)) so.result ??= readResponse(withItems(asRecord(body.response), so), asked);
  else if (body.object === 'response') so.result ??= readResponse(body, asked);
  else if (type === 'response.created') so.head = asRecord(body.response);
  else readPiece(type, body, so, onPiece, asked.toCaller);
}

/** Beside `type: error` stand the fields of the error itself. */
const errorOf = ({ code, message, param }: Json): Json => ({ error: { code, message, param } });

const textKinds: ReadonlyMap<string, 'text' | 'reasoning' | 'refusal'> = new Map([
  ['response.output_text.delta', 'text'],
  ['response.refusal.delta', 'refusal'],
  ['response.reasoning_summary_text.delta', 'reasoning'],
  ['response.reasoning_text.delta', 'reasoning'],
]);

function readPiece(type: string, body: Json, so: Collected, onPiece: Tell, toCaller: Asked['toCaller']): void {
  const at = asCount(body.output_index) ?? 0;
  const delta = asText(body.delta);
  const kind = textKinds.get(type);
  if (kind !== undefined) {
    growItem(so, at, kind, delta);
    if (delta !== '') onPiece({ kind, text: delta });
  } else if (type === 'response.output_item.added' || type === 'response.output_item.done') {
    const item = asRecord(body.item);
    so.items.set(at, { ...item });
    if (type.endsWith('added') && item.type === 'function_call') {
      const id = toCaller(asText(item.call_id)) || `call_${callIndex(so, at)}`;
      onPiece({
        kind: 'tool_call',
        index: callIndex(so, at),
        id,
        name: asText(item.name),
        arguments: asText(item.arguments),
      });
    }
  } else if (type === 'response.function_call_arguments.delta') {
    const item = so.items.get(at) ?? { type: 'function_call' };
    so.items.set(at, { ...item, arguments: asText(item.arguments) + delta });
    if (delta !== '') onPiece({ kind: 'tool_call', index: callIndex(so, at), id: null, name: null, arguments: delta });
  }
}

/** The number of calls before this one. */
const callIndex = ({ items }: Collected, at: number): number =>
  [...items].filter(([index, { type }]) => index < at && type === 'function_call').length;

/** Text goes on in the one part we keep; the item that is done replaces it. */
function growItem(so: Collected, at: number, kind: 'text' | 'reasoning' | 'refusal', delta: string): void {
  const [type, list, field] = kind === 'reasoning' ? ['reasoning', 'summary', 'text'] : ['message', 'content', kind];
  const item = so.items.get(at) ?? { type };
  const [part] = asList(item[list]).map(asRecord);
  so.items.set(at, { ...item, [list]: [{ ...part, [field]: asText(part?.[field]) + delta }] });
}

const outputOf = ({ items }: Collected): Json[] => [...items].toSorted(([a], [b]) => a - b).map(([, item]) => item);

/** Some gateways end with an answer that holds no output. */
const withItems = (response: Json, so: Collected): Json =>
  asList(response.output).length > 0 ? response : { ...response, output: outputOf(so) };

function partialOf(so: Collected, toCaller: Asked['toCaller']): Answer {
  if (so.result) return so.result.kind === 'answer' ? so.result.answer : (so.result.partial ?? collected(so, toCaller));
  return collected(so, toCaller);
}

const collected = (so: Collected, toCaller: Asked['toCaller']): Answer =>
  toAnswer({ ...so.head, status: null, output: outputOf(so) }, toCaller);
