import { expect, test } from 'vitest';
import type { CallInput } from '../../dialect.ts';
import { callInput } from '../../fixture-call.ts';
import { presetOf } from '../../presets.ts';
import { plainQuirks, type Quirks } from '../../quirks.ts';
import { writeResponsesRequest } from './write-request.ts';

const quirks: Quirks = presetOf('openai')?.quirks ?? plainQuirks;
const toModel = (model: string): Partial<CallInput> => ({ model, quirks });
const gpt = toModel('gpt-5.6-sol');

function write(change: object = {}, more: Partial<CallInput> = gpt) {
  const result = writeResponsesRequest(callInput(change, more));
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return { ...result.http, body: JSON.parse(result.http.body) as Record<string, unknown> };
}

const hello = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] };
const always = { store: false, include: ['reasoning.encrypted_content'] };
const restOf = (change: object, more?: Partial<CallInput>) => {
  const { model: _, input: __, store: ___, include: ____, ...rest } = write(change, more).body;
  return rest;
};

test('a request keeps nothing at OpenAI, and asks for its reasoning encrypted', () => {
  expect(write()).toEqual({
    url: 'https://api.test/v1/responses',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test-1' },
    body: { model: 'gpt-5.6-sol', input: [hello], ...always },
    warnings: [],
  });
});

const fn = { name: 'f', description: 'd', parameters: { type: 'object' } };
const tools = [{ type: 'function', function: fn }];
const flat = [{ type: 'function', ...fn, strict: false }];
const named = { type: 'function', function: { name: 'f' } };
const schema = { name: 'a', schema: { type: 'object' }, strict: true };
test.for<[string, object, object]>([
  ['a tool is flat, and not strict unless it says so', { tools }, { tools: flat }],
  [
    'a strict tool is strict',
    { tools: [{ type: 'function', function: { name: 'f', strict: true } }] },
    { tools: [{ type: 'function', name: 'f', parameters: { type: 'object', properties: {} }, strict: true }] },
  ],
  ['a tool may be forced', { tools, tool_choice: 'required' }, { tools: flat, tool_choice: 'required' }],
  ['a tool may be named', { tools, tool_choice: named }, { tools: flat, tool_choice: { type: 'function', name: 'f' } }],
  [
    'tools may be narrowed',
    { tools, tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [named] } } },
    { tools: flat, tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'f' }] } },
  ],
  ['one call at a time', { tools, parallel_tool_calls: false }, { tools: flat, parallel_tool_calls: false }],
  ['no tools, no words about them', { tools: [], parallel_tool_calls: false }, {}],
  [
    'a schema is a format of the text',
    { response_format: { type: 'json_schema', json_schema: schema } },
    { text: { format: { type: 'json_schema', ...schema } } },
  ],
  [
    'and so are JSON and verbosity',
    { response_format: { type: 'json_object' }, verbosity: 'low' },
    { text: { format: { type: 'json_object' }, verbosity: 'low' } },
  ],
  ['a bound on the output', { max_tokens: 99 }, { max_output_tokens: 99 }],
  ['an effort', { reasoning_effort: 'high' }, { reasoning: { effort: 'high' } }],
  [
    'hints that it takes',
    { metadata: { a: 'b' }, user: 'u', safety_identifier: 's', prompt_cache_key: 'k' },
    { metadata: { a: 'b' }, user: 'u', safety_identifier: 's', prompt_cache_key: 'k' },
  ],
  ['unset fields stay here', { temperature: null, store: false, logprobs: false }, {}],
])('%s', ([, change, expected]) => {
  expect(restOf(change)).toEqual(expected);
  expect(write(change).warnings).toEqual([]);
});

test('a stream does without padding', () => {
  expect(restOf({}, { ...gpt, stream: true })).toEqual({
    stream: true,
    stream_options: { include_obfuscation: false },
  });
});

const refused = (field: string) => `dropped "${field}": this model does not take it`;
test.for<[string, object, object, string[]]>([
  ['a seed of zero', { seed: 0 }, {}, [refused('seed')]],
  ['storing', { store: true }, {}, [refused('store')]],
  ['a bias', { logit_bias: { '1': 1 } }, {}, [refused('logit_bias')]],
  ['sampling', { temperature: 1, top_p: 0.5 }, {}, [refused('temperature'), refused('top_p')]],
  [
    'a bound that is too low',
    { max_tokens: 5 },
    { max_output_tokens: 16 },
    ['the output limit 5 sent as 16: the least that this model takes'],
  ],
])('there is no field for %s, which is a warning', ([, change, expected, warnings]) => {
  expect(restOf(change)).toEqual(expected);
  expect(write(change).warnings).toEqual(warnings);
});

test('a model that nobody knows is told its sampling, and is given no hint that has no field', () => {
  const change = { temperature: 1, presence_penalty: 1 };
  expect(restOf(change, toModel('our-own'))).toEqual({ temperature: 1 });
  expect(write(change, toModel('our-own')).warnings).toEqual([refused('presence_penalty')]);
});

