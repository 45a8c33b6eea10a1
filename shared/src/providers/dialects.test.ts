/**
 * What every dialect must hold for answers, whatever arrives in whichever pieces.
 *
 * Each entry of `cases` is a surface: the same answer (a text, then one tool call, then usage) in its own words.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { capabilities } from '../chat/capabilities.ts';
import type { FailureKind } from '../domain/failure.ts';
import { Problem } from '../domain/problem.ts';
import { type CallInput, type DialectName, dialectNames, type ReadResult, type StreamPiece } from './dialect.ts';
import { dialectOf } from './dialects.ts';
import { callInput, readingOf } from './fixture-call.ts';
import { plainQuirks } from './quirks.ts';
import { toFailure } from './transport.ts';

const sse = (events: readonly [event: string, data: unknown][]) =>
  events
    .map(([event, data]) => {
      const text = typeof data === 'string' ? data : JSON.stringify(data);
      return `${event === '' ? '' : `event: ${event}\n`}data: ${text}\n\n`;
    })
    .join('');

const text = 'Grüße 😀 — "да"\n{"data": [DONE]}';
const args = '{"city":"Zürich 🏔","n":-1.5e3}';
const openaiChunk = (delta: object, finish: string | null = null) => ({
  id: 'chatcmpl-1',
  model: 'gpt-4.1-mini',
  choices: [{ index: 0, delta, finish_reason: finish }],
});
const tool = { index: 0, id: 'c1', type: 'function', function: { name: 'weather', arguments: '' } };

interface Case {
  readonly dialect: DialectName;
  /** Chooses the surface, where a dialect has two. */
  readonly input?: CallInput;
  readonly body: string;
  /** With its last byte the answer is whole. */
  readonly marker: string;
  readonly lineEnds: readonly string[];
  /** What comes in place of a stream when it fails at once, and what that is. */
  readonly error: readonly [document: string, kind: FailureKind];
}

const ofOpenai: Omit<Case, 'dialect'> = {
  marker: 'data: [DONE]',
  lineEnds: ['\r\n', '\r'],
  error: ['{\n  "error": { "message": "slow down", "code": 429 }\n}\n', 'rate_limit'],
  body: `: hello\n\n${sse([
    ['', openaiChunk({ role: 'assistant', content: '' })],
    ['', openaiChunk({ content: text.slice(0, 9) })],
    ['', openaiChunk({ content: text.slice(9) })],
    ['', openaiChunk({ tool_calls: [tool] })],
    ['', openaiChunk({ tool_calls: [{ index: 0, function: { arguments: args } }] })],
    ['', openaiChunk({}, 'tool_calls')],
    ['', { id: 'chatcmpl-1', choices: [], usage: { prompt_tokens: 9, completion_tokens: 20 } }],
    ['', '[DONE]'],
  ])}`,
};

const call = { type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'weather', arguments: args };
const said = { type: 'message', role: 'assistant', content: [{ type: 'output_text', text }] };
const responsesEvents = [
  { type: 'response.created', response: { id: 'resp_1', model: 'gpt-5-pro', output: [] } },
  { type: 'response.output_item.added', output_index: 0, item: { ...said, content: [] } },
  { type: 'response.output_text.delta', output_index: 0, delta: text.slice(0, 9) },
  { type: 'response.output_text.delta', output_index: 0, delta: text.slice(9) },
  { type: 'response.output_item.done', output_index: 0, item: said },
  { type: 'response.output_item.added', output_index: 1, item: { ...call, arguments: '' } },
  { type: 'response.function_call_arguments.delta', output_index: 1, delta: args },
  { type: 'response.output_item.done', output_index: 1, item: call },
  {
    type: 'response.completed',
    response: {
      id: 'resp_1',
      model: 'gpt-5-pro',
      status: 'completed',
      output: [said, call],
      usage: { input_tokens: 9, output_tokens: 20 },
    },
  },
];

const geminiChunk = (parts: object[], more: object = {}) => ({
  candidates: [{ index: 0, content: { role: 'model', parts }, ...more }],
  usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 20 },
});
const geminiEnd = geminiChunk([{ text: '' }], { finishReason: 'STOP' });

const cohereCall = (value: object) => ({ message: { tool_calls: value } });
const cohereEnd = {
  type: 'message-end',
  delta: { finish_reason: 'TOOL_CALL', usage: { tokens: { input_tokens: 9, output_tokens: 20 } } },
};
const cohereEvents = [
  { type: 'message-start', id: 'r1', delta: { message: { role: 'assistant', content: [] } } },
  { type: 'content-start', index: 0, delta: { message: { content: { type: 'text', text: '' } } } },
  { type: 'content-delta', index: 0, delta: { message: { content: { text } } } },
  { type: 'content-end', index: 0 },
  {
    type: 'tool-call-start',
    index: 0,
    delta: cohereCall({ id: 'c1', type: 'function', function: { name: 'weather', arguments: '' } }),
  },
  { type: 'tool-call-delta', index: 0, delta: cohereCall({ function: { arguments: args } }) },
  { type: 'tool-call-end', index: 0 },
  cohereEnd,
];

