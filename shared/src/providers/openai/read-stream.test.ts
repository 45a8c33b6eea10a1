import { expect, test } from 'vitest';
import type { Answer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import { createStreamReader } from './read-stream.ts';

const chunk = (delta: object, more: object = {}) => ({
  id: 'chatcmpl-1',
  model: 'gpt-4.1-mini',
  choices: [{ index: 0, delta, finish_reason: null, ...more }],
});
const finish = (reason: string) => chunk({}, { finish_reason: reason });
const calls = (...pieces: object[]) => chunk({ tool_calls: pieces });
const usageChunk = { id: 'chatcmpl-1', choices: [], usage: { prompt_tokens: 9, completion_tokens: 2 } };

function read(chunks: readonly unknown[], end = 'data: [DONE]\n\n') {
  const reader = createStreamReader();
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
  const reader = createStreamReader();
  reader.push(': OPENROUTER PROCESSING\n\nevent: ping\ndata: {"type":"ping"}\n\nretry: 10\n\n');
  reader.push(`data: ${JSON.stringify(chunk({ content: 'Hi.' }))}\n\ndata: [1,2]\n\ndata:[DONE]\n\n`);
  expect(reader.end()).toMatchObject({ kind: 'answer', answer: { text: 'Hi.', finishReason: 'stop' } });
});