test('the highest effort is there where chat has it not', () => {
  expect(restOf({ reasoning_effort: 'max' }, toModel('gpt-6.1-sol'))).toEqual({ reasoning: { effort: 'max' } });
  expect(restOf({ reasoning_effort: 'none' }, toModel('gpt-6.1-sol'))).toEqual({ reasoning: { effort: 'low' } });
});

const part = (content: object) => ({ messages: [{ role: 'user', content: [content] }] });
test.for<[string, object, string]>([
  ['stop texts', { stop: 'END' }, 'stop texts'],
  ['several choices', { n: 2 }, 'several choices'],
  ['audio', part({ type: 'input_audio', input_audio: { data: 'QQ==', format: 'mp3' } }), 'audio'],
])('%s cannot be had', ([, change, feature]) => {
  expect(writeResponsesRequest(callInput(change, gpt))).toEqual({ kind: 'unsupported', feature });
});

const inputOf = (messages: readonly object[], more?: Partial<CallInput>) => write({ messages }, more).body.input;
const user = { role: 'user', content: 'Hi' };
const call = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });
const pdf = 'data:application/pdf;base64,QQ==';

test('parts have names of their own', () => {
  const content = [
    { type: 'text', text: 'What is it?', prompt_cache_breakpoint: { mode: 'explicit', ttl: '5m' } },
    { type: 'image_url', image_url: { url: 'https://a.test/b.png' } },
    { type: 'image_url', image_url: { url: 'https://a.test/c.png', detail: 'low' } },
    { type: 'file', file: { file_data: pdf } },
    { type: 'file', file: { file_data: 'data:text/plain;base64,QQ==' } },
    { type: 'file', file: { file_data: pdf, filename: 'a.pdf' } },
  ];
  expect(inputOf([{ role: 'user', content }])).toEqual([
    {
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_text', text: 'What is it?', prompt_cache_breakpoint: { mode: 'explicit', ttl: '30m' } },
        { type: 'input_image', image_url: 'https://a.test/b.png', detail: 'auto' },
        { type: 'input_image', image_url: 'https://a.test/c.png', detail: 'low' },
        { type: 'input_file', filename: 'document.pdf', file_data: pdf },
        { type: 'input_file', filename: 'document.txt', file_data: 'data:text/plain;base64,QQ==' },
        { type: 'input_file', filename: 'a.pdf', file_data: pdf },
      ],
    },
  ]);
});

test('a conversation is a list of items', () => {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { ...user, name: 'ann' },
    { role: 'assistant', content: 'Wait.', tool_calls: [call('c1')] },
    { role: 'tool', tool_call_id: 'c1', content: [{ type: 'text', text: 'a cat' }] },
    {
      role: 'assistant',
      content: [
        { type: 'text', text: 'A cat.' },
        { type: 'refusal', refusal: 'No.' },
      ],
    },
    { role: 'assistant', content: null, refusal: 'Never.' },
    user,
  ];
  expect(inputOf(messages)).toEqual([
    { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Be brief.' }] },
    hello,
    { type: 'message', role: 'assistant', content: 'Wait.' },
    { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
    { type: 'function_call_output', call_id: 'c1', output: 'a cat' },
    {
      type: 'message',
      role: 'assistant',
      content: 'A cat.\nNo.',
    },
    { type: 'message', role: 'assistant', content: 'Never.' },
    hello,
  ]);
  expect(write({ messages }).warnings).toEqual(['dropped "name" of messages: this model does not take it']);
});

const item = (id: string) => ({ type: 'reasoning', id, summary: [], encrypted_content: 'x' });
const thought = (id: string, before: string | null, origin = 'provider/m') => ({
  origin,
  part: { item: item(id), before },
});
test('reasoning goes back right before what it led to, and not without it', () => {
  const details = [thought('r1', null), thought('r2', 'c1'), thought('r3', 'gone'), thought('r4', null, 'other/m')];
  const turn = { role: 'assistant', content: 'Wait.', tool_calls: [call('c1')], reasoning_details: details };
  const messages = [user, turn, { role: 'tool', tool_call_id: 'c1', content: 'x' }];
  expect(inputOf(messages)).toEqual([
    hello,
    item('r1'),
    { type: 'message', role: 'assistant', content: 'Wait.' },
    item('r2'),
    { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
    { type: 'function_call_output', call_id: 'c1', output: 'x' },
  ]);
  expect(write({ messages }).warnings).toEqual([
    'dropped reasoning of another target: it is bound to the endpoint that made it',
  ]);
  const silent = { ...turn, content: null };
  expect(inputOf([user, silent, user])).toEqual([
    hello,
    item('r2'),
    { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
    hello,
  ]);
});
