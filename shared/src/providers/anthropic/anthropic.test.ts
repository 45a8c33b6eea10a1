import { expect, test } from 'vitest';
import type { CallInput, Reader } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { anthropicDialect } from './anthropic.ts';

const tools = [{ type: 'function', function: { name: 'look' } }];

function readerOf(request: object, more: Partial<CallInput> = {}): Reader {
  const written = anthropicDialect.writeChat(callInput(request, { model: 'claude-opus-5-5', ...more }));
  if (written.kind === 'unsupported') throw new Error(`unsupported: ${written.feature}`);
  return written.reader;
}
const sse = (...events: object[]) => events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
const body = { id: 'msg_1', content: [{ type: 'text', text: '{}' }], stop_reason: 'end_turn' };
const streamed = (stop: string) =>
  sse(
    { type: 'message_start', message: { id: 'msg_1' } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '{}' } },
    { type: 'message_delta', delta: { stop_reason: stop } },
    { type: 'message_stop' },
  );

const bothWays = (reader: Reader, stop: string) => {
  const stream = reader.createStreamReader(() => undefined);
  stream.push(streamed(stop));
  return [reader.readAnswer({ ...body, stop_reason: stop }), stream.end()];
};

test('an answer is read as it was asked for: the arguments of a tool are its call', () => {
  for (const result of bothWays(readerOf({ tools, tool_choice: 'required' }), 'end_turn'))
    expect(result).toMatchObject({
      answer: { text: '', toolCalls: [{ function: { name: 'look', arguments: '{}' } }] },
    });
  for (const result of bothWays(readerOf({ tools }), 'end_turn'))
    expect(result).toMatchObject({ answer: { text: '{}', toolCalls: [] } });
});

test('an answer that is paused again is told whole', () => {
  const continuation = [{ type: 'text', text: 'So ' }];
  for (const result of bothWays(readerOf({}, { continuation }), 'pause_turn'))
    expect(result).toMatchObject({ answer: { text: '{}', continuation: [...continuation, ...body.content] } });
});

test('what it cannot take is said before any byte is sent', () => {
  const request = { tools: [...tools, { type: 'function', function: { name: 'ask' } }], tool_choice: 'required' };
  expect(anthropicDialect.writeChat(callInput(request, { model: 'claude-opus-5-5' }))).toEqual({
    kind: 'unsupported',
    feature: 'forced tool use',
  });
});

test('an empty answer is a failure', () => {
  expect(readerOf({}).readAnswer({ ...body, content: [] })).toMatchObject({ failure: { kind: 'bad_output' } });
});

test('it has no embeddings, and says so', () => {
  expect(anthropicDialect.embeddings).toBeNull();
  expect(anthropicDialect.lacks).toContain('embeddings');
});
