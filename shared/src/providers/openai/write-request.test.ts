import { expect, test } from 'vitest';
import type { CallInput } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { presetOf } from '../presets.ts';
import { plainQuirks, type Quirks } from '../quirks.ts';
import { writeRequest } from './write-request.ts';

const user = { role: 'user', content: 'Hi' };
const quirksOf = (id: string): Quirks => presetOf(id)?.quirks ?? plainQuirks;
const openai = (model: string): Partial<CallInput> => ({ model, quirks: quirksOf('openai') });

function write(change: object = {}, more: Partial<CallInput> = {}) {
  const result = writeRequest(callInput(change, more));
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return { ...result.http, body: JSON.parse(result.http.body) as Record<string, unknown> };
}
/** All but the model and the messages, which every request has. */
const restOf = (change: object, more?: Partial<CallInput>) => {
  const { model: _, messages: __, ...rest } = write(change, more).body;
  return rest;
};
const withQuirks = (quirks: Partial<Quirks>): Partial<CallInput> => ({ quirks: { ...plainQuirks, ...quirks } });

test('a request goes to the endpoint with its credential and the model of the target', () => {
  expect(write({ model: 'default' }, { model: 'gpt-4.1-mini' })).toEqual({
    url: 'https://api.test/v1/chat/completions',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test-1' },
    body: { model: 'gpt-4.1-mini', messages: [user] },
    warnings: [],
  });
});

test('no credential is no authorization header', () => {
  expect(write({}, { credential: null }).headers).toEqual({ 'content-type': 'application/json' });
});

