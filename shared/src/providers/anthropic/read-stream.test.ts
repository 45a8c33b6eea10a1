import { describe, expect, test } from 'vitest';
import { type Answer, emptyAnswer } from '../../chat/response.ts';
import type { StreamPiece } from '../dialect.ts';
import { nowMs } from '../fixture-call.ts';
import type { Asked } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';

const plain: Asked = { soFar: [], answerTool: null, nowMs };

const whole = { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-haiku-4-5-20251001' };
const usage = {
  inputTokens: 9,
  outputTokens: 2,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
};
const hello: Answer = { ...emptyAnswer, text: 'Hi.', providerId: 'msg_1', model: 'claude-haiku-4-5-20251001', usage };
const toolUse = { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Oslo' } };
const toolCall = {
  id: 'toolu_1',
  type: 'function',
  function: { name: 'weather', arguments: '{"city":"Oslo"}' },
} as const;
const thinking = { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' };

type Event = { readonly type: string } & Readonly<Record<string, unknown>>;
const start = (more: object = {}) => ({
  type: 'message_start',
  message: { ...whole, content: [], stop_reason: null, usage: { input_tokens: 9, output_tokens: 1 }, ...more },
});
const open = (index: number, block: object) => ({ type: 'content_block_start', index, content_block: block });
const delta = (index: number, more: object) => ({ type: 'content_block_delta', index, delta: more });
const end = (reason: string, more: object = { output_tokens: 2 }) => [
  { type: 'message_delta', delta: { stop_reason: reason, stop_sequence: null }, usage: more },
  { type: 'message_stop' },
];
const textBlock = [open(0, { type: 'text', text: '' }), delta(0, { type: 'text_delta', text: 'Hi.' })];
const input = (index: number, json: string) => delta(index, { type: 'input_json_delta', partial_json: json });

function read(events: readonly Event[], asked: Asked = plain) {
  const pieces: StreamPiece[] = [];
  const reader = createStreamReader((piece) => pieces.push(piece), asked);
  for (const event of events) reader.push(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  return { result: reader.end(), partial: reader.partial(), pieces };
}

/** The answer as whoever hears the pieces has it in the end. */
function sumOf(pieces: readonly StreamPiece[]) {
  const textOf = (kind: StreamPiece['kind']) =>
    pieces.map((piece) => (piece.kind === kind && piece.kind !== 'tool_call' ? piece.text : '')).join('');
  const calls: { id: string; name: string; arguments: string }[] = [];
  for (const piece of pieces) {
    if (piece.kind !== 'tool_call') continue;
    const call = calls[piece.index] ?? { id: piece.id ?? '', name: piece.name ?? '', arguments: '' };
    calls[piece.index] = { ...call, arguments: call.arguments + piece.arguments };
  }
  return {
    text: textOf('text'),
    reasoning: textOf('reasoning'),
    refusal: textOf('refusal') || null,
    toolCalls: calls.map(({ id, ...fn }) => ({ id, type: 'function', function: fn })),
  };
}

test.for<[string, Event[], Partial<Answer>]>([
  ['text', [start(), ...textBlock, ...end('end_turn')], hello],
  ['pings and new events', [start(), { type: 'ping' }, { type: 'new' }, ...textBlock, ...end('end_turn')], hello],
  [
    'thinking with its signature',
    [
      start(),
      open(0, { type: 'thinking', thinking: '', signature: '' }),
      delta(0, { type: 'thinking_delta', thinking: 'H' }),
      delta(0, { type: 'thinking_delta', thinking: 'm.' }),
      delta(0, { type: 'signature_delta', signature: 'c2ln' }),
      open(1, { type: 'text', text: '' }),
      delta(1, { type: 'text_delta', text: 'Hi.' }),
      ...end('end_turn'),
    ],
    { ...hello, reasoning: 'Hm.', reasoningDetails: [thinking] },
  ],
  [
    'tool input in pieces',
    [
      start(),
      open(0, { ...toolUse, input: {} }),
      input(0, ''),
      input(0, '{"city":'),
      input(0, '"Oslo"}'),
      ...end('tool_use'),
    ],
    { ...hello, text: '', toolCalls: [toolCall], finishReason: 'tool_calls' },
  ],
  [
    'a tool without input',
    [start(), open(0, { ...toolUse, input: {} }), ...end('tool_use')],
    {
      ...hello,
      text: '',
      toolCalls: [{ ...toolCall, function: { name: 'weather', arguments: '{}' } }],
      finishReason: 'tool_calls',
    },
  ],
  [
    'tool input cut at the limit, kept as it was written',
    [start(), open(0, { ...toolUse, input: {} }), input(0, '{"city":"Os'), ...end('max_tokens')],
    {
      ...hello,
      text: '',
      toolCalls: [{ ...toolCall, function: { name: 'weather', arguments: '{"city":"Os' } }],
      finishReason: 'length',
    },
  ],
  [
    'usage with the cache counted once, the last total winning',
    [
      start({ usage: { input_tokens: 9, cache_read_input_tokens: 100, output_tokens: 1 } }),
      ...textBlock,
      ...end('end_turn', { input_tokens: 9, cache_read_input_tokens: 100, output_tokens: 2 }),
    ],
    { ...hello, usage: { ...usage, inputTokens: 109, cacheReadTokens: 100 } },
  ],
  [
    'nulls in the last usage, which leave the first counts standing',
    [
      start({ usage: { input_tokens: 9, cache_read_input_tokens: 100, output_tokens: 1 } }),
      ...textBlock,
      ...end('end_turn', { input_tokens: null, cache_read_input_tokens: null, output_tokens: 2 }),
    ],
    { ...hello, usage: { ...usage, inputTokens: 109, cacheReadTokens: 100 } },
  ],
  [
    'a text that its block begins with',
    [start(), open(0, { type: 'text', text: 'H' }), delta(0, { type: 'text_delta', text: 'i.' }), ...end('end_turn')],
    hello,
  ],
  [
    'several calls, the blocks closed or not',
    [
      start(),
      ...textBlock,
      { type: 'content_block_stop', index: 0 },
      open(1, { ...toolUse, input: {} }),
      { type: 'content_block_stop', index: 1 },
      open(2, { ...toolUse, id: 'toolu_2' }),
      { type: 'content_block_stop', index: 9 },
      delta(9, { type: 'text_delta', text: 'nobody' }),
      ...end('tool_use'),
    ],
    {
      ...hello,
      toolCalls: [
        { ...toolCall, function: { name: 'weather', arguments: '{}' } },
        { ...toolCall, id: 'toolu_2' },
      ],
      finishReason: 'tool_calls',
    },
  ],
  [
    'input that is not written as we would',
    [start(), open(0, { ...toolUse, input: {} }), input(0, '{ "city": "Oslo" }'), ...end('tool_use')],
    {
      ...hello,
      text: '',
      toolCalls: [{ ...toolCall, function: { name: 'weather', arguments: '{ "city": "Oslo" }' } }],
      finishReason: 'tool_calls',
    },
  ],
  [
    'a refusal in the middle',
    [
      start(),
      ...textBlock,
      {
        type: 'message_delta',
        delta: { stop_reason: 'refusal', stop_details: { type: 'refusal', explanation: 'I may not.' } },
        usage: { output_tokens: 2 },
      },
      { type: 'message_stop' },
    ],
    { ...hello, finishReason: 'content_filter', refusal: 'I may not.' },
  ],
  [
    'a pause, with all it takes to go on',
    [
      start(),
      open(0, { type: 'server_tool_use', id: 's1', name: 'web_search', input: {} }),
      input(0, '{"query":"x"}'),
      open(1, { type: 'web_search_tool_result', tool_use_id: 's1', content: [{ url: 'u' }] }),
      open(2, { type: 'text', text: '' }),
      delta(2, { type: 'text_delta', text: 'Hi.' }),
      ...end('pause_turn'),
    ],
    {
      ...hello,
      continuation: [
        { type: 'server_tool_use', id: 's1', name: 'web_search', input: { query: 'x' } },
        { type: 'web_search_tool_result', tool_use_id: 's1', content: [{ url: 'u' }] },
        { type: 'text', text: 'Hi.' },
      ],
    },
  ],
])('a stream is read, and its pieces are the whole of it: %s', ([, events, expected]) => {
  const { result, pieces } = read(events);
  expect(result).toEqual({ kind: 'answer', answer: expected });
  const { text, reasoning, refusal, toolCalls } = { ...emptyAnswer, ...expected };
  expect(sumOf(pieces)).toEqual({ text, reasoning, refusal, toolCalls });
});

test('pieces come as they are said, and those without text do not', () => {
  const { pieces } = read([
    start(),
    open(0, { type: 'thinking', thinking: '' }),
    delta(0, { type: 'thinking_delta', thinking: 'Hm.' }),
    delta(0, { type: 'signature_delta', signature: 'c2ln' }),
    open(1, { type: 'text', text: '' }),
    delta(1, { type: 'text_delta', text: 'Hi' }),
    delta(1, { type: 'text_delta', text: '.' }),
    open(2, { ...toolUse, input: {} }),
    input(2, ''),
    input(2, '{"city":'),
    input(2, '"Oslo"}'),
    ...end('tool_use'),
  ]);
  expect(pieces).toEqual([
    { kind: 'reasoning', text: 'Hm.' },
    { kind: 'text', text: 'Hi' },
    { kind: 'text', text: '.' },
    { kind: 'tool_call', index: 0, id: 'toolu_1', name: 'weather', arguments: '' },
    { kind: 'tool_call', index: 0, id: null, name: null, arguments: '{"city":' },
    { kind: 'tool_call', index: 0, id: null, name: null, arguments: '"Oslo"}' },
  ]);
});

test('an answer that was asked for as the arguments of a tool streams as its call', () => {
  const { result, pieces } = read(
    [
      start(),
      open(0, { type: 'text', text: '' }),
      delta(0, { type: 'text_delta', text: '{"city":' }),
      delta(0, { type: 'text_delta', text: '"Oslo"}' }),
      ...end('end_turn'),
    ],
    { ...plain, answerTool: 'weather' },
  );
  const call = { ...toolCall, id: 'call_msg_1' };
  expect(result).toEqual({
    kind: 'answer',
    answer: { ...hello, text: '', toolCalls: [call], finishReason: 'tool_calls' },
  });
  expect(pieces).toEqual([
    { kind: 'tool_call', index: 0, id: 'call_msg_1', name: 'weather', arguments: '{"city":' },
    { kind: 'tool_call', index: 0, id: null, name: null, arguments: '"Oslo"}' },
  ]);
});

describe('an error event inside HTTP 200', () => {
  test.for<[string, object, object]>([
    ['an overload', { type: 'overloaded_error' }, { kind: 'overloaded', message: 'HTTP 529 overloaded_error' }],
    ['a rate limit', { type: 'rate_limit_error' }, { kind: 'rate_limit', message: 'HTTP 429 rate_limit_error' }],
    [
      'a spend limit',
      { type: 'rate_limit_error', details: { error_code: 'enforced_spend_limit_reached' } },
      { kind: 'billing', scope: 'account', message: 'HTTP 429 enforced_spend_limit_reached' },
    ],
    ['a timeout', { type: 'timeout_error' }, { kind: 'timeout', message: 'HTTP 504 timeout_error' }],
    ['a fault of theirs', { type: 'api_error' }, { kind: 'server_error', message: 'HTTP 500 api_error' }],
    ['an error of a new type', { type: 'new_error' }, { kind: 'server_error', message: 'HTTP 500 new_error' }],
  ])('is a failure of its own kind, and the first one counts: %s', ([, error, expected]) => {
    const events = [start(), ...textBlock, { type: 'error', error: { message: 'x', ...error } }];
    const { result, partial } = read([...events, { type: 'error', error: { type: 'authentication_error' } }]);
    expect(result).toEqual({ kind: 'failure', failure: { httpStatus: 200, retryAfterMs: null, ...expected } });
    expect(partial).toMatchObject({ text: 'Hi.', usage: { inputTokens: 9, outputTokens: 1 } });
  });
});

test('without message_stop a stream is interrupted, and what is known of its usage is kept', () => {
  const { result, partial } = read([start(), ...textBlock, open(1, toolUse), input(1, '{"ci')]);
  expect(result).toMatchObject({ kind: 'failure', failure: { kind: 'stream_interrupted' } });
  expect(partial).toMatchObject({ text: 'Hi.', usage: { inputTokens: 9, outputTokens: 1 } });
});
