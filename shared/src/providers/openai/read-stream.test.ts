import { expect, test } from 'vitest';
import type { Answer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import type { StreamPiece } from '../dialect.ts';
import { nowMs } from '../fixture-call.ts';
import type { Asked } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';

const asked: Asked = { toCaller: (id) => id, nowMs };

const chunk = (delta: object, more: object = {}) => ({
  id: 'chatcmpl-1',
  model: 'gpt-4.1-mini',
  choices: [{ index: 0, delta, finish_reason: null, ...more }],
});
const finish = (reason: string) => chunk({}, { finish_reason: reason });
const calls = (...pieces: object[]) => chunk({ tool_calls: pieces });
const usageChunk = { id: 'chatcmpl-1', choices: [], usage: { prompt_tokens: 9, completion_tokens: 2 } };

function read(chunks: readonly unknown[], end = 'data: [DONE]\n\n') {
  const reader = createStreamReader(() => undefined, asked);
  for (const each of chunks) reader.push(`data: ${JSON.stringify(each)}\n\n`);
  reader.push(end);
  return { result: reader.end(), partial: reader.partial() };
}

test.for<[string, unknown[], Partial<Answer>]>([
  ['text in pieces', [chunk({ content: 'H' }), chunk({ content: 'i.' }), finish('stop')], { text: 'Hi.' }],
  ['a first chunk without choices', [{ choices: [] }, chunk({ content: 'Hi.' }), finish('stop')], { text: 'Hi.' }],
  [
    'a choice without delta',
    [chunk({ content: 'Hi.' }), { choices: [{ index: 0, content_filter_results: {} }] }, finish('stop')],
    { text: 'Hi.' },
  ],
  [
    'reasoning before the text',
    [chunk({ reasoning_content: 'H' }), chunk({ reasoning: 'm' }), chunk({ content: 'Hi.' }), finish('stop')],
    { reasoning: 'Hm', text: 'Hi.' },
  ],
  ['a refusal in pieces', [chunk({ refusal: 'N' }), chunk({ refusal: 'o.' }), finish('stop')], { refusal: 'No.' }],
  ['a length', [chunk({ content: 'H' }), finish('length')], { finishReason: 'length' }],
  ['a filter', [chunk({ content: '' }), finish('content_filter')], { finishReason: 'content_filter' }],
  [
    'usage in an extra chunk',
    [chunk({ content: 'Hi.' }), finish('stop'), usageChunk],
    { usage: expect.objectContaining({ inputTokens: 9, outputTokens: 2 }) },
  ],
  [
    "usage in Groq's last chunk",
    [chunk({ content: 'Hi.' }), { ...finish('stop'), x_groq: { usage: usageChunk.usage } }],
    { usage: expect.objectContaining({ inputTokens: 9 }) },
  ],
  ['no usage', [chunk({ content: 'Hi.' }), finish('stop')], { usage: null }],
])('a stream is read: %s', ([, chunks, expected]) => {
  expect(read(chunks).result).toMatchObject({ kind: 'answer', answer: expected });
});

const first = { index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } };
const whole = (id: string, name: string, args: string) => ({
  ...(id === '' ? {} : { id }),
  type: 'function',
  function: { name, arguments: args },
});
test.for<[string, unknown[], [id: string, name: string, args: string][]]>([
  [
    'pieces joined by index',
    [
      calls(first),
      calls({ index: 0, function: { arguments: '{"x"' } }),
      calls({ index: 0, function: { arguments: ':1}' } }),
    ],
    [['a', 'f', '{"x":1}']],
  ],
  [
    'two calls in turn',
    [
      calls(first),
      calls({ index: 1, id: 'b', function: { name: 'g', arguments: '{' } }),
      calls({ index: 0, function: { arguments: '{}' } }, { index: 1, function: { arguments: '}' } }),
    ],
    [
      ['a', 'f', '{}'],
      ['b', 'g', '{}'],
    ],
  ],
  [
    'an id repeated in every piece',
    [
      calls({ ...first, function: { name: 'f', arguments: '{' } }),
      calls({ index: 0, id: 'a', function: { arguments: '}' } }),
    ],
    [['a', 'f', '{}']],
  ],
  [
    'whole calls without an index, in one chunk',
    [calls(whole('a', 'f', '{}'), whole('b', 'g', '{"y":2}'))],
    [
      ['a', 'f', '{}'],
      ['b', 'g', '{"y":2}'],
    ],
  ],
  [
    'whole calls without an index, in chunks of their own',
    [calls(whole('a', 'f', '{}')), calls(whole('b', 'g', '{"y":2}'))],
    [
      ['a', 'f', '{}'],
      ['b', 'g', '{"y":2}'],
    ],
  ],
  [
    'whole calls with neither index nor id',
    [calls(whole('', 'f', '{}')), calls(whole('', 'f', '{"y":2}'))],
    [
      ['call_0', 'f', '{}'],
      ['call_1', 'f', '{"y":2}'],
    ],
  ],
  [
    'pieces without an index',
    [calls(whole('a', 'f', '{')), calls({ function: { arguments: '}' } })],
    [['a', 'f', '{}']],
  ],
  [
    'pieces without an index that repeat their id',
    [calls(whole('a', 'f', '{')), calls({ id: 'a', function: { arguments: '}' } })],
    [['a', 'f', '{}']],
  ],
])('tool calls are put together: %s', ([, chunks, expected]) => {
  const toolCalls = expected.map(([id, name, args]) => ({ id, type: 'function', function: { name, arguments: args } }));
  expect(read([...chunks, finish('tool_calls')]).result).toMatchObject({
    kind: 'answer',
    answer: { toolCalls, finishReason: 'tool_calls' },
  });
});