const fn = { name: 'weather', parameters: { type: 'object' } };
const tools = [{ type: 'function', function: fn }];
const schema = { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' }, strict: true } };
test.for<[string, object, object]>([
  ['sampling passes', { temperature: 0, top_p: 0.5, seed: 1 }, { temperature: 0, top_p: 0.5, seed: 1 }],
  ['null is unset', { temperature: null, stop: null, user: null }, {}],
  ['tools pass', { tools, tool_choice: 'required' }, { tools, tool_choice: 'required' }],
  ['null inside a tool is unset', { tools: [{ type: 'function', function: { ...fn, strict: null } }] }, { tools }],
  ['no tools at all are not sent, nor how to use them', { tools: [], parallel_tool_calls: false }, {}],
  ['a JSON schema passes', { response_format: schema }, { response_format: schema }],
  ['JSON mode passes', { response_format: { type: 'json_object' } }, { response_format: { type: 'json_object' } }],
  ['parallel tool calls can be off', { tools, parallel_tool_calls: false }, { tools, parallel_tool_calls: false }],
  ['a bound on the output passes', { max_tokens: 9 }, { max_tokens: 9 }],
  ['the newer bound wins', { max_tokens: 9, max_completion_tokens: 7 }, { max_tokens: 7 }],
  ['an effort passes', { reasoning_effort: 'xhigh' }, { reasoning_effort: 'xhigh' }],
  ['neutral values of unbuilt fields stay here', { service_tier: 'auto', modalities: ['text'] }, {}],
  ["the caller's own stream stays here", { stream: true, stream_options: { include_usage: true } }, {}],
])('%s', ([, change, expected]) => {
  expect(restOf(change)).toEqual(expected);
});

test.for([
  ['openai', 'max_completion_tokens'],
  ['groq', 'max_completion_tokens'],
  ['mistral', 'max_tokens'],
  ['vllm', 'max_tokens'],
] as const)('%s is given the bound as %s alone, whichever name the caller used', ([id, field]) => {
  const more = { quirks: quirksOf(id) };
  expect(restOf({ max_tokens: 5 }, more)).toEqual({ [field]: 5 });
  expect(restOf({ max_completion_tokens: 5 }, more)).toEqual({ [field]: 5 });
});

test.for<[string, object]>([
  ['openai', { stream: true, stream_options: { include_usage: true, include_obfuscation: false } }],
  ['vllm', { stream: true, stream_options: { include_usage: true } }],
  ['mistral', { stream: true }],
])('a stream of %s asks for its usage where it may', ([id, expected]) => {
  expect(restOf({}, { stream: true, quirks: quirksOf(id) })).toEqual(expected);
});

const asked = {
  store: true,
  verbosity: 'low',
  user: 'u',
  metadata: { a: 'b' },
  prompt_cache_key: 'k',
  safety_identifier: 's',
  logit_bias: { '1': 1 },
  frequency_penalty: 1,
  presence_penalty: 1,
};
test.for<[string, string]>([
  ['mistral', 'logit_bias safety_identifier store user verbosity'],
  ['groq', 'frequency_penalty logit_bias metadata presence_penalty prompt_cache_key safety_identifier store verbosity'],
  ['lightllm', 'logit_bias metadata prompt_cache_key safety_identifier store verbosity'],
  ['vllm', 'metadata prompt_cache_key safety_identifier store verbosity'],
  ['openrouter', ''],
])('%s is not sent what it refuses or ignores, and each field is a warning: %s', ([id, dropped]) => {
  const { body, warnings } = write(asked, { quirks: quirksOf(id) });
  const fields = dropped.split(' ').filter(Boolean);
  expect(warnings.toSorted()).toEqual(fields.map((each) => `dropped "${each}": this provider does not take it`));
  const kept = Object.keys(asked).filter((each) => !fields.includes(each));
  expect(Object.keys(body).toSorted()).toEqual(['model', 'messages', ...kept].toSorted());
});

test.for<[string, object, Partial<Quirks>, object, string[]]>([
  ['a seed by another name', { seed: 0 }, { seedField: 'random_seed' }, { random_seed: 0 }, []],
  ['no seed', { seed: 0 }, { seedField: 'none' }, {}, ['dropped "seed": this provider does not take it']],
  [
    'no say in parallel calls',
    { tools, parallel_tool_calls: false },
    { parallelToolCalls: false },
    { tools },
    ['dropped "parallel_tool_calls": this provider does not take it'],
  ],
  [
    'an effort as thinking on',
    { reasoning_effort: 'high' },
    { reasoningRequest: 'chat_template_kwargs' },
    { chat_template_kwargs: { enable_thinking: true } },
    ['"reasoning_effort" high sent as thinking: this provider knows no more of it'],
  ],
  [
    'an effort as thinking off',
    { reasoning_effort: 'none' },
    { reasoningRequest: 'chat_template_kwargs' },
    { chat_template_kwargs: { enable_thinking: false } },
    [],
  ],
  [
    'no effort',
    { reasoning_effort: 'low' },
    { reasoningRequest: 'none' },
    {},
    ['dropped "reasoning_effort": this provider does not take it'],
  ],
  [
    'the nearest effort',
    { reasoning_effort: 'xhigh' },
    { efforts: ['low', 'high'] },
    { reasoning_effort: 'high' },
    ['wrote "reasoning_effort" as "high": the nearest this target takes'],
  ],
])('a server with a quirk is given %s', ([, change, quirks, expected, warnings]) => {
  expect(restOf(change, withQuirks(quirks))).toEqual(expected);
  expect(write(change, withQuirks(quirks)).warnings).toEqual(warnings);
});

const image = (url: string) => ({
  messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
});
const file = {
  messages: [{ role: 'user', content: [{ type: 'file', file: { file_data: 'data:application/pdf;base64,QQ==' } }] }],
};
const audio = {
  messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: 'QQ==', format: 'mp3' } }] }],
};
const named = { type: 'function', function: { name: 'weather' } };
test.for<[string, object, Partial<Quirks>, string]>([
  ['a tool that must be called', { tools, tool_choice: 'required' }, { forcedTools: false }, 'a forced tool call'],
  ['a named tool', { tools, tool_choice: named }, { forcedTools: false }, 'a forced tool call'],
  ['tools', { tools }, { drop: ['tools'] }, 'tools'],
  ['JSON mode', { response_format: { type: 'json_object' } }, { jsonMode: 'none' }, 'structured output'],
  ['a format', { response_format: schema }, { drop: ['response_format'] }, 'structured output'],
  ['a schema', { response_format: schema }, { jsonMode: 'json_object' }, 'output by a JSON schema'],
  ['choices', { n: 2 }, { drop: ['n'] }, 'several choices'],
  ['images', image('data:image/png;base64,QQ=='), { imageInput: 'none' }, 'images'],
  ['an image by address', image('https://a.test/b.png'), { imageInput: 'data' }, 'images by address'],
  ['files', file, { fileInput: 'none' }, 'files'],
  ['audio', audio, { audioInput: 'none' }, 'audio'],
  [
    'a forced call of no tool',
    {
      tools,
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'other' } }] },
      },
    },
    {},
    'a forced call of a tool that is not there',
  ],
])('a server that lacks it is not asked for %s', ([, change, quirks, feature]) => {
  expect(writeRequest(callInput(change, withQuirks(quirks)))).toEqual({ kind: 'unsupported', feature });
});

