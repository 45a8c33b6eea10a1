import { expect, test } from 'vitest';
import { type ChatRequest, chatRequestSchema } from '../../chat/request.ts';
import { Secret } from '../../security/secret.ts';
import type { CallInput } from '../dialect.ts';
import { presetOf } from '../presets.ts';
import { writeRequest } from './write-request.ts';

const plain: CallInput['quirks'] = { maxTokensField: 'max_tokens', drop: [], streamUsage: true };
const user = { role: 'user', content: 'Hi' };

function write(change: object = {}, more: Partial<CallInput> = {}) {
  const request: ChatRequest = chatRequestSchema.parse({ model: 'default', messages: [user], ...change });
  const result = writeRequest({
    request,
    model: 'gpt-4.1-mini',
    endpoint: 'https://api.openai.com/v1',
    credential: new Secret('sk-1'),
    quirks: plain,
    stream: false,
    ...more,
  });
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return { ...result.http, body: JSON.parse(result.http.body) as Record<string, unknown> };
}
const bodyOf = (change: object, more?: Partial<CallInput>) => {
  const { model: _, messages: __, ...rest } = write(change, more).body;
  return rest;
};

test('a request goes to the endpoint with its credential and the model of the target', () => {
  expect(write()).toEqual({
    url: 'https://api.openai.com/v1/chat/completions',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-1' },
    body: { model: 'gpt-4.1-mini', messages: [user] },
    warnings: [],
  });
});

test('no credential is no authorization header', () => {
  expect(write({}, { credential: null }).headers).toEqual({ 'content-type': 'application/json' });
});

const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }];
const schema = { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' }, strict: true } };
test.for<[string, object, object]>([
  ['sampling passes', { temperature: 0, top_p: 0.5, seed: 1 }, { temperature: 0, top_p: 0.5, seed: 1 }],
  ['null is unset', { temperature: null, stop: null, user: null }, {}],
  ['tools pass', { tools, tool_choice: 'required' }, { tools, tool_choice: 'required' }],
  ['a JSON schema passes', { response_format: schema }, { response_format: schema }],
  ['parallel tool calls can be off', { tools, parallel_tool_calls: false }, { tools, parallel_tool_calls: false }],
  ['a bound on the output passes', { max_tokens: 9 }, { max_tokens: 9 }],
  ['the newer bound wins', { max_tokens: 9, max_completion_tokens: 7 }, { max_tokens: 7 }],
  [
    'neutral values of fields not built are not sent',
    { stream: false, service_tier: 'auto', modalities: ['text'] },
    {},
  ],
])('%s', ([, change, expected]) => {
  expect(bodyOf(change)).toEqual(expected);
});

test.for([
  ['openai', 'max_completion_tokens'],
  ['groq', 'max_completion_tokens'],
  ['mistral', 'max_tokens'],
  ['vllm', 'max_tokens'],
] as const)('%s is given the bound as %s alone, whichever name the caller used', ([id, field]) => {
  const quirks = presetOf(id)?.quirks ?? plain;
  expect(bodyOf({ max_tokens: 5 }, { quirks })).toEqual({ [field]: 5 });
  expect(bodyOf({ max_completion_tokens: 5 }, { quirks })).toEqual({ [field]: 5 });
});

test('a stream asks for its usage', () => {
  expect(bodyOf({}, { stream: true })).toEqual({ stream: true, stream_options: { include_usage: true } });
});

test('a stream of a server that refuses stream_options does without', () => {
  expect(bodyOf({}, { stream: true, quirks: presetOf('mistral')?.quirks ?? plain })).toEqual({ stream: true });
});

test.for<[string, object, string[]]>([
  [
    'mistral',
    { seed: 1, user: 'u', store: true, verbosity: 'low', temperature: 1 },
    ['seed', 'store', 'user', 'verbosity'],
  ],
  [
    'groq',
    { logit_bias: { '1': 1 }, frequency_penalty: 1, presence_penalty: 1, temperature: 1 },
    ['frequency_penalty', 'logit_bias', 'presence_penalty'],
  ],
  ['lightllm', { logit_bias: { '1': 1 }, metadata: { a: 'b' }, temperature: 1 }, ['logit_bias', 'metadata']],
])('%s is not sent what it refuses, and each dropped field is a warning', ([id, change, dropped]) => {
  const { body, warnings } = write(change, { quirks: presetOf(id)?.quirks ?? plain });
  expect(Object.keys(body).toSorted()).toEqual(['messages', 'model', 'temperature']);
  expect(warnings.toSorted()).toEqual(dropped.map((field) => `dropped "${field}": this provider does not take it`));
});

test('messages keep roles, parts, images, names, calls and results', () => {
  const messages = [
    { role: 'developer', content: 'Be brief.' },
    {
      role: 'user',
      name: 'ann',
      content: [
        { type: 'text', text: 'What is it?' },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'look', arguments: '{"x":' } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'a cat' },
  ];
  expect(write({ messages }).body.messages).toEqual(messages);
});

test('reasoning of earlier turns stays here: it belongs to the endpoint that made it', () => {
  const assistant = {
    role: 'assistant',
    content: 'Hi.',
    reasoning_content: 'Hm.',
    reasoning_details: [{ type: 'thinking', signature: 's' }],
  };
  expect(write({ messages: [user, assistant, user] }).body.messages).toEqual([
    user,
    { role: 'assistant', content: 'Hi.' },
    user,
  ]);
});
