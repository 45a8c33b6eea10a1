import { expect, test } from 'vitest';
import { type Answer, emptyAnswer } from '../../../chat/response.ts';
import type { FailureKind } from '../../../domain/failure.ts';
import { nowMs } from '../../fixture-call.ts';
import { readResponse as read, toUsage } from './read-answer.ts';

const readResponse = (body: unknown) => read(body, { toCaller: (id) => id, nowMs });

const message = (...content: object[]) => ({ type: 'message', id: 'msg_1', role: 'assistant', content });
const text = (value: string) => ({ type: 'output_text', text: value, annotations: [] });
const call = { type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'f', arguments: '{"x":1}', status: 'completed' };
const whole = {
  id: 'resp_1',
  object: 'response',
  status: 'completed',
  error: null,
  model: 'gpt-5.4-2026-03-05',
  output: [message(text('Hi.'))] as object[],
  usage: { input_tokens: 9, output_tokens: 2, total_tokens: 11 },
};
const usage = toUsage(whole.usage);
const hello: Answer = { ...emptyAnswer, text: 'Hi.', providerId: 'resp_1', model: 'gpt-5.4-2026-03-05', usage };
const toolCall = { id: 'c1', type: 'function' as const, function: { name: 'f', arguments: '{"x":1}' } };
const reasoning = (id: string, more: object = {}) => ({
  type: 'reasoning',
  id,
  summary: [],
  encrypted_content: 'x',
  ...more,
});

test.for<[string, object, Partial<Answer>]>([
  ['text', {}, {}],
  ['text in parts', { output: [message(text('H')), message(text('i.'))] }, {}],
  ['a call', { output: [call] }, { text: '', toolCalls: [toolCall], finishReason: 'tool_calls' }],
  [
    'a call without an id gets one',
    { output: [{ ...call, call_id: '' }] },
    { text: '', toolCalls: [{ ...toolCall, id: 'call_0' }], finishReason: 'tool_calls' },
  ],
  ['a refusal', { output: [message({ type: 'refusal', refusal: 'No.' })] }, { text: '', refusal: 'No.' }],
  [
    'reasoning, told in short',
    { output: [reasoning('r1', { summary: [{ type: 'summary_text', text: 'Hm.' }], status: null }), ...whole.output] },
    {
      reasoning: 'Hm.',
      reasoningDetails: [{ item: reasoning('r1', { summary: [{ type: 'summary_text', text: 'Hm.' }] }), before: null }],
    },
  ],
  [
    'reasoning in full, which was kept nowhere',
    { output: [{ type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm.' }] }, ...whole.output] },
    { reasoning: 'Hm.' },
  ],
  [
    'reasoning before a call and before the text',
    { output: [reasoning('r1'), ...whole.output, reasoning('r2'), call] },
    {
      toolCalls: [toolCall],
      finishReason: 'tool_calls',
      reasoningDetails: [
        { item: reasoning('r1'), before: null },
        { item: reasoning('r2'), before: 'c1' },
      ],
    },
  ],
  [
    'a length',
    { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
    { finishReason: 'length' },
  ],
  [
    'a filter',
    { status: 'incomplete', incomplete_details: { reason: 'content_filter' } },
    { finishReason: 'content_filter' },
  ],
  [
    'an end for an unknown reason',
    { status: 'incomplete', incomplete_details: { reason: 'tired' } },
    { finishReason: 'length', warnings: ['unknown reason "tired" read as "length"'] },
  ],
  [
    'output of an unknown type',
    { output: [{ type: 'web_search_call' }, { type: 'web_search_call' }, ...whole.output] },
    { warnings: ['output of an unknown type "web_search_call" passed over'] },
  ],
  ['no usage', { usage: null }, { usage: null }],
])('an answer is read: %s', ([, change, expected]) => {
  expect(readResponse({ ...whole, ...change })).toEqual({ kind: 'answer', answer: { ...hello, ...expected } });
});

test.for<[string, unknown, FailureKind]>([
  ['an error', { ...whole, status: 'failed', error: { code: 'rate_limit_exceeded', message: 'x' } }, 'rate_limit'],
  ['a policy', { ...whole, status: 'failed', error: { code: 'bio_policy', message: 'x' } }, 'content_filter'],
  ['a failure that says no more', { ...whole, status: 'failed' }, 'server_error'],
  ['a cancelled answer', { ...whole, status: 'cancelled' }, 'server_error'],
  ['an answer that waits', { ...whole, status: 'queued' }, 'bad_output'],
  ['an answer that goes on', { ...whole, status: 'in_progress' }, 'bad_output'],
  ['no output', { id: 'resp_1', status: 'completed' }, 'bad_output'],
  ['null', null, 'bad_output'],
])('inside HTTP 200, %s is a failure', ([, body, kind]) => {
  expect(readResponse(body)).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

test('what was said before a failure is kept for the bill', () => {
  expect(readResponse({ ...whole, status: 'failed', error: { code: 'server_error' } })).toMatchObject({
    partial: { text: 'Hi.', usage: { inputTokens: 9 } },
  });
});

test.for<[string, unknown, object | null]>([
  [
    'cache and reasoning are parts of the totals',
    {
      input_tokens: 100,
      output_tokens: 50,
      input_tokens_details: { cached_tokens: 60, cache_write_tokens: 20 },
      output_tokens_details: { reasoning_tokens: 30 },
    },
    { inputTokens: 100, outputTokens: 50, cacheReadTokens: 60, cacheWriteTokens: 20, reasoningTokens: 30 },
  ],
  ['half of it is unknown', { input_tokens: 9 }, null],
])('usage: %s', ([, value, expected]) => {
  if (expected === null) expect(toUsage(value)).toBeNull();
  else expect(toUsage(value)).toMatchObject(expected);
});
