import { expect, test } from 'vitest';
import { type Answer, emptyAnswer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import type { StreamPiece } from '../dialect.ts';
import { nowMs } from '../fixture-call.ts';
import { maxEventLength, SseTooLongError } from '../sse.ts';
import { readAnswer } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';

const whole = {
  model: 'llama3.2',
  created_at: '2026-11-21T10:00:00Z',
  message: { role: 'assistant', content: 'Hi.' },
  done: true,
  done_reason: 'stop',
  total_duration: 1_000_000,
  prompt_eval_count: 9,
  eval_count: 2,
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
const hello: Answer = { ...emptyAnswer, text: 'Hi.', model: 'llama3.2', usage };
const call = { function: { name: 'weather', arguments: { city: 'Oslo' } } };
const toolCall = {
  id: 'call_20261121100000_0',
  type: 'function',
  function: { name: 'weather', arguments: '{"city":"Oslo"}' },
} as const;

test.for<[string, object, Partial<Answer>]>([
  ['text', {}, {}],
  ['thinking', { message: { content: 'Hi.', thinking: 'Hm.' } }, { reasoning: 'Hm.' }],
  [
    'tool calls, although the reason is stop',
    { message: { content: '', tool_calls: [call] } },
    { text: '', toolCalls: [toolCall], finishReason: 'tool_calls' },
  ],
  [
    'tool calls with ids of their own, or none',
    { message: { content: '', tool_calls: [{ id: 'x', ...call }, { function: { name: 'now' } }] } },
    {
      text: '',
      toolCalls: [
        { ...toolCall, id: 'x' },
        { ...toolCall, id: 'call_20261121100000_1', function: { name: 'now', arguments: '{}' } },
      ],
      finishReason: 'tool_calls',
    },
  ],
  [
    'tool calls whose arguments are a text',
    { message: { tool_calls: [{ id: 'x', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }] } },
    { text: '', toolCalls: [{ ...toolCall, id: 'x' }], finishReason: 'tool_calls' },
  ],
  [
    'a tool call of no known moment',
    { created_at: undefined, message: { tool_calls: [call] } },
    { text: '', toolCalls: [{ ...toolCall, id: 'call_0_0' }], finishReason: 'tool_calls' },
  ],
  [
    'log probabilities',
    { logprobs: [{ token: 'Hi', logprob: -0.5, bytes: [72, 105], top_logprobs: [{ token: 'Yo', logprob: -2 }] }, {}] },
    {
      logprobs: {
        content: [
          { token: 'Hi', logprob: -0.5, bytes: [72, 105], top_logprobs: [{ token: 'Yo', logprob: -2, bytes: null }] },
          { token: '', logprob: null, bytes: null, top_logprobs: [] },
        ],
        refusal: null,
      },
    },
  ],
  ['a length', { done_reason: 'length' }, { finishReason: 'length' }],
  ['no reason', { done_reason: undefined }, {}],
  ['a reason that is new', { done_reason: 'abort' }, { warnings: ['unknown done reason "abort" read as "stop"'] }],
  ['no count of the prompt', { prompt_eval_count: undefined }, { usage: null }],
  ['no count of the answer', { eval_count: undefined }, { usage: null }],
])('an answer is read: %s', ([, change, expected]) => {
  expect(readAnswer({ ...whole, ...change }, { nowMs })).toEqual({ kind: 'answer', answer: { ...hello, ...expected } });
});

test.for<[string, unknown, FailureKind]>([
  ['an error', { error: 'something broke' }, 'server_error'],
  ['a model that is not there', { error: 'model "x" not found, try pulling it first' }, 'model_not_found'],
  ['a full queue', { error: 'server busy, please try again. maximum pending requests exceeded' }, 'overloaded'],
  ['a prompt that does not fit', { error: 'the input exceeds the available context size' }, 'context_length'],
  ['a missing ability', { error: 'registry/llama does not support tools' }, 'unsupported_feature'],
  ['an answer not done', { ...whole, done: false }, 'bad_output'],
  ['a model that was but loaded', { ...whole, message: { content: '' }, done_reason: 'load' }, 'bad_output'],
  ['a model that was unloaded', { ...whole, message: { content: '' }, done_reason: 'unload' }, 'bad_output'],
  ['a list', [], 'bad_output'],
  ['null', null, 'bad_output'],
])('inside HTTP 200, %s is a failure', ([, body, kind]) => {
  expect(readAnswer(body, { nowMs })).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

const piece = (message: object, more: object = {}) => ({
  model: 'llama3.2',
  created_at: whole.created_at,
  message,
  done: false,
  ...more,
});
const last = { ...whole, message: { role: 'assistant', content: '' } };

function read(lines: readonly unknown[], separator = '\n') {
  const pieces: StreamPiece[] = [];
  const reader = createStreamReader((each) => pieces.push(each), { nowMs });
  for (const line of lines) reader.push(JSON.stringify(line) + separator);
  return { result: reader.end(), partial: reader.partial(), pieces };
}
const textPiece = (text: string): StreamPiece => ({ kind: 'text', text });
const callPiece = (index: number): StreamPiece => ({
  kind: 'tool_call',
  index,
  id: `call_20261121100000_${index}`,
  ...toolCall.function,
});
const probable = (token: string) => ({ token, logprob: -1, bytes: null, top_logprobs: [] });

test.for<[string, unknown[], Partial<Answer>, StreamPiece[]]>([
  ['text in pieces', [piece({ content: 'H' }), piece({ content: 'i.' }), last], {}, [textPiece('H'), textPiece('i.')]],
  [
    'text on the last line',
    [piece({ content: 'H' }), { ...whole, message: { content: 'i.' } }],
    {},
    [textPiece('H'), textPiece('i.')],
  ],
  [
    'thinking before the text',
    [piece({ content: '', thinking: 'H' }), piece({ thinking: 'm.' }), piece({ content: 'Hi.' }), last],
    { reasoning: 'Hm.' },
    [{ kind: 'reasoning', text: 'H' }, { kind: 'reasoning', text: 'm.' }, textPiece('Hi.')],
  ],
  [
    'tool calls on lines of their own',
    [piece({ content: '', tool_calls: [call] }), piece({ tool_calls: [call] }), last],
    { text: '', toolCalls: [toolCall, { ...toolCall, id: 'call_20261121100000_1' }], finishReason: 'tool_calls' },
    [callPiece(0), callPiece(1)],
  ],
  [
    'log probabilities of every line',
    [
      piece({ content: 'H' }, { logprobs: [{ token: 'H', logprob: -1 }] }),
      piece(
        { content: 'i.' },
        {
          logprobs: [
            { token: 'i', logprob: -1 },
            { token: '.', logprob: -1 },
          ],
        },
      ),
      last,
    ],
    { logprobs: { content: [probable('H'), probable('i'), probable('.')], refusal: null } },
    [textPiece('H'), textPiece('i.')],
  ],
])('a stream is read, and its pieces told: %s', ([, lines, change, pieces]) => {
  const answer = { ...hello, ...change };
  for (const separator of ['\n', '\r\n']) {
    const heard = read(lines, separator);
    expect(heard.result).toEqual({ kind: 'answer', answer });
    expect(heard.pieces).toEqual(pieces);
  }
});

test.for<[string, string, object]>([
  ['a fault', 'an error was encountered', { kind: 'server_error' }],
  [
    'a runner that crashed',
    'an error was encountered while running the model: unexpected EOF',
    { kind: 'server_error', scope: 'model' },
  ],
  ['a prompt that does not fit', 'the input length exceeds the context length', { kind: 'context_length' }],
])('%s on a line is a failure although the status is 200, and the first one counts', ([, error, expected]) => {
  const { result, partial } = read([piece({ content: 'H' }), { error }, { error: 'model "x" not found' }]);
  expect(result).toMatchObject({ kind: 'failure', failure: { httpStatus: 200, ...expected } });
  expect(partial).toMatchObject({ text: 'H', usage: null });
});

test('a stream that did nothing but load the model is a failure', () => {
  expect(read([{ ...last, done_reason: 'load' }]).result).toMatchObject({
    kind: 'failure',
    failure: { kind: 'bad_output', httpStatus: 200 },
  });
});

test('a stream without its last line is interrupted', () => {
  const { result, partial } = read([piece({ content: 'H' })]);
  expect(result).toMatchObject({ kind: 'failure', failure: { kind: 'stream_interrupted' } });
  expect(partial).toMatchObject({ text: 'H', usage: null });
});

test('a line that never ends is cut off', () => {
  const reader = createStreamReader(() => undefined, { nowMs });
  expect(() => reader.push(`{"message":"${'x'.repeat(maxEventLength)}`)).toThrow(SseTooLongError);
});
