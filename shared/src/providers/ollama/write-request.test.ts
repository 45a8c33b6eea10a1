import { expect, test } from 'vitest';
import { chatRequestSchema } from '../../chat/request.ts';
import { Secret } from '../../security/secret.ts';
import type { CallInput } from '../dialect.ts';
import { writeRequest } from './write-request.ts';

const user = { role: 'user', content: 'Hi' };
const fixed = { model: 'llama3.2', messages: [user], stream: false, truncate: false, shift: false, options: {} };

const resultOf = (change: object = {}, more: Partial<CallInput> = {}) =>
  writeRequest({
    request: chatRequestSchema.parse({ model: 'default', messages: [user], ...change }),
    model: 'llama3.2',
    endpoint: 'http://127.0.0.1:11434',
    credential: null,
    quirks: { maxTokensField: 'max_tokens', drop: [], streamUsage: true },
    stream: false,
    ...more,
  });
function write(change: object = {}, more: Partial<CallInput> = {}) {
  const result = resultOf(change, more);
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return { ...result.http, body: JSON.parse(result.http.body) as Record<string, unknown> };
}

test('a request goes to the native chat, and never lets the server cut the prompt', () => {
  expect(write()).toEqual({
    url: 'http://127.0.0.1:11434/api/chat',
    headers: { 'content-type': 'application/json' },
    body: fixed,
    warnings: [],
  });
});

test('a credential is a bearer', () => {
  expect(write({}, { credential: new Secret('k') }).headers).toMatchObject({ authorization: 'Bearer k' });
});

const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }];
const schema = { type: 'object', properties: { a: { type: 'string' } } };
test.for<[string, object, object]>([
  ['max_tokens', { max_tokens: 9 }, { options: { num_predict: 9 } }],
  ['max_completion_tokens', { max_completion_tokens: 9 }, { options: { num_predict: 9 } }],
  [
    'sampling',
    { temperature: 0, top_p: 0.5, seed: 0, frequency_penalty: 1, presence_penalty: -1 },
    { options: { temperature: 0, top_p: 0.5, seed: 0, frequency_penalty: 1, presence_penalty: -1 } },
  ],
  ['nulls', { temperature: null, stop: null, seed: null }, {}],
  ['one stop text', { stop: 'END' }, { options: { stop: ['END'] } }],
  ['several stop texts', { stop: ['A', 'B'] }, { options: { stop: ['A', 'B'] } }],
  ['tools', { tools }, { tools }],
  ['tools that may not be called', { tools, tool_choice: 'none' }, {}],
  ['no tools', { tools: [] }, {}],
  [
    'a JSON schema',
    { response_format: { type: 'json_schema', json_schema: { name: 'a', schema } } },
    { format: schema },
  ],
  ['a JSON object', { response_format: { type: 'json_object' } }, { format: 'json' }],
  ['a text', { response_format: { type: 'text' } }, {}],
  ['no effort', { reasoning_effort: 'none' }, { think: false }],
  ['the least effort', { reasoning_effort: 'minimal' }, { think: 'low' }],
  ['a middle effort', { reasoning_effort: 'medium' }, { think: 'medium' }],
  ['an effort above theirs', { reasoning_effort: 'xhigh' }, { think: 'max' }],
])('%s: written in their words', ([, change, expected]) => {
  const { body, warnings } = write(change);
  expect(body).toEqual({ ...fixed, ...expected });
  expect(warnings).toEqual([]);
});

test('a stream asks for one', () => {
  expect(write({}, { stream: true }).body.stream).toBe(true);
});

test.for<[string, object]>([
  ['logit_bias', { logit_bias: { '1': 1 } }],
  ['verbosity', { verbosity: 'low' }],
  ['prompt_cache_key', { prompt_cache_key: 'k' }],
  ['metadata', { metadata: { a: 'b' } }],
  ['store', { store: true }],
  ['user', { user: 'u' }],
  ['safety_identifier', { safety_identifier: 's' }],
  ['parallel_tool_calls', { parallel_tool_calls: false }],
])('"%s" has no equivalent: dropped with a warning', ([field, change]) => {
  const { body, warnings } = write(change);
  expect(body).toEqual(fixed);
  expect(warnings).toEqual([`dropped "${field}": Ollama has no equivalent`]);
});

test('messages: developer is system, images lose their prefix, arguments are objects, results carry the name', () => {
  const messages = [
    { role: 'developer', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What ' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
        { type: 'text', text: 'is it?' },
      ],
    },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'Hm.',
      tool_calls: [
        { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"x":1}' } },
        { id: 'c2', type: 'function', function: { name: 'ask', arguments: 'broken' } },
      ],
    },
    { role: 'tool', tool_call_id: 'c2', content: 'who?' },
    { role: 'tool', tool_call_id: 'c1', content: [{ type: 'text', text: 'a cat' }] },
    { role: 'tool', tool_call_id: 'c9', content: 'lost' },
  ];
  expect(write({ messages }).body.messages).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'What is it?', images: ['AAAA'] },
    {
      role: 'assistant',
      content: '',
      tool_calls: [
        { id: 'c1', function: { name: 'look', arguments: { x: 1 } } },
        { id: 'c2', function: { name: 'ask', arguments: { raw: 'broken' } } },
      ],
    },
    { role: 'tool', content: 'who?', tool_name: 'ask', tool_call_id: 'c2' },
    { role: 'tool', content: 'a cat', tool_name: 'look', tool_call_id: 'c1' },
    { role: 'tool', content: 'lost', tool_name: 'c9', tool_call_id: 'c9' },
  ]);
});

test('an image by address is unsupported before any byte is sent', () => {
  const content = [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }];
  expect(resultOf({ messages: [{ role: 'user', content }] })).toEqual({
    kind: 'unsupported',
    feature: 'images by address',
  });
});
