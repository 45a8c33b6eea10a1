import { expect, test } from 'vitest';
import type { Answer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import type { StreamPiece } from '../dialect.ts';
import { nowMs } from '../fixture-call.ts';
import { createStreamReader } from './read-stream.ts';

const asked = { toOurs: (name: string) => name.replace('_', '-'), nowMs };

type Event = { readonly type: string; readonly [field: string]: unknown };
const start: Event = { type: 'message-start', id: 'r1', delta: { message: { role: 'assistant', content: [] } } };
const content = (index: number, value: object, more: object = {}) => ({
  type: 'content-delta',
  index,
  delta: { message: { content: value } },
  ...more,
});
const plan = (text: string) => ({ type: 'tool-plan-delta', delta: { message: { tool_plan: text } } });
const opened = (index: number | undefined, id: string, name: string, args = '') => ({
  type: 'tool-call-start',
  index,
  delta: { message: { tool_calls: { id, type: 'function', function: { name, arguments: args } } } },
});
const more = (index: number | undefined, args: string) => ({
  type: 'tool-call-delta',
  index,
  delta: { message: { tool_calls: { function: { arguments: args } } } },
});
const closed = (index?: number) => ({ type: 'tool-call-end', index });
const usage = { tokens: { input_tokens: 9, output_tokens: 4 } };
const end = (finish: string, change: object = {}) => ({
  type: 'message-end',
  delta: { finish_reason: finish, usage, ...change },
});

function read(events: readonly Event[], last = 'data: [DONE]\n\n') {
  const pieces: StreamPiece[] = [];
  const reader = createStreamReader((piece) => pieces.push(piece), asked);
  for (const event of events) reader.push(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  reader.push(last);
  return { result: reader.end(), partial: reader.partial(), pieces };
}
const call = (id: string, name: string, args: string) => ({
  id,
  type: 'function',
  function: { name, arguments: args },
});
const told = (index: number, args: string, id: string | null = null, name: string | null = null) => ({
  kind: 'tool_call',
  index,
  id,
  name,
  arguments: args,
});
const text = (value: string) => ({ kind: 'text', text: value });
const reasoning = (value: string) => ({ kind: 'reasoning', text: value });

test.for<[string, Event[], Partial<Answer>, object[]]>([
  [
    'text',
    [
      start,
      { ...content(0, { type: 'text', text: '' }), type: 'content-start' },
      content(0, { text: 'H' }),
      content(0, { text: 'i.' }),
      { type: 'content-end' },
      end('COMPLETE'),
    ],
    { text: 'Hi.', finishReason: 'stop', providerId: 'r1', model: null, reasoningDetails: [], logprobs: null },
    [text('H'), text('i.')],
  ],
  [
    'text that begins with its block',
    [
      start,
      { ...content(0, { type: 'text', text: 'H' }), type: 'content-start' },
      content(0, { text: 'i.' }),
      end('COMPLETE'),
    ],
    { text: 'Hi.' },
    [text('H'), text('i.')],
  ],
  [
    'reasoning before the text, with its blocks to send back',
    [
      start,
      content(0, { thinking: 'H' }),
      content(0, { thinking: 'm.' }),
      content(1, { thinking: 'So.' }),
      content(2, { text: 'Hi.' }),
      end('MAX_TOKENS'),
    ],
    {
      reasoning: 'Hm.So.',
      reasoningDetails: [
        { type: 'thinking', thinking: 'Hm.' },
        { type: 'thinking', thinking: 'So.' },
      ],
      text: 'Hi.',
      finishReason: 'length',
    },
    [reasoning('H'), reasoning('m.'), reasoning('So.'), text('Hi.')],
  ],
  [
    'a plan and two calls',
    [
      start,
      plan('I '),
      plan('look.'),
      opened(0, 'a', 'get_weather'),
      more(0, '{"city":'),
      more(0, '"Oslo"}'),
      closed(0),
      opened(1, 'b', 'now'),
      closed(1),
      end('TOOL_CALL'),
    ],
    {
      reasoning: 'I look.',
      reasoningDetails: [{ type: 'tool_plan', tool_plan: 'I look.' }],
      toolCalls: [call('a', 'get-weather', '{"city":"Oslo"}'), call('b', 'now', '{}')] as Answer['toolCalls'],
      finishReason: 'tool_calls',
    },
    [
      reasoning('I '),
      reasoning('look.'),
      told(0, '', 'a', 'get-weather'),
      told(0, '{"city":'),
      told(0, '"Oslo"}'),
      told(1, '', 'b', 'now'),
      told(1, '{}'),
    ],
  ],
  [
    'calls without an index, one of them without an id',
    [
      start,
      opened(undefined, 'a', 'f', '{'),
      more(undefined, '}'),
      closed(),
      opened(undefined, '', 'g'),
      closed(),
      end('TOOL_CALL'),
    ],
    { toolCalls: [call('a', 'f', '{}'), call('call_1', 'g', '{}')] as Answer['toolCalls'] },
    [told(0, '{', 'a', 'f'), told(0, '}'), told(1, '', 'call_1', 'g'), told(1, '{}')],
  ],
  [
    'calls in a list, and with numbers of their own',
    [
      start,
      { ...opened(3, '', ''), delta: { message: { tool_calls: [{ id: 'a', function: { name: 'f' } }] } } },
      more(3, '{}'),
      closed(3),
      end('TOOL_CALL'),
    ],
    { toolCalls: [call('a', 'f', '{}')] as Answer['toolCalls'] },
    [told(0, '', 'a', 'f'), told(0, '{}')],
  ],
  [
    'probabilities',
    [
      start,
      content(0, { text: 'Hi.' }, { logprobs: { text: 'Hi.', token_ids: [1], logprobs: [-1] } }),
      end('COMPLETE'),
    ],
    { logprobs: { content: [{ token: 'Hi.', logprob: -1, bytes: [72, 105, 46], top_logprobs: [] }], refusal: null } },
    [text('Hi.')],
  ],
  [
    'citations and new events, which are passed over',
    [
      start,
      { type: 'citation-start' },
      content(0, { text: 'Hi.' }),
      { type: 'citation-end' },
      { type: 'new' },
      closed(7),
      end('COMPLETE'),
    ],
    { text: 'Hi.', toolCalls: [] },
    [text('Hi.')],
  ],
  [
    'no usage',
    [start, content(0, { text: 'Hi.' }), end('COMPLETE', { usage: undefined })],
    { usage: null },
    [text('Hi.')],
  ],
  [
    'a new finish reason',
    [start, content(0, { text: 'Hi.' }), end('NEW')],
    { finishReason: 'stop', warnings: ['unknown finish reason "NEW" read as "stop"'] },
    [text('Hi.')],
  ],
])('a stream is read: %s', ([, events, expected, pieces]) => {
  const found = read(events);
  expect(found.result).toMatchObject({ kind: 'answer', answer: expected });
  expect(found.pieces).toEqual(pieces);
});

test('a stream tells its usage at its end', () => {
  const { partial } = read([start, content(0, { text: 'Hi.' }), end('COMPLETE')]);
  expect(partial.usage).toMatchObject({ inputTokens: 9, outputTokens: 4 });
});

test.for([
  ['is whole without the marker after its end', ''],
  ['is whole when the marker is cut', 'data: [DO'],
] as const)('a stream %s', ([, last]) => {
  expect(read([start, content(0, { text: 'Hi.' }), end('COMPLETE')], last).result.kind).toBe('answer');
});

test('a stream that ends before its end is interrupted, and what came is known', () => {
  const { result, partial } = read([start, content(0, { text: 'H' })]);
  expect(result).toMatchObject({ kind: 'failure', failure: { kind: 'stream_interrupted', httpStatus: 200 } });
  expect(partial).toMatchObject({ text: 'H', usage: null, providerId: 'r1' });
});

test.for<[string, object, FailureKind]>([
  ['an error', end('ERROR', { error: 'something went wrong' }), 'server_error'],
  ['an error without a text', end('ERROR'), 'server_error'],
  ['an error without a reason', end('', { error: 'something went wrong' }), 'server_error'],
  ['an error that is a limit', end('ERROR', { error: 'trial token rate limit exceeded' }), 'rate_limit'],
  ['an error that is the window', end('ERROR', { error: 'too many tokens: size limit exceeded' }), 'context_length'],
  ['a timeout', end('TIMEOUT'), 'timeout'],
])('a stream that ends with %s is a failure, and its usage is kept', ([, last, kind]) => {
  const { result } = read([start, content(0, { text: 'H' }), last as Event]);
  expect(result).toMatchObject({
    kind: 'failure',
    failure: { kind, httpStatus: 200 },
    partial: { text: 'H', usage: { inputTokens: 9 } },
  });
});

test.for<[string, FailureKind]>([
  ['too many requests', 'rate_limit'],
  ['an internal server error', 'server_error'],
])('an error document in place of a stream is that error: %s', ([message, kind]) => {
  const reader = createStreamReader(() => undefined, asked);
  reader.push(JSON.stringify({ id: 'r1', message }, null, 1));
  expect(reader.end()).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});
