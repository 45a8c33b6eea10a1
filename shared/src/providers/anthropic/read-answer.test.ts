import { expect, test } from 'vitest';
import { type Answer, emptyAnswer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import { createStreamReader, readAnswer, toUsage } from './read-answer.ts';

const whole = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-haiku-4-5-20251001',
  content: [{ type: 'text', text: 'Hi.' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 9, output_tokens: 2 },
};
const usage = {
  inputTokens: 9,
  outputTokens: 2,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
};
const hello: Answer = { ...emptyAnswer, text: 'Hi.', providerId: 'msg_1', model: 'claude-haiku-4-5-20251001', usage };
const toolUse = { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Oslo' } };
const toolCall = {
  id: 'toolu_1',
  type: 'function',
  function: { name: 'weather', arguments: '{"city":"Oslo"}' },
} as const;
const thinking = { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' };

test.for<[string, object, Partial<Answer>]>([
  ['text', {}, {}],
  [
    'text blocks joined',
    {
      content: [
        { type: 'text', text: 'H' },
        { type: 'text', text: 'i.' },
      ],
    },
    {},
  ],
  [
    'tool use',
    { content: [toolUse], stop_reason: 'tool_use' },
    { text: '', toolCalls: [toolCall], finishReason: 'tool_calls' },
  ],
  [
    'tool use without input',
    { content: [{ ...toolUse, input: undefined }], stop_reason: 'tool_use' },
    {
      text: '',
      toolCalls: [{ ...toolCall, function: { name: 'weather', arguments: '{}' } }],
      finishReason: 'tool_calls',
    },
  ],
  [
    'thinking, with the parts to send back',
    { content: [thinking, { type: 'redacted_thinking', data: 'x' }, ...whole.content] },
    { reasoning: 'Hm.', reasoningDetails: [thinking, { type: 'redacted_thinking', data: 'x' }] },
  ],
  ['blocks not known are passed over', { content: [{ type: 'server_tool_use' }, null, ...whole.content] }, {}],
  ['no content', { content: [] }, { text: '' }],
  ['no usage', { usage: undefined }, { usage: null }],
])('an answer is read: %s', ([, change, expected]) => {
  expect(readAnswer({ ...whole, ...change })).toEqual({ kind: 'answer', answer: { ...hello, ...expected } });
});

test.for([
  ['end_turn', 'stop', 0],
  ['stop_sequence', 'stop', 0],
  ['max_tokens', 'length', 0],
  ['model_context_window_exceeded', 'length', 0],
  ['tool_use', 'tool_calls', 0],
  ['refusal', 'content_filter', 0],
  ['something_new', 'stop', 1],
] as const)('the stop reason %s is %s', ([reason, finishReason, warnings]) => {
  const result = readAnswer({ ...whole, stop_reason: reason });
  if (result.kind !== 'answer') throw new Error(result.failure.message);
  expect(result.answer.finishReason).toBe(finishReason);
  expect(result.answer.warnings).toHaveLength(warnings);
});

test.for<[string, unknown, FailureKind]>([
  ['an overload', { type: 'error', error: { type: 'overloaded_error', message: 'x' } }, 'overloaded'],
  ['a rate limit', { type: 'error', error: { type: 'rate_limit_error', message: 'x' } }, 'rate_limit'],
  ['an error of a new type', { type: 'error', error: { type: 'new_error', message: 'x' } }, 'server_error'],
  ['no content', { type: 'message' }, 'bad_output'],
  ['a text', 'Hi.', 'bad_output'],
  ['null', null, 'bad_output'],
])('inside HTTP 200, %s is a failure', ([, body, kind]) => {
  expect(readAnswer(body)).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

test.for<[string, object, object | null]>([
  [
    'cached tokens are added to the input',
    { cache_read_input_tokens: 100 },
    { inputTokens: 109, cacheReadTokens: 100 },
  ],
  [
    'tokens written to the cache are added',
    { cache_creation_input_tokens: 50 },
    { inputTokens: 59, cacheWriteTokens: 50 },
  ],
  [
    'the hour-long part is a part, not more',
    {
      cache_read_input_tokens: 100,
      cache_creation_input_tokens: 50,
      cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 30 },
    },
    { inputTokens: 159, cacheReadTokens: 100, cacheWriteTokens: 50, cacheWrite1hTokens: 30 },
  ],
  [
    'thinking is part of the output',
    { output_tokens: 40, output_tokens_details: { thinking_tokens: 30 } },
    { outputTokens: 40, reasoningTokens: 30 },
  ],
  ['null counts of the cache are none', { cache_read_input_tokens: null, cache_creation: null }, {}],
  ['no input count is unknown', { input_tokens: null }, null],
  ['no output count is unknown', { output_tokens: undefined }, null],
])('usage: %s', ([, change, expected]) => {
  expect(toUsage({ ...whole.usage, ...change })).toEqual(expected === null ? null : { ...usage, ...expected });
});

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

function read(events: readonly { type: string }[]) {
  const reader = createStreamReader();
  for (const event of events) reader.push(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  return { result: reader.end(), partial: reader.partial() };
}

test.for<[string, { type: string }[], Partial<Answer>]>([
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
])('a stream is read: %s', ([, events, expected]) => {
  expect(read(events).result).toEqual({ kind: 'answer', answer: expected });
});

test('an error event inside HTTP 200 is a failure of its own kind', () => {
  const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
  expect(read([start(), ...textBlock, error]).result).toEqual({
    kind: 'failure',
    failure: { kind: 'overloaded', message: 'HTTP 529 overloaded_error', httpStatus: 200, retryAfterMs: null },
  });
});

test('without message_stop a stream is interrupted, and what is known of its usage is kept', () => {
  const { result, partial } = read([start(), ...textBlock, open(1, toolUse), input(1, '{"ci')]);
  expect(result).toMatchObject({ kind: 'failure', failure: { kind: 'stream_interrupted' } });
  expect(partial).toMatchObject({ text: 'Hi.', usage: { inputTokens: 9, outputTokens: 1 } });
});
