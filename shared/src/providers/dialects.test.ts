/** What every dialect must hold for streams, whatever arrives in whichever pieces. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DialectName, ReadResult } from './dialect.ts';
import { dialectOf } from './dialects.ts';
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

const streams: Readonly<Record<DialectName, { body: string; marker: string }>> = {
  openai: {
    marker: 'data: [DONE]',
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
  },
  anthropic: {
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
const names = Object.keys(streams) as DialectName[];

/** As the transport reads: bytes decoded in a stream, and whatever is thrown translated. */
function read(name: DialectName, pieces: readonly Uint8Array[]): ReadResult {
  const reader = dialectOf(name).createStreamReader();
  const decoder = new TextDecoder();
  try {
    for (const piece of pieces) reader.push(decoder.decode(piece, { stream: true }));
    reader.push(decoder.decode());
    return reader.end();
  } catch (error) {
    return { kind: 'failure', failure: toFailure(error, 200) };
  }
}

test.for(names)('%s: the whole stream is one answer with text, tool call and usage', (name) => {
  const result = read(name, [Buffer.from(streams[name].body)]);
  if (result.kind !== 'answer') throw new Error(result.failure.message);
  expect(result.answer).toMatchObject({
    text,
    finishReason: 'tool_calls',
    usage: { inputTokens: 9, outputTokens: 20 },
    toolCalls: [{ id: 'c1', function: { name: 'weather' } }],
  });
  expect(JSON.parse(result.answer.toolCalls[0]?.function.arguments ?? '')).toEqual(JSON.parse(args));
});

test.for(names)('%s: a stream cut at any byte before its end marker is interrupted, never an answer', (name) => {
  const bytes = Buffer.from(streams[name].body);
  const whole = read(name, [bytes]);
  const end = bytes.lastIndexOf(streams[name].marker) + Buffer.byteLength(streams[name].marker);
  const kinds = new Map<string, number[]>();
  for (let at = 0; at < end; at += 1) {
    const result = read(name, [bytes.subarray(0, at)]);
    const kind = result.kind === 'answer' ? 'answer' : result.failure.kind;
    kinds.set(kind, [...(kinds.get(kind) ?? []), at]);
  }
  expect([...kinds.keys()]).toEqual(['stream_interrupted']);
  for (let at = end; at <= bytes.length; at += 1) expect(read(name, [bytes.subarray(0, at)])).toEqual(whole);
});

test.for(names)('%s: pieces split anywhere, within characters too, give the same answer', (name) => {
  const bytes = Buffer.from(streams[name].body);
  const whole = read(name, [bytes]);
  expect(
    read(
      name,
      [...bytes].map((byte) => Uint8Array.of(byte)),
    ),
  ).toEqual(whole);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: bytes.length }), { maxLength: 30 }), (cuts) => {
      const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      const pieces = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
      expect(read(name, pieces)).toEqual(whole);
    }),
    { numRuns: 300 },
  );
});

test.for([
  ['openai', '\r\n'],
  ['openai', '\r'],
  ['anthropic', '\r\n'],
  ['anthropic', '\r'],
  ['ollama', '\r\n'],
] as const)('%s: lines that end in %j give the same answer, byte by byte too', ([name, lineEnd]) => {
  const whole = read(name, [Buffer.from(streams[name].body)]);
  const bytes = Buffer.from(streams[name].body.replaceAll('\n', lineEnd));
  expect(read(name, [bytes])).toEqual(whole);
  expect(
    read(
      name,
      [...bytes].map((byte) => Uint8Array.of(byte)),
    ),
  ).toEqual(whole);
});

const errorDocuments = {
  openai: '{\n  "error": { "message": "slow down", "code": 429 }\n}\n',
  anthropic: '{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}',
  ollama: '{"error":"maximum pending requests exceeded"}',
};
test.for([
  ['openai', 'rate_limit'],
  ['anthropic', 'rate_limit'],
  ['ollama', 'overloaded'],
] as const)('%s: an error document in place of a stream is that error', ([name, kind]) => {
  const bytes = Buffer.from(errorDocuments[name]);
  expect(read(name, [bytes])).toMatchObject({ kind: 'failure', failure: { kind } });
  expect(
    read(
      name,
      [...bytes].map((byte) => Uint8Array.of(byte)),
    ),
  ).toMatchObject({ kind: 'failure', failure: { kind } });
});

test.for(names)('%s: random text is never an answer', (name) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (noise) => {
      expect(read(name, [Buffer.from(noise)]).kind).toBe('failure');
    }),
  );
});

test.for(names)('%s: a JSON value of any shape is read without throwing', (name) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(['answer', 'failure']).toContain(dialectOf(name).readAnswer(value).kind);
    }),
  );
});

test.for(names)('%s: a dialect is found by its name', (name) => {
  expect(dialectOf(name).name).toBe(name);
});

test.for([
  ['openai', []],
  ['anthropic', ['json_object', 'logprobs', 'multiple_choices']],
  ['ollama', ['forced_tool', 'logprobs', 'multiple_choices']],
] as const)('%s: what no model of it can do is known: %j', ([name, lacks]) => {
  expect(dialectOf(name).lacks).toEqual(lacks);
});
