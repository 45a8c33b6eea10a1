import { expect, test } from 'vitest';
import { chatRequestSchema } from '../../chat/request.ts';
import { Secret } from '../../security/secret.ts';
import type { CallInput } from '../dialect.ts';
import { acceptsSampling, parseArguments, writeRequest } from './write-request.ts';

const user = { role: 'user', content: 'Hi' };
const hi = { role: 'user', content: [{ type: 'text', text: 'Hi' }] };

function write(change: object = {}, more: Partial<CallInput> = {}) {
  const result = writeRequest({
    request: chatRequestSchema.parse({ model: 'default', messages: [user], ...change }),
    model: 'claude-haiku-4-5',
    endpoint: 'https://api.anthropic.com/v1',
    credential: new Secret('sk-ant-1'),
    quirks: { maxTokensField: 'max_tokens', drop: [], streamUsage: true },
    stream: false,
    ...more,
  });
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return { ...result.http, body: JSON.parse(result.http.body) as Record<string, unknown> };
}
const messagesOf = (...messages: object[]) => write({ messages }).body.messages;

test('a request goes to the Messages API with its version, its credential and a bound', () => {
  expect(write()).toEqual({
    url: 'https://api.anthropic.com/v1/messages',
    headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', 'x-api-key': 'sk-ant-1' },
    body: { model: 'claude-haiku-4-5', max_tokens: 4_096, messages: [hi] },
    warnings: [],
  });
});

test('no credential is no key header', () => {
  expect(write({}, { credential: null }).headers).not.toHaveProperty('x-api-key');
});

const fn = { name: 'weather', description: 'Tells it', parameters: { type: 'object', properties: { city: {} } } };
const tools = [{ type: 'function', function: fn }];
const theirTool = { name: 'weather', description: 'Tells it', input_schema: fn.parameters };

