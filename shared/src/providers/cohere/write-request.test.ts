import { expect, test } from 'vitest';
import type { CallInput } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { plainQuirks } from '../quirks.ts';
import { writeRequest } from './write-request.ts';

function write(change: object = {}, more: Partial<CallInput> = {}) {
  const input = callInput(change, { endpoint: 'https://api.cohere.com', ...more });
  const result = writeRequest(input);
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return { ...result.http, body: JSON.parse(result.http.body) as Record<string, unknown> };
}
const hi = { role: 'user', content: 'Hi' };

test('a request goes to version 2 with its credential', () => {
  expect(write()).toEqual({
    url: 'https://api.cohere.com/v2/chat',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test-1' },
    body: { model: 'm', stream: false, messages: [hi] },
    warnings: [],
  });
});

test.for(['https://api.cohere.com', 'https://api.cohere.com/v1', 'https://api.cohere.com/v2/'])(
  'the address %s leads there',
  (endpoint) => {
    expect(write({}, { endpoint }).url).toBe('https://api.cohere.com/v2/chat');
  },
);

test('no credential is no header', () => {
  expect(write({}, { credential: null }).headers).toEqual({ 'content-type': 'application/json' });
});

const weather = { name: 'get-weather', description: 'Tells it', parameters: { type: 'object', properties: {} } };
const time = { name: 'time', parameters: { type: 'object', properties: { zone: {} } } };
const tool = (fn: object) => ({ type: 'function', function: fn });
const theirWeather = tool({ ...weather, name: 'get_weather' });
const tools = [tool(weather), tool(time)];
const schema = { type: 'object', properties: { a: {} } };
const jsonSchema = { type: 'json_schema', json_schema: { name: 'a', schema, strict: true } };
const allowed = (mode: string, name: string) => ({
  type: 'allowed_tools',
  allowed_tools: { mode, tools: [{ type: 'function', function: { name } }] },
});

test.for<[string, object, object]>([
  ['max_tokens', { max_tokens: 9 }, { max_tokens: 9 }],
  ['max_completion_tokens', { max_completion_tokens: 9 }, { max_tokens: 9 }],
  ['temperature', { temperature: 0.3 }, { temperature: 0.3 }],
  ['top_p', { top_p: 0.5 }, { p: 0.5 }],
  ['one stop text', { stop: 'A' }, { stop_sequences: ['A'] }],
  ['several stop texts', { stop: ['A', 'B', 'C', 'D'] }, { stop_sequences: ['A', 'B', 'C', 'D'] }],
  ['seed', { seed: 0 }, { seed: 0 }],
  ['logprobs', { logprobs: true, top_logprobs: 0 }, { logprobs: true }],
  ['no logprobs', { logprobs: false }, {}],
  ['one penalty', { frequency_penalty: 0, presence_penalty: 0.5 }, { frequency_penalty: 0, presence_penalty: 0.5 }],
  ['fields that are null', { temperature: null, top_p: null, seed: null, stop: null, reasoning_effort: null }, {}],
  ['tools', { tools }, { tools: [theirWeather, tool(time)] }],
  [
    'a tool without parameters',
    { tools: [tool({ name: 'now' })] },
    { tools: [tool({ name: 'now', parameters: { type: 'object', properties: {} } })] },
  ],
  ['strict tools', { tools: [tool({ ...time, strict: true })] }, { tools: [tool(time)], strict_tools: true }],
  ['no tools', { tools: [] }, {}],
  [
    'tools that may not be called',
    { tools, tool_choice: 'none' },
    { tools: [theirWeather, tool(time)], tool_choice: 'NONE' },
  ],
  ['tools that may be called', { tools, tool_choice: 'auto' }, { tools: [theirWeather, tool(time)] }],
  [
    'tools that must be called',
    { tools, tool_choice: 'required' },
    { tools: [theirWeather, tool(time)], tool_choice: 'REQUIRED' },
  ],
  [
    'a tool by name',
    { tools, tool_choice: tool({ name: 'get-weather' }) },
    { tools: [theirWeather], tool_choice: 'REQUIRED' },
  ],
  ['allowed tools', { tools, tool_choice: allowed('auto', 'time') }, { tools: [tool(time)] }],
  [
    'allowed tools, one of which must be called',
    { tools, tool_choice: allowed('required', 'time') },
    { tools: [tool(time)], tool_choice: 'REQUIRED' },
  ],
  ['text', { response_format: { type: 'text' } }, {}],
  ['a JSON object', { response_format: { type: 'json_object' } }, { response_format: { type: 'json_object' } }],
  ['a schema', { response_format: jsonSchema }, { response_format: { type: 'json_object', json_schema: schema } }],
  [
    'a schema beside tools that may not be called: they stay behind',
    { response_format: jsonSchema, tools, tool_choice: 'none' },
    { response_format: { type: 'json_object', json_schema: schema } },
  ],
  ['no reasoning', { reasoning_effort: 'none' }, { thinking: { type: 'disabled' } }],
  ['little reasoning', { reasoning_effort: 'minimal' }, { thinking: { type: 'enabled', token_budget: 1_024 } }],
  ['low reasoning', { reasoning_effort: 'low' }, { thinking: { type: 'enabled', token_budget: 2_048 } }],
  ['medium reasoning', { reasoning_effort: 'medium' }, { thinking: { type: 'enabled', token_budget: 8_192 } }],
  ['high reasoning', { reasoning_effort: 'high' }, { thinking: { type: 'enabled' } }],
  ['the most reasoning', { reasoning_effort: 'max' }, { thinking: { type: 'enabled' } }],
  [
    'reasoning within a short answer',
    { reasoning_effort: 'low', max_tokens: 101 },
    { thinking: { type: 'enabled', token_budget: 51 }, max_tokens: 101 },
  ],
])('written: %s', ([, change, expected]) => {
  const { body, warnings } = write(change);
  expect(body).toEqual({ model: 'm', stream: false, messages: [hi], ...expected });
  expect(warnings).toEqual([]);
});

