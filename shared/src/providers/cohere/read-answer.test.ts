import { expect, test } from 'vitest';
import { type Answer, emptyAnswer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import { consistentUsage } from '../../domain/usage.ts';
import { nowMs } from '../fixture-call.ts';
import { type Asked, readAnswer, toUsage } from './read-answer.ts';

const asked: Asked = { toOurs: (name) => name, nowMs };

const message = { role: 'assistant', content: [{ type: 'text', text: 'Hi.' }] };
const whole = {
  id: 'r1',
  finish_reason: 'COMPLETE',
  message,
  usage: { billed_units: { input_tokens: 5, output_tokens: 2 }, tokens: { input_tokens: 9, output_tokens: 4 } },
};
const usage = consistentUsage({ inputTokens: 9, outputTokens: 4 });
const hello: Answer = { ...emptyAnswer, text: 'Hi.', providerId: 'r1', usage };
const call = { id: 'c1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } };
const thinking = { type: 'thinking', thinking: 'Hm.' };
const calls = { finish_reason: 'TOOL_CALL' };

test.for<[string, object, Partial<Answer>]>([
  ['text', {}, {}],
  [
    'text in parts',
    { message: { content: [{ type: 'text', text: 'H' }, { type: 'new' }, null, { type: 'text', text: 'i.' }] } },
    {},
  ],
  [
    'reasoning, with what to send back',
    { message: { content: [thinking, ...message.content] } },
    { reasoning: 'Hm.', reasoningDetails: [thinking] },
  ],
  [
    'a plan and calls',
    { ...calls, message: { tool_plan: 'I look.', tool_calls: [call] } },
    {
      text: '',
      reasoning: 'I look.',
      reasoningDetails: [{ type: 'tool_plan', tool_plan: 'I look.' }],
      toolCalls: [{ ...call, type: 'function' }],
      finishReason: 'tool_calls',
    },
  ],
  [
    'a call without id and arguments',
    { ...calls, message: { tool_calls: [{ function: { name: 'now' } }] } },
    {
      text: '',
      toolCalls: [{ id: 'call_0', type: 'function', function: { name: 'now', arguments: '{}' } }],
      finishReason: 'tool_calls',
    },
  ],
  [
    'probabilities, of several tokens as their sum',
    {
      logprobs: [
        { text: 'H', token_ids: [1], logprobs: [-0.5, null] },
        { text: 'é.', token_ids: [2, 3], logprobs: [-1, -0.25] },
      ],
    },
    {
      logprobs: {
        content: [
          { token: 'H', logprob: -0.5, bytes: [72], top_logprobs: [] },
          { token: 'é.', logprob: -1.25, bytes: [195, 169, 46], top_logprobs: [] },
        ],
        refusal: null,
      },
    },
  ],
  ['no usage', { usage: undefined }, { usage: null }],
  ['no id', { id: undefined }, { providerId: null }],
])('an answer is read: %s', ([, change, expected]) => {
  expect(readAnswer({ ...whole, ...change }, asked)).toEqual({ kind: 'answer', answer: { ...hello, ...expected } });
});

test('a tool comes back by the name its caller gave it', () => {
  const result = readAnswer(
    { ...whole, ...calls, message: { tool_calls: [call] } },
    { ...asked, toOurs: (name) => name.replace('_', '-') },
  );
  expect(result).toMatchObject({ answer: { toolCalls: [{ function: { name: 'get-weather' } }] } });
});

test.for([
  ['COMPLETE', 'stop', []],
  ['STOP_SEQUENCE', 'stop', []],
  ['MAX_TOKENS', 'length', []],
  ['TOOL_CALL', 'tool_calls', []],
  ['SOMETHING_NEW', 'stop', ['unknown finish reason "SOMETHING_NEW" read as "stop"']],
  ['constructor', 'stop', ['unknown finish reason "constructor" read as "stop"']],
  ['a text of theirs', 'stop', ['unknown finish reason of another form read as "stop"']],
  [undefined, 'stop', []],
] as const)('the finish reason %s is %s', ([reason, finishReason, warnings]) => {
  expect(readAnswer({ ...whole, finish_reason: reason }, asked)).toMatchObject({ answer: { finishReason, warnings } });
});

test('an unknown finish reason beside calls is that of calls', () => {
  const result = readAnswer({ ...whole, finish_reason: 'NEW', message: { tool_calls: [call] } }, asked);
  expect(result).toMatchObject({ answer: { finishReason: 'tool_calls' } });
});

test.for<[string, FailureKind]>([
  ['ERROR', 'server_error'],
  ['ERROR_NEW', 'server_error'],
  ['TIMEOUT', 'timeout'],
])('an answer that ends with %s is a failure, and its usage is kept', ([finish_reason, kind]) => {
  expect(readAnswer({ ...whole, finish_reason }, asked)).toMatchObject({
    kind: 'failure',
    failure: { kind, httpStatus: 200 },
    partial: { text: 'Hi.', usage },
  });
});

test.for<[string, unknown, FailureKind]>([
  ['an error', { id: 'r1', message: 'internal server error' }, 'server_error'],
  ['a limit', { message: 'You are past the per minute request limit' }, 'rate_limit'],
  ['no message', { id: 'r1' }, 'bad_output'],
  ['a text', 'Hi.', 'bad_output'],
  ['null', null, 'bad_output'],
  ['a list', [], 'bad_output'],
])('inside HTTP 200, %s is a failure', ([, body, kind]) => {
  expect(readAnswer(body, asked)).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

test.for<[string, object, object | null]>([
  ['what it read and wrote', {}, {}],
  ['what was cached, as a part of it', { cached_tokens: 6 }, { cacheReadTokens: 6 }],
  ['more cached than read', { cached_tokens: 60 }, { cacheReadTokens: 9 }],
  ['billed units, where they are all there is', { tokens: undefined }, { inputTokens: 5, outputTokens: 2 }],
  ['billed units, where half is missing', { tokens: { input_tokens: 9 } }, { inputTokens: 5, outputTokens: 2 }],
  ['nothing that is known', { tokens: {}, billed_units: { search_units: 1 } }, null],
  ['numbers that are no counts', { tokens: { input_tokens: -1, output_tokens: 1.5 }, billed_units: null }, null],
])('usage is %s', ([, change, expected]) => {
  expect(toUsage({ ...whole.usage, ...change })).toEqual(expected === null ? null : { ...usage, ...expected });
});
