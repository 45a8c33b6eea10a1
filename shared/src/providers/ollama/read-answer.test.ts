import { expect, test } from 'vitest';
import { type Answer, emptyAnswer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import { maxEventLength, SseTooLongError } from '../sse.ts';
import { createStreamReader, readAnswer } from './read-answer.ts';

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
};
const hello: Answer = { ...emptyAnswer, text: 'Hi.', model: 'llama3.2', usage };
const call = { function: { name: 'weather', arguments: { city: 'Oslo' } } };
const toolCall = {
  id: 'call_0',
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
        { id: 'call_1', type: 'function', function: { name: 'now', arguments: '{}' } },
      ],
      finishReason: 'tool_calls',
    },
  ],
  ['a length', { done_reason: 'length' }, { finishReason: 'length' }],
  ['no reason', { done_reason: undefined }, {}],
  ['a reason that is new', { done_reason: 'abort' }, { warnings: ['unknown done reason "abort" read as "stop"'] }],
  ['no count of the prompt', { prompt_eval_count: undefined }, { usage: null }],
  ['no count of the answer', { eval_count: undefined }, { usage: null }],
])('an answer is read: %s', ([, change, expected]) => {
  expect(readAnswer({ ...whole, ...change })).toEqual({ kind: 'answer', answer: { ...hello, ...expected } });
});

test.for<[string, unknown, FailureKind]>([
  ['an error', { error: 'something broke' }, 'server_error'],
  ['a model that is not there', { error: 'model "x" not found, try pulling it first' }, 'model_not_found'],
  ['a full queue', { error: 'server busy, please try again. maximum pending requests exceeded' }, 'overloaded'],
  ['a prompt that does not fit', { error: 'the input exceeds the available context size' }, 'context_length'],
  ['a missing ability', { error: 'registry/llama does not support tools' }, 'unsupported_feature'],
  ['an answer not done', { ...whole, done: false }, 'bad_output'],
  ['a list', [], 'bad_output'],
  ['null', null, 'bad_output'],
])('inside HTTP 200, %s is a failure', ([, body, kind]) => {
  expect(readAnswer(body)).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

const piece = (message: object) => ({ model: 'llama3.2', message, done: false });
const last = { ...whole, message: { role: 'assistant', content: '' } };

function read(lines: readonly unknown[], separator = '\n') {
  const reader = createStreamReader();
  for (const line of lines) reader.push(JSON.stringify(line) + separator);
  return { result: reader.end(), partial: reader.partial() };
}

test.for<[string, unknown[], Answer]>([
  ['text in pieces', [piece({ content: 'H' }), piece({ content: 'i.' }), last], hello],
  ['text on the last line', [piece({ content: 'H' }), { ...whole, message: { content: 'i.' } }], hello],
  [
    'thinking before the text',
    [piece({ content: '', thinking: 'H' }), piece({ thinking: 'm.' }), piece({ content: 'Hi.' }), last],
    { ...hello, reasoning: 'Hm.' },
  ],
  [
    'tool calls on lines of their own',
    [piece({ content: '', tool_calls: [call] }), piece({ tool_calls: [call] }), last],
    { ...hello, text: '', toolCalls: [toolCall, { ...toolCall, id: 'call_1' }], finishReason: 'tool_calls' },
  ],
])('a stream is read: %s', ([, lines, answer]) => {
  expect(read(lines).result).toEqual({ kind: 'answer', answer });
  expect(read(lines, '\r\n').result).toEqual({ kind: 'answer', answer });
});

test('an error on a line is a failure although the status is 200', () => {
  expect(read([piece({ content: 'H' }), { error: 'an error was encountered' }]).result).toMatchObject({
    kind: 'failure',
    failure: { kind: 'server_error', httpStatus: 200 },
  });
});

test('a stream without its last line is interrupted', () => {
  const { result, partial } = read([piece({ content: 'H' })]);
  expect(result).toMatchObject({ kind: 'failure', failure: { kind: 'stream_interrupted' } });
  expect(partial).toMatchObject({ text: 'H', usage: null });
});

test('a line that never ends is cut off', () => {
  const reader = createStreamReader();
  expect(() => reader.push(`{"message":"${'x'.repeat(maxEventLength)}`)).toThrow(SseTooLongError);
});
