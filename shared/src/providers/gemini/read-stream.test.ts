import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ReadResult, StreamPiece } from '../dialect.ts';
import { nowMs } from '../fixture-call.ts';
import { maxEventLength } from '../sse.ts';
import { toFailure } from '../transport.ts';
import type { Asked } from './collect-answer.ts';
import { createStreamReader } from './read-stream.ts';

const text = 'Grüße 😀 — "да"\n{"data": [DONE]}';
const args = { city: 'Zürich 🏔', n: -1.5e3, quoted: '}"{\\' };
const plain: Asked = { firstCallOnly: false, isContinued: false, toOurs: (name) => name, nowMs };
const chunk = (candidate: object, more: object = {}) => ({
  candidates: [{ index: 0, ...candidate }],
  modelVersion: 'gemini-3.8-flash',
  responseId: 'resp-1',
  ...more,
});
const parts = (...list: object[]) => ({ content: { role: 'model', parts: list } });
const chunks = [
  chunk(parts({ text: 'Hm.', thought: true }), { usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 } }),
  chunk(parts({ text: text.slice(0, 9) })),
  chunk(parts({ text: text.slice(9) }), { usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 12 } }),
  chunk(parts({ functionCall: { id: 'c1', name: 'weather', args }, thoughtSignature: 's1' })),
  chunk(
    { ...parts({ text: '' }), finishReason: 'STOP' },
    { usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 17, thoughtsTokenCount: 3 } },
  ),
];
const sse = (list: readonly object[], end = '\r\n') =>
  list.map((each) => `data: ${JSON.stringify(each)}${end}${end}`).join('');
const asList = (list: readonly object[]) =>
  `[${list.map((each) => JSON.stringify(each, null, 2)).join('\n,\r\n')}\n]\n`;

/** As the transport reads: bytes decoded in a stream, and whatever is thrown translated. */
function read(pieces: readonly Uint8Array[], onPiece: (piece: StreamPiece) => void = () => undefined): ReadResult {
  const reader = createStreamReader(onPiece, plain);
  const decoder = new TextDecoder();
  try {
    for (const piece of pieces) reader.push(decoder.decode(piece, { stream: true }));
    reader.push(decoder.decode());
    return reader.end();
  } catch (error) {
    return { kind: 'failure', failure: toFailure(error, 200) };
  }
}
const readAll = (body: string) => read([Buffer.from(body)]);
const byteByByte = (body: string) => read([...Buffer.from(body)].map((byte) => Uint8Array.of(byte)));
const whole = readAll(sse(chunks));

test('a stream is one answer with text, thoughts, call, signature and the last word on usage', () => {
  expect(whole).toMatchObject({
    kind: 'answer',
    answer: {
      text,
      reasoning: 'Hm.',
      reasoningDetails: [{ type: 'tool_call', tool_call_id: 'c1', thought_signature: 's1' }],
      toolCalls: [{ id: 'c1', function: { name: 'weather', arguments: JSON.stringify(args) } }],
      finishReason: 'tool_calls',
      providerId: 'resp-1',
      model: 'gemini-3.8-flash',
      usage: { inputTokens: 9, outputTokens: 20, reasoningTokens: 3 },
      warnings: [],
    },
  });
});

test('its pieces are told as they come', () => {
  const told: StreamPiece[] = [];
  read([Buffer.from(sse(chunks))], (piece) => told.push(piece));
  expect(told).toEqual([
    { kind: 'reasoning', text: 'Hm.' },
    { kind: 'text', text: text.slice(0, 9) },
    { kind: 'text', text: text.slice(9) },
    { kind: 'tool_call', index: 0, id: 'c1', name: 'weather', arguments: JSON.stringify(args) },
  ]);
});

test('a call without an id gets one, the same in its piece as in the answer', () => {
  const told: StreamPiece[] = [];
  const call = { functionCall: { name: 'now' } };
  const result = read([Buffer.from(sse([chunk({ ...parts(call, call), finishReason: 'STOP' })]))], (piece) =>
    told.push(piece),
  );
  const ids = result.kind === 'answer' ? result.answer.toolCalls.map(({ id }) => id) : [];
  expect(new Set(ids).size).toBe(2);
  expect(told).toMatchObject(ids.map((id, index) => ({ index, id, name: 'now', arguments: '{}' })));
});