test.for<[string, object, object]>([
  ['max_tokens', { max_tokens: 9 }, { max_tokens: 9 }],
  ['max_completion_tokens', { max_completion_tokens: 9 }, { max_tokens: 9 }],
  ['one stop text', { stop: 'END' }, { stop_sequences: ['END'] }],
  ['several stop texts', { stop: ['A', 'B'] }, { stop_sequences: ['A', 'B'] }],
  ['temperature', { temperature: 0.3 }, { temperature: 0.3 }],
  ['a temperature above their scale', { temperature: 1.7 }, { temperature: 1 }],
  ['top_p alone', { top_p: 0.9 }, { top_p: 0.9 }],
  ['the user', { user: 'u1' }, { metadata: { user_id: 'u1' } }],
  ['the safety identifier before the user', { user: 'u1', safety_identifier: 's1' }, { metadata: { user_id: 's1' } }],
  ['tools', { tools }, { tools: [theirTool], tool_choice: { type: 'auto' } }],
  [
    'a strict tool',
    { tools: [{ type: 'function', function: { ...fn, strict: true } }] },
    { tools: [{ ...theirTool, strict: true }], tool_choice: { type: 'auto' } },
  ],
  [
    'a tool without parameters',
    { tools: [{ type: 'function', function: { name: 'now' } }] },
    { tools: [{ name: 'now', input_schema: { type: 'object', properties: {} } }], tool_choice: { type: 'auto' } },
  ],
  ['no tool choice', { tools, tool_choice: 'none' }, { tools: [theirTool], tool_choice: { type: 'none' } }],
  ['a required tool', { tools, tool_choice: 'required' }, { tools: [theirTool], tool_choice: { type: 'any' } }],
  [
    'a named tool',
    { tools, tool_choice: { type: 'function', function: { name: 'weather' } } },
    { tools: [theirTool], tool_choice: { type: 'tool', name: 'weather' } },
  ],
  [
    'one tool call at a time',
    { tools, parallel_tool_calls: false },
    { tools: [theirTool], tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
  ],
  ['a choice without tools is nothing', { tool_choice: 'auto' }, {}],
  [
    'a JSON schema',
    { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' } } } },
    { output_config: { format: { type: 'json_schema', schema: { type: 'object' } } } },
  ],
])('%s: written in their words', ([, change, expected]) => {
  const { body, warnings } = write(change);
  expect(body).toEqual({ model: 'claude-haiku-4-5', max_tokens: 4_096, messages: [hi], ...expected });
  expect(warnings).toEqual([]);
});

test('a stream asks for one', () => {
  expect(write({}, { stream: true }).body.stream).toBe(true);
});

test.for<[string, object]>([
  ['seed', { seed: 1 }],
  ['logit_bias', { logit_bias: { '1': 1 } }],
  ['frequency_penalty', { frequency_penalty: 1 }],
  ['presence_penalty', { presence_penalty: 1 }],
  ['verbosity', { verbosity: 'low' }],
  ['prompt_cache_key', { prompt_cache_key: 'k' }],
  ['metadata', { metadata: { a: 'b' } }],
  ['store', { store: true }],
  ['reasoning_effort', { reasoning_effort: 'low' }],
])('"%s" has no equivalent: dropped with a warning', ([field, change]) => {
  const { body, warnings } = write(change);
  expect(body).toEqual({ model: 'claude-haiku-4-5', max_tokens: 4_096, messages: [hi] });
  expect(warnings).toEqual([`dropped "${field}": Anthropic has no equivalent`]);
});

test.for([
  ['claude-3-5-sonnet-20241022', true],
  ['claude-instant-1.2', true],
  ['claude-opus-4-20250514', true],
  ['claude-haiku-4-5', true],
  ['claude-haiku-4-5-20251001', true],
  ['claude-opus-4-6', true],
  ['claude-opus-4-7', false],
  ['claude-sonnet-5', false],
  ['claude-haiku-5-5', false],
  ['claude-fable-5-1', false],
  ['something-new', false],
] as const)('%s takes sampling parameters: %s', ([model, expected]) => {
  expect(acceptsSampling(model)).toBe(expected);
});

test('a model that refuses sampling is not sent it, and the attempt says so', () => {
  const { body, warnings } = write({ temperature: 0.5, top_p: 0.5 }, { model: 'claude-haiku-5-5' });
  expect(Object.keys(body)).not.toContain('temperature');
  expect(Object.keys(body)).not.toContain('top_p');
  expect(warnings).toEqual([
    'dropped "temperature": this model does not take it',
    'dropped "top_p": this model does not take it here',
  ]);
});

test('of temperature and top_p together only the temperature is sent', () => {
  const { body, warnings } = write({ temperature: 0.5, top_p: 0.5 });
  expect(body).toMatchObject({ temperature: 0.5 });
  expect(body).not.toHaveProperty('top_p');
  expect(warnings).toHaveLength(1);
});

test('system and developer messages become the system text, in order', () => {
  const messages = [
    { role: 'system', content: 'One.' },
    user,
    { role: 'developer', content: [{ type: 'text', text: 'Two.' }] },
  ];
  expect(write({ messages }).body).toMatchObject({ system: 'One.\n\nTwo.', messages: [hi] });
});

const text = (value: string) => ({ type: 'text', text: value });
const call = (id: string, args: string) => ({ id, type: 'function', function: { name: 'weather', arguments: args } });
const use = (id: string, input: unknown) => ({ type: 'tool_use', id, name: 'weather', input });

test('an image in the body keeps its bytes, an image by address its address', () => {
  const content = [
    { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBOR/+=' } },
    { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
    text('What?'),
  ];
  expect(messagesOf({ role: 'user', content })).toEqual([
    {
      role: 'user',
      content: [
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBOR/+=' } },
        { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
        text('What?'),
      ],
    },
  ]);
});

test('all results of one turn stand in one user message, before the text that follows', () => {
  expect(
    messagesOf(
      user,
      { role: 'assistant', content: 'Let me look.', tool_calls: [call('a', '{"city":"Oslo"}'), call('b', '')] },
      { role: 'tool', tool_call_id: 'a', content: '3' },
      { role: 'tool', tool_call_id: 'b', content: [text('4')] },
      { role: 'user', content: 'And?' },
    ),
  ).toEqual([
    hi,
    { role: 'assistant', content: [text('Let me look.'), use('a', { city: 'Oslo' }), use('b', {})] },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'a', content: '3' },
        { type: 'tool_result', tool_use_id: 'b', content: '4' },
        text('And?'),
      ],
    },
  ]);
});

test('empty texts are left out, and neighbours of one role are one message', () => {
  expect(
    messagesOf(
      user,
      { role: 'assistant', content: '' },
      { role: 'user', content: [text(''), text('there')] },
      { role: 'assistant', content: 'Yes?' },
      { role: 'user', content: 'x' },
    ),
  ).toEqual([
    { role: 'user', content: [text('Hi'), text('there')] },
    { role: 'assistant', content: [text('Yes?')] },
    { role: 'user', content: [text('x')] },
  ]);
});

test('reasoning of earlier turns stays here', () => {
  const assistant = { role: 'assistant', content: 'Yes?', reasoning_details: [{ type: 'thinking', signature: 's' }] };
  expect(messagesOf(user, assistant, user)).toEqual([hi, { role: 'assistant', content: [text('Yes?')] }, hi]);
});

test.for([
  ['an object passes', '{"a":1}', { a: 1 }],
  ['nothing is an empty object', '', {}],
  ['a list is wrapped', '[1]', { value: [1] }],
  ['a number is wrapped', '1', { value: 1 }],
  ['broken JSON keeps its text', '{"a":', { raw: '{"a":' }],
] as const)('arguments a model wrote: %s', ([, args, expected]) => {
  expect(parseArguments(args)).toEqual(expected);
});
