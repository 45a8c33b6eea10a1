import { expect, test } from 'vitest';
import { type Answer, emptyAnswer } from '../chat/response.ts';
import { type ChatReading, chatReader } from './chat-reader.ts';
import { failure, type ReadResult, type StreamPiece } from './dialect.ts';

const usage = { ...emptyAnswer, providerId: 'a1' };
const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } } as const;

/** A dialect whose every answer is this one. */
const dialect = (result: ReadResult, partial: Answer = emptyAnswer): ChatReading<null> => ({
  readAnswer: () => result,
  createStreamReader: (onPiece) => ({
    push: (text) => onPiece({ kind: 'text', text }),
    end: () => result,
    partial: () => partial,
  }),
});
const bothWays = (result: ReadResult): ReadResult[] => {
  const reader = chatReader(dialect(result), null);
  return [reader.readAnswer({}), reader.createStreamReader(() => undefined).end()];
};

test.for<[string, Partial<Answer>]>([
  ['a text', { text: 'Hi.' }],
  ['a tool call', { toolCalls: [call], finishReason: 'tool_calls' }],
  ['a refusal', { refusal: 'No.' }],
  ['a stop by a filter', { finishReason: 'content_filter' }],
  ['an answer that was cut', { finishReason: 'length' }],
])('%s can be used, streamed or not', ([, change]) => {
  const result: ReadResult = { kind: 'answer', answer: { ...usage, ...change } };
  expect(bothWays(result)).toEqual([result, result]);
});

test.for<[string, Partial<Answer>]>([
  ['nothing', {}],
  ['reasoning alone', { reasoning: 'Hm.' }],
])('%s is a failure, and what it used stays known', ([, change]) => {
  const answer = { ...usage, ...change };
  const expected = {
    kind: 'failure',
    failure: { kind: 'bad_output', message: 'the answer is empty' },
    partial: answer,
  };
  for (const result of bothWays({ kind: 'answer', answer })) expect(result).toMatchObject(expected);
});

test('a failure stays the failure it is', () => {
  const result: ReadResult = { kind: 'failure', failure: failure('overloaded', 'HTTP 529') };
  expect(bothWays(result)).toEqual([result, result]);
});

test('pieces, and what is known of a broken stream, pass as they are', () => {
  const pieces: StreamPiece[] = [];
  const stream = chatReader(dialect({ kind: 'answer', answer: usage }, usage), null).createStreamReader((piece) =>
    pieces.push(piece),
  );
  stream.push('H');
  expect(pieces).toEqual([{ kind: 'text', text: 'H' }]);
  expect(stream.partial()).toBe(usage);
});