describe('a stream', () => {
  test.for([
    ['with LF', sse(chunks, '\n')],
    ['with CR', sse(chunks, '\r')],
    ['with comments and blank lines', `\n\n: hello\n\n${sse(chunks)}`],
    ['as one JSON list', asList(chunks)],
    ['as one JSON list after blanks', ` \n ${asList(chunks)}`],
    ['as bare JSON, one after the other', chunks.map((each) => JSON.stringify(each)).join('\n')],
  ] as const)('gives the same answer %s, byte by byte too', ([, body]) => {
    expect(readAll(body)).toEqual(whole);
    expect(byteByByte(body)).toEqual(whole);
  });

  test('split anywhere, within characters too, gives the same answer', () => {
    const bytes = Buffer.from(sse(chunks));
    const list = Buffer.from(asList(chunks));
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: list.length }), { maxLength: 30 }), (cuts) => {
        for (const body of [bytes, list]) {
          const edges = [0, ...cuts.toSorted((a, b) => a - b), body.length];
          const pieces = edges.slice(1).map((edge, index) => body.subarray(edges[index], edge));
          expect(read(pieces)).toEqual(whole);
        }
      }),
      { numRuns: 200 },
    );
  });

  test.for([
    ['as events', sse(chunks), 1],
    ['as a list', asList(chunks), 1],
  ] as const)('cut at any byte before its last chunk is whole is interrupted, never an answer: %s', ([, body]) => {
    const bytes = Buffer.from(body);
    const end = bytes.lastIndexOf('}') + 1;
    const kinds = new Set<string>();
    for (let at = 0; at < end; at += 1) {
      const result = read([bytes.subarray(0, at)]);
      kinds.add(result.kind === 'answer' ? 'answer' : result.failure.kind);
    }
    expect([...kinds]).toEqual(['stream_interrupted']);
    for (let at = end; at <= bytes.length; at += 1) expect(read([bytes.subarray(0, at)])).toEqual(whole);
  });

  test('of noise is never an answer', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.constantFrom('', '[', '{', 'data: {'),
        (noise, start) => {
          expect(readAll(start + noise).kind).toBe('failure');
        },
      ),
    );
  });

  test('that goes on says with what; a checkpoint in the middle is not that', () => {
    const checkpoint = chunk({ ...parts({ text: 'a' }), continuationToken: 'middle' });
    const open = chunk({ ...parts({ text: 'b' }), finishReason: 'CONTINUATION', continuationToken: 'last' });
    expect(readAll(sse([checkpoint, open]))).toMatchObject({
      answer: { text: 'ab', finishReason: 'length', continuation: 'last' },
    });
    expect(readAll(sse([checkpoint]))).toMatchObject({
      failure: { kind: 'stream_interrupted' },
      partial: { text: 'a', continuation: null },
    });
  });
});

describe('an error of a stream', () => {
  const error = { error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } };
  const pretty = JSON.stringify(error, null, 2);
  const begun = sse(chunks.slice(0, 3));

  test.for([
    ['in its place', pretty],
    ['in its place, in a list', `[${pretty}]\r\n`],
    ['as an event', sse([error])],
    ['as an event, in a list', `data: [${JSON.stringify(error)}]\r\n\r\n`],
    ['in the middle, as an event', begun + sse([error])],
    ['in the middle, as bare JSON', begun + pretty],
    ['in the middle, as bare JSON right after an event', `${begun.trimEnd()}\n${pretty}`],
    ['in the middle of a list', asList([...chunks.slice(0, 3), error])],
  ] as const)('is that error: %s', ([, body]) => {
    const expected = { kind: 'failure', failure: { kind: 'overloaded', httpStatus: 200 } };
    expect(readAll(body)).toMatchObject(expected);
    expect(byteByByte(body)).toMatchObject(expected);
  });

  test('keeps what had come', () => {
    expect(readAll(begun + pretty)).toMatchObject({ partial: { text, usage: { inputTokens: 9, outputTokens: 12 } } });
  });

  test('is a blocked prompt when it says so', () => {
    const body = sse([
      { promptFeedback: { blockReason: 'SAFETY' }, usageMetadata: { promptTokenCount: 4, totalTokenCount: 4 } },
    ]);
    expect(readAll(body)).toMatchObject({
      failure: { kind: 'content_filter', message: 'the prompt was blocked, reason "SAFETY"' },
      partial: { usage: { inputTokens: 4, outputTokens: 0 } },
    });
  });

  test('is a size nobody sends', () => {
    expect(readAll(`[{"text":"${'x'.repeat(maxEventLength)}`)).toMatchObject({ failure: { kind: 'bad_output' } });
  });
});

test('what had come of a broken stream is known, at any point', () => {
  const reader = createStreamReader(() => undefined, plain);
  expect(reader.partial()).toMatchObject({ text: '', usage: null, finishReason: 'stop' });
  reader.push(sse(chunks.slice(0, 3)));
  const early = reader.partial();
  reader.push(sse(chunks.slice(3, 4)));
  expect(early.toolCalls).toEqual([]);
  expect(reader.partial()).toMatchObject({
    text,
    finishReason: 'tool_calls',
    usage: { inputTokens: 9, outputTokens: 12 },
  });
});
