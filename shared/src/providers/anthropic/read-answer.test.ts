import { describe, expect, test } from 'vitest';
import { type Answer, emptyAnswer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import { nowMs } from '../fixture-call.ts';
import { type Asked, readAnswer, toUsage } from './read-answer.ts';

const plain: Asked = { soFar: [], answerTool: null, nowMs };

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
  [
    'a refusal with its explanation',
    { stop_reason: 'refusal', stop_details: { type: 'refusal', category: 'bio', explanation: 'I may not.' } },
    { finishReason: 'content_filter', refusal: 'I may not.' },
  ],
  [
    'a refusal that is not explained',
    { stop_reason: 'refusal', stop_details: { type: 'refusal', category: null, explanation: null } },
    { finishReason: 'content_filter' },
  ],
  ['an explanation of something else', { stop_details: { explanation: 'x' } }, {}],
  [
    'a pause, with all it takes to go on',
    { stop_reason: 'pause_turn', content: [{ type: 'server_tool_use', id: 's1', input: {} }, ...whole.content] },
    { continuation: [{ type: 'server_tool_use', id: 's1', input: {} }, ...whole.content] },
  ],
  ['a tier of service', { usage: { ...whole.usage, service_tier: 'priority', speed: 'fast' } }, {}],
  ['no usage', { usage: undefined }, { usage: null }],
])('an answer is read: %s', ([, change, expected]) => {
  expect(readAnswer({ ...whole, ...change }, plain)).toEqual({ kind: 'answer', answer: { ...hello, ...expected } });
});

test.for([
  ['end_turn', 'stop', 0],
  ['stop_sequence', 'stop', 0],
  ['max_tokens', 'length', 0],
  ['model_context_window_exceeded', 'length', 0],
  ['tool_use', 'tool_calls', 0],
  ['refusal', 'content_filter', 0],
  ['pause_turn', 'stop', 0],
  [null, 'stop', 0],
  ['something_new', 'stop', 1],
] as const)('the stop reason %s is %s', ([reason, finishReason, warnings]) => {
  const result = readAnswer({ ...whole, stop_reason: reason }, plain);
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
  expect(readAnswer(body, plain)).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
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
  [
    'the parts written to the cache are its total, where none is told',
    { cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 30 } },
    { inputTokens: 59, cacheWriteTokens: 50, cacheWrite1hTokens: 30 },
  ],
  ['null counts of the cache are none', { cache_read_input_tokens: null, cache_creation: null }, {}],
  ['no input count is unknown', { input_tokens: null }, null],
  ['no output count is unknown', { output_tokens: undefined }, null],
])('usage: %s', ([, change, expected]) => {
  expect(toUsage({ ...whole.usage, ...change })).toEqual(expected === null ? null : { ...usage, ...expected });
});

test('a second pause holds what came before the first', () => {
  const soFar = [{ type: 'text', text: 'So ' }];
  const body = { ...whole, stop_reason: 'pause_turn' };
  const result = readAnswer(body, { ...plain, soFar });
  expect(result).toMatchObject({ answer: { text: 'Hi.', continuation: [...soFar, ...whole.content] } });
});

describe('an answer that was asked for as the arguments of a tool', () => {
  const asked: Asked = { ...plain, answerTool: 'weather' };
  const args = [{ type: 'text', text: '{"city":"Oslo"}' }];
  const call = { ...toolCall, id: 'call_msg_1' };

  test.for<[string, object, Partial<Answer>]>([
    ['is its call', {}, { toolCalls: [call], finishReason: 'tool_calls' }],
    [
      'has an id of ours without theirs',
      { id: null },
      { toolCalls: [{ ...call, id: 'call_answer' }], providerId: null, finishReason: 'tool_calls' },
    ],
    ['stays cut', { stop_reason: 'max_tokens' }, { toolCalls: [call], finishReason: 'length' }],
    ['stays refused', { stop_reason: 'refusal', content: [] }, { finishReason: 'content_filter' }],
    ['is none without text', { content: [] }, {}],
  ])('%s', ([, change, expected]) => {
    const result = readAnswer({ ...whole, content: args, ...change }, asked);
    expect(result).toEqual({ kind: 'answer', answer: { ...hello, text: '', ...expected } });
  });
});