const second = { type: 'function', function: { name: 'time', parameters: { type: 'object' } } };
const allowed = (mode: string) => ({
  type: 'allowed_tools',
  allowed_tools: { mode, tools: [{ type: 'function', function: { name: 'time' } }] },
});
test('OpenAI narrows the tools itself; others are given the narrowed list', () => {
  const change = { tools: [...tools, second], tool_choice: allowed('required') };
  expect(restOf(change, openai('gpt-4.1'))).toEqual(change);
  expect(restOf(change)).toEqual({ tools: [second], tool_choice: 'required' });
});

test('a tool without parameters is given empty ones, which templates of other servers read', () => {
  const bare = [{ type: 'function', function: { name: 'now' } }];
  const filled = [{ type: 'function', function: { name: 'now', parameters: { type: 'object', properties: {} } } }];
  expect(restOf({ tools: bare })).toEqual({ tools: filled });
  expect(restOf({ tools: bare }, openai('gpt-4.1'))).toEqual({ tools: bare });
});

test.for<[string, object, boolean]>([
  ['tools', { tools }, true],
  ['a schema', { response_format: schema }, true],
  ['log probabilities', { logprobs: true }, true],
  ['nothing of it', { temperature: 1 }, false],
])('OpenRouter may not choose a server that ignores %s', ([, change, expected]) => {
  const { provider } = write(change, { quirks: quirksOf('openrouter') }).body;
  expect(provider).toEqual(expected ? { require_parameters: true } : undefined);
});

const sampling = { temperature: 1, top_p: 0.5, logprobs: true, top_logprobs: 2, presence_penalty: 1 };
test.for<[string, string, object, object, string[]]>([
  [
    'a reasoning model does without sampling',
    'gpt-5.4',
    { ...sampling, reasoning_effort: 'high' },
    { reasoning_effort: 'high' },
    ['presence_penalty', 'top_logprobs', 'temperature', 'top_p', 'logprobs'],
  ],
  [
    'that does not think it takes some',
    'gpt-5.4',
    { ...sampling, reasoning_effort: 'none' },
    { temperature: 1, top_p: 0.5, logprobs: true, reasoning_effort: 'none' },
    ['presence_penalty', 'top_logprobs'],
  ],
  ['that does not reason at all takes them', 'gpt-4.1', sampling, sampling, []],
  ['that does not reason is told of no effort', 'gpt-4.1', { reasoning_effort: 'high' }, {}, ['reasoning_effort']],
  [
    'that nobody knows is told everything',
    'our-own',
    { ...sampling, reasoning_effort: 'low' },
    { ...sampling, reasoning_effort: 'low' },
    [],
  ],
])('a model of OpenAI %s', ([, model, change, expected, dropped]) => {
  expect(restOf(change, openai(model))).toEqual(expected);
  expect(write(change, openai(model)).warnings).toEqual(
    dropped.map((field) => `dropped "${field}": this model does not take it`),
  );
});

test('a reasoning model of OpenAI is given the newer bound, whatever the quirk says', () => {
  const quirks: Quirks = { ...quirksOf('openai'), maxTokensField: 'max_tokens' };
  expect(restOf({ max_tokens: 5 }, { model: 'o3', quirks })).toEqual({ max_completion_tokens: 5 });
  expect(restOf({ max_tokens: 5 }, { model: 'gpt-4.1', quirks })).toEqual({ max_tokens: 5 });
});

test.for([
  ['gpt-6-astra', 'none', 'low'],
  ['gpt-6-astra', 'max', 'max'],
  ['gpt-6.1-sol', 'max', 'xhigh'],
  ['gpt-5', 'none', 'minimal'],
  ['o3', 'max', 'high'],
  ['gpt-6.1-terra', 'max', 'max'],
] as const)('%s has no effort %s in chat, or has: %s', ([model, effort, expected]) => {
  expect(restOf({ reasoning_effort: effort }, openai(model))).toEqual({ reasoning_effort: expected });
});

test('rules of OpenAI hold for its own models alone', () => {
  expect(restOf({ ...sampling, max_tokens: 5 }, { model: 'gpt-5.4' })).toEqual({ ...sampling, max_tokens: 5 });
});

test('efforts of a quirk and of a model hold together', () => {
  const quirks: Quirks = { ...quirksOf('openai'), efforts: ['none', 'high', 'xhigh'] };
  expect(restOf({ reasoning_effort: 'xhigh' }, { model: 'o3', quirks })).toEqual({ reasoning_effort: 'high' });
  const apart: Quirks = { ...quirks, efforts: ['none'] };
  expect(restOf({ reasoning_effort: 'low' }, { model: 'o3', quirks: apart })).toEqual({ reasoning_effort: 'low' });
});