test.for<[string, unknown[], FailureKind]>([
  ['an error event', [chunk({ content: 'H' }), { error: { message: 'x', code: 503 } }], 'overloaded'],
  ['an error beside a choice', [{ ...finish('error'), error: { code: 502, message: 'x' } }], 'server_error'],
  ['an error inside a choice', [chunk({}, { error: { code: 429, message: 'x' } })], 'rate_limit'],
  [
    "an error of Groq's as text",
    [chunk({ content: 'H' }), { choices: [], x_groq: { error: 'over capacity' } }],
    'server_error',
  ],
  ['a finish reason of error', [chunk({ content: 'H' }), finish('error')], 'server_error'],
])('in a stream, %s is a failure even when the end marker follows', ([, chunks, kind]) => {
  expect(read(chunks).result).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

test('without [DONE] a stream is interrupted, although the choice said why it finished', () => {
  const { result, partial } = read([chunk({ content: 'Hi.' }), finish('stop'), usageChunk], '');
  expect(result).toMatchObject({ kind: 'failure', failure: { kind: 'stream_interrupted' } });
  expect(partial).toMatchObject({ text: 'Hi.', usage: { inputTokens: 9 } });
});

test('an empty stream is interrupted', () => {
  expect(read([], '').result).toMatchObject({ kind: 'failure', failure: { kind: 'stream_interrupted' } });
});

test('comments, unknown events and unknown chunks are passed over', () => {
  const reader = createStreamReader(() => undefined, asked);
  reader.push(': OPENROUTER PROCESSING\n\nevent: ping\ndata: {"type":"ping"}\n\nretry: 10\n\n');
  reader.push(`data: ${JSON.stringify(chunk({ content: 'Hi.' }))}\n\ndata: [1,2]\n\ndata:[DONE]\n\n`);
  expect(reader.end()).toMatchObject({ kind: 'answer', answer: { text: 'Hi.', finishReason: 'stop' } });
});

const details = (...pieces: object[]) => chunk({ reasoning_details: pieces });
test.for<[string, unknown[], Partial<Answer>]>([
  [
    "thinking in Mistral's content",
    [
      chunk({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] }] }),
      chunk({ content: [{ type: 'text', text: 'Hi.' }] }),
    ],
    { reasoning: 'Hm.', text: 'Hi.' },
  ],
  [
    'parts of reasoning, put together by index',
    [
      details({ type: 'reasoning.text', index: 0, text: 'H', signature: null }),
      details(
        { type: 'reasoning.text', index: 0, text: 'm.', format: 'a' },
        { type: 'reasoning.encrypted', index: 1, data: 'x' },
      ),
      details({ type: 'reasoning.text', index: 0, text: null, signature: 's' }),
      chunk({ content: 'Hi.' }),
    ],
    {
      reasoning: 'Hm.',
      reasoningDetails: [
        { type: 'reasoning.text', index: 0, text: 'Hm.', signature: 's', format: 'a' },
        { type: 'reasoning.encrypted', index: 1, data: 'x' },
      ],
    },
  ],
  [
    'encrypted parts without an index, each on its own',
    [
      details({ type: 'reasoning.encrypted', data: 'x' }),
      details({ type: 'reasoning.encrypted', data: 'y' }),
      chunk({ content: 'Hi.' }),
    ],
    {
      reasoningDetails: [
        { type: 'reasoning.encrypted', data: 'x' },
        { type: 'reasoning.encrypted', data: 'y' },
      ],
    },
  ],
  [
    'log probabilities in pieces',
    [
      chunk({ content: 'H' }, { logprobs: { content: [{ token: 'H' }], refusal: null } }),
      chunk({ content: 'i.' }, { logprobs: { content: [{ token: 'i.' }] } }),
    ],
    { logprobs: { content: [{ token: 'H' }, { token: 'i.' }] } },
  ],
  [
    'further choices, each on its own',
    [
      chunk({ content: 'Hi.' }),
      {
        choices: [
          { index: 2, delta: { tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '{}' } }] } },
        ],
      },
      { choices: [{ index: 1, delta: { content: 'H' } }] },
      { choices: [{ index: 1, delta: { content: 'o.' }, finish_reason: 'length' }] },
    ],
    {
      text: 'Hi.',
      otherChoices: [
        {
          index: 1,
          message: { role: 'assistant', content: 'Ho.', refusal: null },
          logprobs: null,
          finish_reason: 'length',
        },
        {
          index: 2,
          message: {
            role: 'assistant',
            content: null,
            refusal: null,
            tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
          },
          logprobs: null,
          finish_reason: null,
        },
      ],
    },
  ],
])('a stream is put together: %s', ([, chunks, expected]) => {
  expect(read([...chunks, finish('stop')]).result).toMatchObject({ kind: 'answer', answer: expected });
});

