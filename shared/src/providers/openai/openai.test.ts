import { expect, test } from 'vitest';
import type { CallInput } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { presetOf } from '../presets.ts';
import { plainQuirks, type Quirks } from '../quirks.ts';
import { openaiDialect } from './openai.ts';

const quirksOf = (id: string): Quirks => presetOf(id)?.quirks ?? plainQuirks;
const tools = [{ type: 'function', function: { name: 'f' } }];

function write(request: object, more: Partial<CallInput>) {
  const written = openaiDialect.writeChat(callInput(request, more));
  if (written.kind !== 'request') throw new Error(`unsupported: ${written.feature}`);
  return written;
}

test.for<[string, string, object, string]>([
  ['openai', 'gpt-5.4', { tools }, '/responses'],
  ['openai', 'gpt-5-pro', {}, '/responses'],
  ['openai', 'gpt-5.4', { tools, reasoning_effort: 'none' }, '/chat/completions'],
  ['openai', 'gpt-4.1', { tools }, '/chat/completions'],
  ['openrouter', 'gpt-5.4', { tools }, '/chat/completions'],
  ['openai-compatible', 'gpt-5-pro', {}, '/chat/completions'],
])('%s is asked for %s with %j at %s', ([id, model, request, path]) => {
  expect(write(request, { model, quirks: quirksOf(id) }).http.url).toBe(`https://api.test/v1${path}`);
});

const completion = { choices: [{ message: { content: 'Hi.' }, finish_reason: 'stop' }] };
const response = {
  status: 'completed',
  output: [{ type: 'message', content: [{ type: 'output_text', text: 'Hi.' }] }],
};
test.for<[string, object, object]>([
  ['gpt-4.1', completion, response],
  ['gpt-5-pro', response, completion],
])('the answer of %s is read as that of the surface it was asked on', ([model, own, other]) => {
  const { reader } = write({}, { model, quirks: quirksOf('openai') });
  expect(reader.readAnswer(own)).toMatchObject({ kind: 'answer', answer: { text: 'Hi.' } });
  expect(reader.readAnswer(other)).toMatchObject({ kind: 'failure', failure: { kind: 'bad_output' } });
});

const longId = `toolu_${'x'.repeat(80)}`;
const call = { id: longId, type: 'function', function: { name: 'f', arguments: '{}' } };
const messages = [
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: null, tool_calls: [call] },
  { role: 'tool', tool_call_id: longId, content: 'x' },
];

test.for<[string, string]>([
  ['mistral', 'mistral-small-2603'],
  ['openai', 'gpt-4.1'],
])('%s is given ids that it takes, and who asked reads its own again', ([id, model]) => {
  const { http, reader } = write({ messages }, { model, quirks: quirksOf(id) });
  const sent = JSON.parse(http.body).messages[1].tool_calls[0].id as string;
  expect(sent).not.toBe(longId);
  const again = { ...call, id: sent };
  expect(
    reader.readAnswer({ choices: [{ message: { tool_calls: [again] }, finish_reason: 'tool_calls' }] }),
  ).toMatchObject({ answer: { toolCalls: [call] } });
  const stream = reader.createStreamReader(() => undefined);
  const chunk = { choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...again }] } }] };
  stream.push(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`);
  expect(stream.end()).toMatchObject({ answer: { toolCalls: [call] } });
});

test('on Responses too', () => {
  const { http, reader } = write({ messages, tools }, { model: 'gpt-5.4', quirks: quirksOf('openai') });
  const sent = JSON.parse(http.body).input[1].call_id as string;
  expect(sent).not.toBe(longId);
  const output = [{ type: 'function_call', call_id: sent, name: 'f', arguments: '{}' }];
  expect(reader.readAnswer({ status: 'completed', output })).toMatchObject({ answer: { toolCalls: [call] } });
  const stream = reader.createStreamReader(() => undefined);
  const event = { type: 'response.completed', response: { status: 'completed', output } };
  stream.push(`event: response.completed\ndata: ${JSON.stringify(event)}\n\n`);
  expect(stream.end()).toMatchObject({ answer: { toolCalls: [call] } });
});

test('an answer without anything in it is a failure', () => {
  const { reader } = write({}, {});
  expect(reader.readAnswer({ choices: [{ message: { content: '' }, finish_reason: 'stop' }] })).toMatchObject({
    kind: 'failure',
    failure: { kind: 'bad_output' },
  });
});

test('what a server lacks is told before anything is sent', () => {
  const quirks: Quirks = { ...quirksOf('openai'), forcedTools: false };
  const request = { tools, tool_choice: 'required' };
  for (const model of ['gpt-4.1', 'gpt-5.4'])
    expect(openaiDialect.writeChat(callInput(request, { model, quirks }))).toEqual({
      kind: 'unsupported',
      feature: 'a forced tool call',
    });
});