test('a stream is asked for', () => {
  expect(write({}, { stream: true }).body.stream).toBe(true);
});

test.for<[string, object, object, string[]]>([
  ['temperature', { temperature: 1.5 }, { temperature: 1 }, ['changed "temperature" to 1: Cohere takes 0 to 1']],
  ['top_p above', { top_p: 1 }, { p: 0.99 }, ['changed "top_p" to 0.99: Cohere takes 0.01 to 0.99']],
  ['top_p below', { top_p: 0 }, { p: 0.01 }, ['changed "top_p" to 0.01: Cohere takes 0.01 to 0.99']],
  [
    'a penalty above',
    { frequency_penalty: 2 },
    { frequency_penalty: 1 },
    ['changed "frequency_penalty" to 1: Cohere takes 0 to 1'],
  ],
  [
    'a penalty below',
    { presence_penalty: -1 },
    { presence_penalty: 0 },
    ['changed "presence_penalty" to 0: Cohere takes 0 to 1'],
  ],
  [
    'two penalties',
    { frequency_penalty: 0.5, presence_penalty: 0.5 },
    { frequency_penalty: 0.5 },
    ['dropped "presence_penalty": some models of Cohere take one penalty alone'],
  ],
  ['a seed below zero', { seed: -1 }, {}, ['dropped "seed": Cohere takes none below 0']],
  [
    'one call at a time',
    { tools: [tool(time)], parallel_tool_calls: false },
    { tools: [tool(time)] },
    ['dropped "parallel_tool_calls": Cohere may call several tools at once'],
  ],
  [
    'strictness of some tools',
    { tools: [tool(time), tool({ ...time, name: 'b', strict: true })] },
    { tools: [tool(time), tool({ ...time, name: 'b' })] },
    ['dropped "strict" of some tools: Cohere takes it for all of them or for none'],
  ],
  [
    'hints it has no word for',
    { user: 'u', metadata: { a: 'b' }, logit_bias: { 1: 2 }, verbosity: 'low', safety_identifier: 's' },
    {},
    ['logit_bias', 'verbosity', 'user', 'safety_identifier', 'metadata'].map(
      (field) => `dropped "${field}": Cohere has no equivalent`,
    ),
  ],
  [
    'where and whether it is kept',
    { prompt_cache_key: 'k', store: true },
    {},
    ['dropped "prompt_cache_key": Cohere has no equivalent', 'dropped "store": Cohere has no equivalent'],
  ],
])('what cannot be said is changed, and the attempt says so: %s', ([, change, expected, warnings]) => {
  const written = write(change);
  expect(written.body).toEqual({ model: 'm', stream: false, messages: [hi], ...expected });
  expect(written.warnings).toEqual(warnings);
});

test('fields that the configuration drops are not sent, and the attempt says so', () => {
  const quirks = { ...plainQuirks, drop: ['seed', 'response_format', 'messages'] };
  const { body, warnings } = write({ seed: 1, response_format: jsonSchema, tools: [tool(time)] }, { quirks });
  expect(body).toEqual({ model: 'm', stream: false, messages: [hi], tools: [tool(time)] });
  expect(warnings).toEqual([
    'dropped "seed": this provider does not take it',
    'dropped "response_format": this provider does not take it',
  ]);
});

const part = (value: object) => ({ messages: [{ role: 'user', content: [value] }] });
test.for<[string, object, string]>([
  ['a file', part({ type: 'file', file: { file_data: 'data:application/pdf;base64,QQ==' } }), 'files'],
  ['audio', part({ type: 'input_audio', input_audio: { data: 'QQ==', format: 'wav' } }), 'audio'],
  ['several choices', { n: 2 }, 'several choices'],
  ['likely tokens', { logprobs: true, top_logprobs: 2 }, 'top_logprobs'],
  ['JSON beside tools', { tools, response_format: jsonSchema }, 'response_format together with tools'],
  [
    'a JSON object beside a forced tool',
    { tools, tool_choice: 'required', response_format: { type: 'json_object' } },
    'response_format together with tools',
  ],
  ['a tool that is not there', { tools, tool_choice: tool({ name: 'x' }) }, 'a forced tool that is not in its tools'],
  ['a call without tools', { tool_choice: 'required' }, 'a forced tool that is not in its tools'],
])('not for Cohere: %s', ([, change, feature]) => {
  const input = callInput(change);
  expect(writeRequest(input)).toEqual({ kind: 'unsupported', feature });
});