const cases: Readonly<Record<string, Case>> = {
  openai: { dialect: 'openai', ...ofOpenai },
  'azure-openai': { dialect: 'azure-openai', ...ofOpenai },
  'openai on Responses': {
    ...ofOpenai,
    dialect: 'openai',
    input: callInput({}, { model: 'gpt-5-pro', quirks: { ...plainQuirks, vendorRules: 'openai' } }),
    marker: JSON.stringify(responsesEvents.at(-1)),
    body: sse(responsesEvents.map((event) => [event.type, event])),
  },
  gemini: {
    dialect: 'gemini',
    marker: JSON.stringify(geminiEnd),
    lineEnds: ['\r\n', '\r'],
    error: ['{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}', 'overloaded'],
    body: sse([
      ['', geminiChunk([{ text: text.slice(0, 9) }])],
      ['', geminiChunk([{ text: text.slice(9) }])],
      ['', geminiChunk([{ functionCall: { id: 'c1', name: 'weather', args: JSON.parse(args) } }])],
      ['', geminiEnd],
    ]),
  },
  cohere: {
    dialect: 'cohere',
    marker: JSON.stringify(cohereEnd),
    lineEnds: ['\r\n', '\r'],
    error: ['{"message":"invalid request: model x"}', 'server_error'],
    body: sse([...cohereEvents.map((event): [string, object] => [event.type, event]), ['', '[DONE]']]),
  },
  anthropic: {
    dialect: 'anthropic',
    lineEnds: ['\r\n', '\r'],
    error: ['{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}', 'rate_limit'],
    marker: '{"type":"message_stop"}',
    body: sse([
      [
        'message_start',
        {
          type: 'message_start',
          message: { id: 'msg_1', model: 'claude-haiku-4-5', usage: { input_tokens: 9, output_tokens: 1 } },
        },
      ],
      ['content_block_start', { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }],
      ['content_block_delta', { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }],
      ['content_block_stop', { type: 'content_block_stop', index: 0 }],
      ['ping', { type: 'ping' }],
      [
        'content_block_start',
        {
          type: 'content_block_start',
          index: 1,
          content_block: { type: 'tool_use', id: 'c1', name: 'weather', input: {} },
        },
      ],
      [
        'content_block_delta',
        { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: args } },
      ],
      ['content_block_stop', { type: 'content_block_stop', index: 1 }],
      ['message_delta', { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 20 } }],
      ['message_stop', { type: 'message_stop' }],
    ]),
  },
  ollama: {
    dialect: 'ollama',
    lineEnds: ['\r\n'],
    error: ['{"error":"maximum pending requests exceeded"}', 'overloaded'],
    marker: '"eval_count":20}',
    body: [
      { model: 'llama3.2', message: { role: 'assistant', content: text }, done: false },
      {
        model: 'llama3.2',
        message: {
          content: '',
          tool_calls: [{ id: 'c1', function: { name: 'weather', arguments: JSON.parse(args) } }],
        },
        done: false,
      },
      {
        model: 'llama3.2',
        message: { content: '' },
        done: true,
        done_reason: 'stop',
        prompt_eval_count: 9,
        eval_count: 20,
      },
    ]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join(''),
  },
};
const all = Object.entries(cases).map(([name, each]) => ({ name, ...each }));
const bytesOf = ({ body }: Case) => Buffer.from(body);
const oneByOne = (bytes: Uint8Array) => [...bytes].map((byte) => Uint8Array.of(byte));
const readerOf = ({ dialect, input }: Case) => readingOf(dialect, input).reader;

/** As the transport reads: bytes decoded in a stream, and whatever is thrown translated. */
function read(each: Case, pieces: readonly Uint8Array[], onPiece: (piece: StreamPiece) => void = () => {}): ReadResult {
  const reader = readerOf(each).createStreamReader(onPiece);
  const decoder = new TextDecoder();
  try {
    for (const piece of pieces) reader.push(decoder.decode(piece, { stream: true }));
    reader.push(decoder.decode());
    return reader.end();
  } catch (error) {
    return { kind: 'failure', failure: toFailure(error, 200) };
  }
}

test('every dialect has a case', () => {
  expect(new Set(all.map((each) => each.dialect))).toEqual(new Set(dialectNames));
});

test.for(all)('$name: the whole stream is one answer with text, tool call and usage', (each) => {
  const result = read(each, [bytesOf(each)]);
  if (result.kind !== 'answer') throw new Error(result.failure.message);
  expect(result.answer).toMatchObject({
    text,
    finishReason: 'tool_calls',
    usage: { inputTokens: 9, outputTokens: 20 },
    toolCalls: [{ id: 'c1', function: { name: 'weather' } }],
  });
  expect(JSON.parse(result.answer.toolCalls[0]?.function.arguments ?? '')).toEqual(JSON.parse(args));
});

