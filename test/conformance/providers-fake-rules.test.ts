/** The fakes refuse what their providers refuse: without these, a dialect could be wrong and every other test right. */
import { afterAll, beforeAll, expect, it, test } from 'vitest';
import { pixel, pixelUri, weatherSchema } from '../support/fake-providers/conversation.ts';
import { type FakeProviders, startFakeProviders } from '../support/fake-providers/server.ts';
import { says } from '../support/fake-providers/wire.ts';

let fakes: FakeProviders;
beforeAll(async () => {
  fakes = await startFakeProviders();
});
afterAll(() => fakes.stop());

const bearer = { authorization: 'Bearer k' };
const hi = [{ role: 'user', content: 'Hi' }];
const parts = [{ text: 'Hi' }];
const asked = { role: 'user', parts };
const functions = [{ functionDeclarations: [{ name: 'f', parametersJsonSchema: weatherSchema }] }];
const tools = [{ type: 'function', function: { name: 'f', parameters: weatherSchema } }];
const calls = (id: string) => [
  {
    role: 'assistant',
    content: null,
    tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
  },
];

/** A request each provider takes. */
const good: Readonly<Record<string, { path: string; headers: Record<string, string>; body: Record<string, unknown> }>> =
  {
    openai: { path: '/chat/completions', headers: bearer, body: { model: 'gpt-4.1', messages: hi } },
    reasoning: { path: '/chat/completions', headers: bearer, body: { model: 'gpt-5.4', messages: hi } },
    responses: { path: '/responses', headers: bearer, body: { model: 'gpt-5.4', input: 'Hi' } },
    groq: { path: '/chat/completions', headers: bearer, body: { model: 'openai/gpt-oss-20b', messages: hi } },
    mistral: { path: '/chat/completions', headers: bearer, body: { model: 'm', messages: hi } },
    lightllm: { path: '/chat/completions', headers: {}, body: { model: 'm', messages: hi } },
    anthropic: {
      path: '/messages',
      headers: { 'x-api-key': 'k', 'anthropic-version': '2023-06-01' },
      body: { model: 'claude-opus-5-5', max_tokens: 9, messages: hi },
    },
    older: {
      path: '/messages',
      headers: { 'x-api-key': 'k', 'anthropic-version': '2023-06-01' },
      body: { model: 'claude-haiku-4-5', max_tokens: 2_000, messages: hi },
    },
    gemini: {
      path: '/models/gemini-3-pro:generateContent',
      headers: { 'x-goog-api-key': 'k' },
      body: { contents: [asked] },
    },
    'azure-openai': {
      path: '/openai/v1/chat/completions',
      headers: { 'api-key': 'k' },
      body: { model: 'd', messages: hi },
    },
    cohere: { path: '/v2/chat', headers: bearer, body: { model: 'm', messages: hi } },
    ollama: { path: '/api/chat', headers: {}, body: { model: 'm', messages: hi, stream: false, truncate: false } },
  };
const serverOf = (name: string) => ({ reasoning: 'openai', responses: 'openai', older: 'anthropic' })[name] ?? name;