function piecesOf(chunks: readonly unknown[], { toCaller }: Pick<Asked, 'toCaller'> = asked) {
  const pieces: StreamPiece[] = [];
  const reader = createStreamReader((piece) => pieces.push(piece), { ...asked, toCaller });
  for (const each of chunks) reader.push(`data: ${JSON.stringify(each)}\n\n`);
  return pieces;
}
const callPiece = (index: number, id: string | null, name: string | null, args: string) => ({
  kind: 'tool_call',
  index,
  id,
  name,
  arguments: args,
});

test.for<[string, unknown[], object[]]>([
  [
    'what is thought, said and refused',
    [
      chunk({ reasoning: 'Hm.' }),
      chunk({ content: 'H' }),
      chunk({ content: '' }),
      chunk({ content: 'i.' }),
      chunk({ refusal: 'No.' }),
    ],
    [
      { kind: 'reasoning', text: 'Hm.' },
      { kind: 'text', text: 'H' },
      { kind: 'text', text: 'i.' },
      { kind: 'refusal', text: 'No.' },
    ],
  ],
  [
    'a call, its id and name with the first piece',
    [
      calls(first),
      calls({ index: 0, function: { arguments: '{"x"' } }),
      calls({ index: 0, function: { arguments: ':1}' } }),
    ],
    [callPiece(0, 'a', 'f', ''), callPiece(0, null, null, '{"x"'), callPiece(0, null, null, ':1}')],
  ],
  [
    'calls by their place, whatever index they have',
    [
      calls({ ...first, index: 3 }),
      calls({ ...first, index: 7, id: 'b' }),
      calls({ index: 3, function: { arguments: '{}' } }),
    ],
    [callPiece(0, 'a', 'f', ''), callPiece(1, 'b', 'f', ''), callPiece(0, null, null, '{}')],
  ],
  [
    'a call whose name comes late, once it has come',
    [
      calls({ index: 0, id: 'a', function: { arguments: '{' } }),
      calls({ index: 0, function: { name: 'f', arguments: '}' } }),
    ],
    [callPiece(0, 'a', 'f', '{}')],
  ],
  [
    'a call without an id, under the one that the answer has',
    [calls(whole('', 'f', '{}'))],
    [callPiece(0, 'call_0', 'f', '{}')],
  ],
  ['nothing of other choices', [{ choices: [{ index: 1, delta: { content: 'Ho.' } }] }], []],
])('who listens is told %s', ([, chunks, expected]) => {
  expect(piecesOf(chunks)).toEqual(expected);
});

test('ids that were substituted are named back, in pieces and in the answer', () => {
  const toCaller = (id: string) => (id === 'a' ? 'toolu_1' : id);
  expect(piecesOf([calls(first)], { toCaller })).toEqual([callPiece(0, 'toolu_1', 'f', '')]);
  const reader = createStreamReader(() => undefined, { ...asked, toCaller });
  reader.push(`data: ${JSON.stringify(calls(first))}\n\ndata: [DONE]\n\n`);
  expect(reader.end()).toMatchObject({ answer: { toolCalls: [{ id: 'toolu_1' }] } });
});
