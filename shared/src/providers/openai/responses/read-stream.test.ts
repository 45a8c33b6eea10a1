import { expect, test } from 'vitest';
import type { Answer } from '../../../chat/response.ts';
import type { FailureKind } from '../../../domain/failure.ts';
import type { StreamPiece } from '../../dialect.ts';
import { nowMs } from '../../fixture-call.ts';
import { createResponseStreamReader } from './read-stream.ts';

const asked = { toCaller: (id: string) => id, nowMs };

type Event = Readonly<Record<string, unknown>> & { readonly type: string };
const event = (type: string, more: object = {}): Event => ({ type, ...more });
const head = { id: 'resp_1', model: 'gpt-5.4' };
const created = event('response.created', { response: { ...head, status: 'in_progress', output: [] } });
const item = (step: 'added' | 'done', at: number, value: object) =>
  event(`response.output_item.${step}`, { output_index: at, item: value });
const delta = (kind: string, at: number, value: string) =>
  event(`response.${kind}.delta`, { output_index: at, delta: value });
const message = { type: 'message', role: 'assistant', content: [] };
const said = { ...message, content: [{ type: 'output_text', text: 'Hi.' }] };
const call = { type: 'function_call', call_id: 'c1', name: 'f', arguments: '' };
const ended = (status: string, more: object = {}) =>
  event(`response.${status}`, {
    response: { ...head, status, output: [said], usage: { input_tokens: 9, output_tokens: 2 }, ...more },
  });

function read(events: readonly Event[]) {
  const pieces: StreamPiece[] = [];
  const reader = createResponseStreamReader((piece) => pieces.push(piece), asked);
  for (const each of events) reader.push(`event: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`);
  const partial = reader.partial();
  return { result: reader.end(), partial, pieces };
}

const talk = [created, item('added', 0, message), delta('output_text', 0, 'H'), delta('output_text', 0, 'i.')];

test.for<[string, Event[], Partial<Answer>]>([
  ['the last event', [...talk, ended('completed')], { text: 'Hi.', finishReason: 'stop', providerId: 'resp_1' }],
  [
    'an end for its length',
    [...talk, ended('incomplete', { incomplete_details: { reason: 'max_output_tokens' } })],
    { text: 'Hi.', finishReason: 'length' },
  ],
  [
    'the items, where the last event holds none',
    [...talk, item('done', 0, said), ended('completed', { output: [] })],
    { text: 'Hi.' },
  ],
  ['the pieces, where there is nothing else', [...talk, ended('completed', { output: null })], { text: 'Hi.' }],
])('a stream is read from %s', ([, events, expected]) => {
  expect(read(events).result).toMatchObject({
    kind: 'answer',
    answer: { ...expected, usage: { inputTokens: 9, outputTokens: 2 } },
  });
});

test('who listens is told all that comes', () => {
  const { pieces, partial } = read([
    created,
    item('added', 0, { type: 'reasoning', summary: [] }),
    delta('reasoning_summary_text', 0, 'H'),
    delta('reasoning_text', 0, 'm.'),
    item('added', 1, message),
    delta('output_text', 1, 'Hi.'),
    delta('output_text', 1, ''),
    item('added', 2, call),
    delta('function_call_arguments', 2, '{"x"'),
    item('added', 3, { ...call, call_id: '' }),
    delta('function_call_arguments', 2, ':1}'),
    delta('refusal', 4, 'No.'),
  ]);
  const callPiece = { kind: 'tool_call', index: 0, id: null, name: null };
  expect(pieces).toEqual([
    { kind: 'reasoning', text: 'H' },
    { kind: 'reasoning', text: 'm.' },
    { kind: 'text', text: 'Hi.' },
    { ...callPiece, id: 'c1', name: 'f', arguments: '' },
    { ...callPiece, arguments: '{"x"' },
    { ...callPiece, index: 1, id: 'call_1', name: 'f', arguments: '' },
    { ...callPiece, arguments: ':1}' },
    { kind: 'refusal', text: 'No.' },
  ]);
  expect(partial).toMatchObject({
    text: 'Hi.',
    reasoning: 'Hm.',
    refusal: 'No.',
    model: 'gpt-5.4',
    toolCalls: [{ id: 'c1', function: { name: 'f', arguments: '{"x":1}' } }, { id: 'call_1' }],
    usage: null,
  });
});

test('arguments of a call that was never begun are kept', () => {
  const { partial } = read([delta('function_call_arguments', 0, '{}'), delta('function_call_arguments', 0, '')]);
  expect(partial.toolCalls).toMatchObject([{ id: 'call_0', function: { arguments: '{}' } }]);
});

test.for<[string, Event[], FailureKind]>([
  [
    'an error event',
    [...talk, event('error', { code: 'rate_limit_exceeded', message: 'x', param: null })],
    'rate_limit',
  ],
  ['an error event with an error in it', [event('error', { error: { code: 'server_error' } })], 'server_error'],
  ['a failed answer', [...talk, ended('failed', { error: { code: 'server_error', message: 'x' } })], 'server_error'],
  [
    'an answer that failed after an error',
    [event('error', { code: 'insufficient_quota' }), ended('failed')],
    'billing',
  ],
  ['no end', talk, 'stream_interrupted'],
  ['nothing', [], 'stream_interrupted'],
])('in a stream, %s is a failure', ([, events, kind]) => {
  expect(read(events).result).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

test('what had come before an error is known, and after the end what the end says', () => {
  expect(read([...talk, event('error', { code: 'server_error' })]).partial).toMatchObject({ text: 'Hi.', usage: null });
  expect(read([...talk, ended('failed', { error: { code: 'server_error' } })]).partial.usage).toMatchObject({
    inputTokens: 9,
  });
  expect(read([...talk, ended('completed')]).partial.usage).toMatchObject({ inputTokens: 9 });
});

test('a document in place of a stream is read as what it is', () => {
  const asDocument = (body: object) => {
    const reader = createResponseStreamReader(() => undefined, asked);
    reader.push(JSON.stringify(body));
    return reader.end();
  };
  expect(asDocument({ error: { code: 429, message: 'x' } })).toMatchObject({ failure: { kind: 'rate_limit' } });
  expect(asDocument({ object: 'response', ...head, status: 'completed', output: [said] })).toMatchObject({
    kind: 'answer',
    answer: { text: 'Hi.' },
  });
});

test('an event is known by its name where its data has no type, and unknown ones are passed over', () => {
  const reader = createResponseStreamReader(() => undefined, asked);
  reader.push(': hi\n\nevent: ping\ndata: {}\n\ndata: [1]\n\n');
  const { type: _, ...body } = ended('completed');
  reader.push(`event: response.completed\ndata: ${JSON.stringify(body)}\n\ndata: [DONE]\n\n`);
  expect(reader.end()).toMatchObject({ kind: 'answer', answer: { text: 'Hi.' } });
});
