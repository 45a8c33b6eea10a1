import { describe, expect, test } from 'vitest';
import { Secret } from '../../security/secret.ts';
import type { CallInput } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { plainQuirks, type Quirks } from '../quirks.ts';
import { writeRequest } from './write-request.ts';

const user = { role: 'user', content: 'Hi' };
const fixed = { model: 'llama3.2', messages: [user], stream: false, truncate: false, shift: false, options: {} };

const resultOf = (change: object = {}, more: Partial<CallInput> = {}, quirks: Partial<Quirks> = {}) =>
  writeRequest(
    callInput(change, {
      model: 'llama3.2',
      endpoint: 'http://127.0.0.1:11434',
      credential: null,
      target: 'ollama/llama3.2',
      quirks: { ...plainQuirks, ...quirks },
      ...more,
    }),
  );
function write(change: object = {}, more: Partial<CallInput> = {}, quirks: Partial<Quirks> = {}) {
  const result = resultOf(change, more, quirks);
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

test('the window of a model is the known one, whatever the request', () => {
  const contextWindow = 8_192;
  expect(write({}, { contextWindow }).body.options).toEqual({ num_ctx: 8_192 });
  expect(write({ max_tokens: 9, messages: [user, user] }, { contextWindow }).body.options).toEqual({
    num_ctx: 8_192,
    num_predict: 9,
  });
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
    'a tool without parameters, or with a word we keep to ourselves',
    { tools: [{ type: 'function', function: { name: 'now', description: 'Tells it', strict: true } }] },
    {
      tools: [
        {
          type: 'function',
          function: { name: 'now', description: 'Tells it', parameters: { type: 'object', properties: {} } },
        },
      ],
    },
  ],
  [
    'the allowed tools',
    {
      tools: [...tools, { type: 'function', function: { name: 'now' } }],
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'weather' } }] },
      },
    },
    { tools },
  ],
  ['tools as many at once as it likes', { tools, parallel_tool_calls: true }, { tools }],
  ['log probabilities', { logprobs: true }, { logprobs: true }],
  ['the most probable tokens', { logprobs: true, top_logprobs: 3 }, { logprobs: true, top_logprobs: 3 }],
  ['no log probabilities', { logprobs: false, top_logprobs: 3 }, {}],
  ['one choice', { n: 1 }, {}],
  ['the most effort', { reasoning_effort: 'max' }, { think: 'max' }],
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

const contentOf = (part: object) => ({
  messages: [user, { role: 'user', content: [{ type: 'text', text: 'a' }, part] }],
});
const image = (url: string) => contentOf({ type: 'image_url', image_url: { url } });
const tool = { type: 'function', function: { name: 'weather' } };
test.for<[string, object, Partial<Quirks>]>([
  ['images by address', image('https://example.com/a.png'), {}],
  ['images that are not base64', image('data:image/png,AAAA'), {}],
  ['images', image('data:image/png;base64,AAAA'), { imageInput: 'none' }],
  ['audio input', contentOf({ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }), {}],
  ['files', contentOf({ type: 'file', file: { file_data: 'data:application/pdf;base64,AAAA' } }), {}],
  ['several choices', { n: 2 }, {}],
  ['forced tool use', { tools: [tool], tool_choice: 'required' }, {}],
  ['forced tool use', { tools: [tool], tool_choice: tool }, {}],
])('%s: unsupported before any byte is sent', ([feature, request, quirks]) => {
  expect(resultOf(request, {}, quirks)).toEqual({ kind: 'unsupported', feature });
});

describe('what a server is configured to be is obeyed', () => {
  test.for<[string, object, Partial<Quirks>, object, string]>([
    [
      'a field it refuses',
      { seed: 1 },
      { drop: ['seed', 'user'] },
      {},
      'dropped "seed": this provider does not take it',
    ],
    [
      'no efforts',
      { reasoning_effort: 'low' },
      { reasoningRequest: 'none' },
      {},
      'dropped "reasoning_effort": this provider does not take it',
    ],
    [
      'the efforts it knows',
      { reasoning_effort: 'max' },
      { efforts: ['low', 'high'] },
      { think: 'high' },
      'wrote "reasoning_effort" as "high": the nearest this target takes',
    ],
  ])('%s', ([, request, quirks, expected, warning]) => {
    const { body, warnings } = write(request, {}, quirks);
    expect(body).toEqual({ ...fixed, ...expected });
    expect(warnings).toEqual([warning]);
  });
});

test.for<[string, object]>([
  ['as its part', { content: [{ type: 'refusal', refusal: 'No.' }] }],
  [
    'as one part of several',
    {
      content: [
        { type: 'text', text: '' },
        { type: 'refusal', refusal: 'No.' },
      ],
    },
  ],
  ['beside it', { content: null, refusal: 'No.' }],
])('a refusal is what the turn said: %s', ([, turn]) => {
  expect(write({ messages: [user, { role: 'assistant', ...turn }, user] }).body.messages).toEqual([
    user,
    { role: 'assistant', content: 'No.' },
    user,
  ]);
});

test('reasoning of another target is dropped with a warning', () => {
  const details = [{ origin: 'anthropic/claude-haiku-5-5', part: {} }];
  const { body, warnings } = write({
    messages: [user, { role: 'assistant', content: 'A', reasoning_details: details }, user],
  });
  expect(body.messages).toEqual([user, { role: 'assistant', content: 'A' }, user]);
  expect(warnings).toEqual(['dropped reasoning of another target: it is bound to the endpoint that made it']);
});