async function post(
  name: string,
  change: object,
  headers: Record<string, string> = {},
  path?: string,
): Promise<number> {
  const base = good[name];
  if (!base) throw new Error(`no request of ${name}`);
  const line = fakes.open(serverOf(name), { kind: 'says', said: says('Hello') });
  const response = await fetch(`${line.endpoint}${path ?? base.path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...base.headers, ...headers },
    body: JSON.stringify({ ...base.body, ...change }),
  });
  await response.arrayBuffer();
  return response.status;
}

test.for(Object.keys(good))('%s takes a plain request', async (name) => {
  expect(await post(name, {})).toBe(200);
});

const signed = { functionCall: { name: 'f', args: {} }, thoughtSignature: 'sealed:f' };
const answers = { role: 'user', parts: [{ functionResponse: { name: 'f', response: {} } }] };

test.for<[name: string, why: string, change: object, status: number]>([
  ['openai', 'a field nobody knows', { nonsense: 1 }, 400],
  ['openai', 'a field of ours', { messages: [{ ...hi[0], reasoning_content: 'x' }] }, 400],
  ['openai', 'a call without a result', { messages: [...hi, ...calls('a'), ...hi] }, 400],
  ['openai', 'a result without a call', { messages: [...hi, { role: 'tool', tool_call_id: 'a', content: 'x' }] }, 400],
  [
    'openai',
    'a result of another call',
    { messages: [...hi, ...calls('a'), { role: 'tool', tool_call_id: 'b', content: 'x' }] },
    400,
  ],
  ['openai', 'five texts to stop at', { stop: ['1', '2', '3', '4', '5'] }, 400],
  ['openai', 'JSON that no message asks for', { response_format: { type: 'json_object' } }, 400],
  ['openai', 'a choice among no tools', { tool_choice: 'required' }, 400],
  ['openai', 'stream options without a stream', { stream_options: { include_usage: true } }, 400],
  [
    'openai',
    'a strict schema that is not',
    {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', strict: true, schema: { type: 'object', properties: { a: {} } } },
      },
    },
    400,
  ],
  ['reasoning', 'the older bound', { max_tokens: 5 }, 400],
  ['reasoning', 'a temperature', { temperature: 0.5 }, 400],
  ['reasoning', 'tools beside reasoning', { tools }, 400],
  ['responses', 'a text to stop at', { stop: ['x'] }, 400],
  [
    'responses',
    'a result without a call',
    { input: [{ type: 'function_call_output', call_id: 'a', output: 'x' }] },
    400,
  ],
  [
    'responses',
    'reasoning that was not sealed here',
    {
      store: false,
      input: [
        { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'mine' },
        { role: 'assistant', content: 'x' },
      ],
    },
    400,
  ],
  ['groq', 'the name of a speaker', { messages: [{ ...hi[0], name: 'ada' }] }, 400],
  ['groq', 'two choices', { n: 2 }, 400],
  ['groq', 'an effort of another model', { reasoning_effort: 'none' }, 400],
  ['mistral', 'the newer bound', { max_completion_tokens: 5 }, 422],
  ['mistral', 'a seed in the usual word', { seed: 5 }, 422],
  ['mistral', 'stream options', { stream: true, stream_options: { include_usage: true } }, 422],
  ['mistral', 'the role of a developer', { messages: [{ role: 'developer', content: 'x' }, ...hi] }, 422],
  [
    'mistral',
    'an id of a call that is too long',
    { messages: [...hi, ...calls('call_12345'), { role: 'tool', tool_call_id: 'call_12345', content: 'x' }] },
    422,
  ],
  ['lightllm', 'a bias', { logit_bias: { 1: 1 } }, 400],
  ['anthropic', 'no bound', { max_tokens: undefined }, 400],
  ['anthropic', 'a temperature', { temperature: 0.5 }, 400],
  ['anthropic', 'a forced tool', { tools: [{ name: 'f', input_schema: {} }], tool_choice: { type: 'any' } }, 400],
  ['anthropic', 'a budget to think', { thinking: { type: 'enabled', budget_tokens: 1_024 }, max_tokens: 9_000 }, 400],
  ['anthropic', 'a last word of the model', { messages: [...hi, { role: 'assistant', content: 'I' }] }, 400],
  ['anthropic', 'an empty text', { messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }] }, 400],
  [
    'anthropic',
    'a bound of JSON',
    {
      output_config: {
        format: {
          type: 'json_schema',
          schema: { type: 'object', additionalProperties: false, properties: { a: { minimum: 1 } } },
        },
      },
    },
    400,
  ],
  [
    'anthropic',
    'a text before the result',
    {
      messages: [
        ...hi,
        { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'x' },
            { type: 'tool_result', tool_use_id: 'a', content: 'y' },
          ],
        },
      ],
    },
    400,
  ],
  [
    'anthropic',
    'thinking that was not sealed here',
    {
      messages: [
        ...hi,
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'x', signature: 'mine' },
            { type: 'text', text: 'y' },
          ],
        },
        ...hi,
      ],
    },
    400,
  ],
  ['older', 'adaptive thinking', { thinking: { type: 'adaptive' } }, 400],
  ['older', 'a budget beyond the bound', { thinking: { type: 'enabled', budget_tokens: 2_000 } }, 400],
  ['gemini', 'a field nobody knows', { nonsense: 1 }, 400],
  ['gemini', 'a model that begins', { contents: [{ role: 'model', parts }, asked] }, 400],
  [
    'gemini',
    'a call without its signature',
    { tools: functions, contents: [asked, { role: 'model', parts: [{ functionCall: signed.functionCall }] }, answers] },
    400,
  ],
  [
    'gemini',
    'a result too few',
    { tools: functions, contents: [asked, { role: 'model', parts: [signed, signed] }, answers] },
    400,
  ],
  [
    'gemini',
    'a budget and a level',
    { generationConfig: { thinkingConfig: { thinkingBudget: 1, thinkingLevel: 'LOW' } } },
    400,
  ],
  ['gemini', 'six texts to stop at', { generationConfig: { stopSequences: ['1', '2', '3', '4', '5', '6'] } }, 400],
  [
    'gemini',
    'a schema in words it does not know',
    {
      generationConfig: { responseMimeType: 'application/json', responseJsonSchema: { type: 'string', pattern: 'a' } },
    },
    400,
  ],
  ['gemini', 'a part with nothing in it', { contents: [{ role: 'user', parts: [{}] }] }, 400],
  ['azure-openai', 'a field nobody knows', { nonsense: 1 }, 400],
  ['cohere', 'JSON beside tools', { tools, response_format: { type: 'json_object' } }, 400],
  ['cohere', 'a hyphen in a name', { tools: [{ type: 'function', function: { name: 'a-b', parameters: {} } }] }, 400],
  ['cohere', 'a temperature above one', { temperature: 1.5 }, 400],
  ['cohere', 'a tool chosen by its name', { tools, tool_choice: { type: 'function', function: { name: 'f' } } }, 400],
  ['ollama', 'a list of parts', { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] }, 400],
  ['ollama', 'a picture with its prefix', { messages: [{ role: 'user', content: 'Hi', images: [pixelUri] }] }, 400],
  [
    'ollama',
    'arguments as a text',
    {
      messages: [...hi, { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: '{}' } }] }],
    },
    400,
  ],
])('%s refuses %s', async ([name, , change, status]) => {
  expect(await post(name, change)).toBe(status);
});

test.for<[name: string, headers: Record<string, string>, status: number]>([
  ['openai', { authorization: '' }, 401],
  ['anthropic', { 'anthropic-version': '' }, 400],
  ['cohere', { authorization: 'k' }, 401],
])('%s refuses a request without %j', async ([name, headers, status]) => {
  expect(await post(name, {}, headers)).toBe(status);
});

it('Azure finds a deployment in the dated style with a version alone', async () => {
  const path = '/openai/deployments/d/chat/completions';
  expect([
    await post('azure-openai', {}, {}, path),
    await post('azure-openai', {}, {}, `${path}?api-version=2024-10-21`),
  ]).toEqual([404, 200]);
});

it('Ollama takes a picture as bytes alone', async () => {
  expect(await post('ollama', { messages: [{ role: 'user', content: 'Hi', images: [pixel] }] })).toBe(200);
});