test.for(all)('$name: what is told piece by piece is the answer', (each) => {
  const pieces: StreamPiece[] = [];
  const result = read(each, [bytesOf(each)], (piece) => pieces.push(piece));
  if (result.kind !== 'answer') throw new Error(result.failure.message);
  const calls = pieces.filter((piece) => piece.kind === 'tool_call');
  expect(pieces.map((piece) => (piece.kind === 'text' ? piece.text : '')).join('')).toBe(text);
  expect(calls[0]).toMatchObject({ index: 0, id: 'c1', name: 'weather' });
  expect(calls.map((piece) => piece.arguments).join('')).toBe(result.answer.toolCalls[0]?.function.arguments);
});

test.for(all)('$name: a stream cut at any byte before its end marker is interrupted, never an answer', (each) => {
  const bytes = bytesOf(each);
  const whole = read(each, [bytes]);
  const end = bytes.lastIndexOf(each.marker) + Buffer.byteLength(each.marker);
  const kinds = new Set<string>();
  for (let at = 0; at < end; at += 1) {
    const result = read(each, [bytes.subarray(0, at)]);
    kinds.add(result.kind === 'answer' ? `answer at ${at}` : result.failure.kind);
  }
  expect([...kinds]).toEqual(['stream_interrupted']);
  for (let at = end; at <= bytes.length; at += 1) expect(read(each, [bytes.subarray(0, at)])).toEqual(whole);
});

test.for(all)('$name: pieces split anywhere, within characters too, give the same answer', (each) => {
  const bytes = bytesOf(each);
  const whole = read(each, [bytes]);
  expect(read(each, oneByOne(bytes))).toEqual(whole);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: bytes.length }), { maxLength: 30 }), (cuts) => {
      const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const pieces = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
      expect(read(each, pieces)).toEqual(whole);
    }),
    { numRuns: 300 },
  );
});

const lineEnds = all.flatMap((each) =>
  each.lineEnds.map((lineEnd) => ({ ...each, lineEnd, ending: JSON.stringify(lineEnd) })),
);
test.for(lineEnds)('$name: lines that end in $ending give the same answer, byte by byte too', (each) => {
  const whole = read(each, [bytesOf(each)]);
  const bytes = Buffer.from(each.body.replaceAll('\n', each.lineEnd));
  expect(read(each, [bytes])).toEqual(whole);
  expect(read(each, oneByOne(bytes))).toEqual(whole);
});

test.for(all)('$name: an error document in place of a stream is that error', (each) => {
  const [document, kind] = each.error;
  for (const pieces of [[Buffer.from(document)], oneByOne(Buffer.from(document))])
    expect(read(each, pieces)).toMatchObject({ kind: 'failure', failure: { kind } });
});

test.for(all)('$name: random text is never an answer', (each) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (noise) => {
      expect(read(each, [Buffer.from(noise)]).kind).toBe('failure');
    }),
  );
});

test.for(all)('$name: a JSON value of any shape is read without throwing', (each) => {
  const reader = readerOf(each);
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(['answer', 'failure']).toContain(reader.readAnswer(value).kind);
    }),
  );
});

test.for(all)('$name: an event that holds any JSON is read, or refused as JSON', (each) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const body = each.dialect === 'ollama' ? `${JSON.stringify(value)}\n` : sse([['', JSON.stringify(value)]]);
      try {
        readerOf(each)
          .createStreamReader(() => {})
          .push(body);
      } catch (error) {
        expect(error).toBeInstanceOf(Problem);
      }
    }),
  );
});

const resets_at = '2026-11-21T12:00:09Z';
const dayMs = 86_400_000;
const perDay = {
  '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
  violations: [{ quotaId: 'GenerateRequestsPerDayPerProjectPerModel' }],
};
test.for<[DialectName, object, number]>([
  ['openai', { error: { code: 429, metadata: { resets_at } } }, 9_000],
  ['azure-openai', { error: { code: 429, metadata: { resets_at } } }, 9_000],
  ['anthropic', { type: 'error', error: { type: 'rate_limit_error', resets_at } }, 9_000],
  ['ollama', { error: 'server busy', resets_at }, 9_000],
  ['gemini', { error: { code: 429, status: 'RESOURCE_EXHAUSTED', details: [perDay] } }, (20 / 24) * dayMs],
  ['cohere', { message: 'too many requests: a Trial key is limited to 1000 API calls / month' }, 9.5 * dayMs],
])('%s: an error of status 200 knows what time it is, streamed or not', ([name, body, retryAfterMs]) => {
  const { reader } = readingOf(name);
  const stream = reader.createStreamReader(() => {});
  stream.push(JSON.stringify(body));
  for (const result of [reader.readAnswer(body), stream.end()])
    expect(result).toMatchObject({ kind: 'failure', failure: { retryAfterMs } });
});

test.for(dialectNames)('%s: a dialect is found by its name, and lacks what is a capability, each once', (name) => {
  const { lacks } = dialectOf(name);
  expect(dialectOf(name).name).toBe(name);
  expect(capabilities).toEqual(expect.arrayContaining([...lacks]));
  expect(new Set(lacks).size).toBe(lacks.length);
});

test.for(dialectNames)('%s: has embeddings, or is known to lack them', (name) => {
  expect(dialectOf(name).embeddings === null).toBe(dialectOf(name).lacks.includes('embeddings'));
});
