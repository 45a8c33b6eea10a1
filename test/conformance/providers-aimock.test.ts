/** A second opinion: the providers as someone else built them, for what that mock can do. */
import { LLMock } from '@copilotkit/aimock';
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { callChat, callEmbeddings, modelOf } from '../support/fake-providers/call-provider.ts';
import { result, tool, user } from '../support/fake-providers/conversation.ts';

const mock = new LLMock({ port: 0, logLevel: 'silent', chunkSize: 3 });
let transport: Transport;
beforeAll(async () => {
  const weather = JSON.stringify({ city: 'Bern' });
  mock.on({ userMessage: 'hello' }, { content: 'Grüezi 👋 mitenand' });
  mock.on({ userMessage: 'think' }, { content: 'Four.', reasoning: 'Two and two.' });
  mock.on({ userMessage: 'weather', hasToolResult: true }, { content: 'It is 18 degrees.' });
  mock.on(
    { userMessage: 'weather' },
    { toolCalls: ['get_weather', 'get_time'].map((name) => ({ name, arguments: weather })) },
  );
  mock.on({ userMessage: 'json' }, { content: '{"a":1}' });
  mock.on(
    { userMessage: 'too much' },
    { error: { message: 'slow down', type: 'rate_limit_error', code: 'rate_limit_exceeded' }, status: 429 },
  );
  mock.on({ userMessage: 'broken' }, { error: { message: 'oops', type: 'server_error' }, status: 500 });
  mock.onEmbedding(/./, { embedding: [0.5, 0.25, 0.125] });
  await mock.start();
  transport = createTransport({ connections: 4, connectMs: 2_000 });
});
afterAll(() => Promise.all([mock.stop(), transport.close()]));

/** Where it speaks as each of them. It takes the address of many for that of OpenAI. */
const paths: Readonly<Record<string, string>> = {
  openai: '/v1',
  groq: '/openai/v1',
  mistral: '/v1',
  openrouter: '/api/v1',
  localai: '/v1',
  'llama-cpp': '/v1',
  lightllm: '/v1',
  vllm: '/v1',
  'lm-studio': '/v1',
  'openai-compatible': '/v1',
  anthropic: '/v1',
  gemini: '/v1beta',
  cohere: '',
  ollama: '',
  'azure-openai': '',
};
const ask = (id: string, request: object, stream: boolean) => {
  const apiVersion = id === 'azure-openai' ? '2024-10-21' : null;
  return callChat(transport, id, `${mock.url}${paths[id]}`, request, { stream, apiVersion });
};
const tools = [tool('get_weather'), tool('get_time')];
const modes = [false, true];

describe.for(Object.keys(paths))('%s', (id) => {
  test.for(modes)('says a text (streamed: %s)', async (stream) => {
    const before = mock.getRequests().length;
    const outcome = await ask(id, { messages: [user('hello')] }, stream);
    expect(outcome).toMatchObject({
      result: { kind: 'answer', answer: { text: 'Grüezi 👋 mitenand', finishReason: 'stop' } },
    });
    expect(mock.getRequests()).toHaveLength(before + 1);
  });

  test.for(modes)('calls two tools, and hears their results (streamed: %s)', async (stream) => {
    const asked = user('weather');
    const outcome = await ask(id, { messages: [asked], tools }, stream);
    if (outcome.kind !== 'called' || outcome.result.kind !== 'answer') throw new Error(JSON.stringify(outcome));
    const { toolCalls, finishReason } = outcome.result.answer;
    expect(toolCalls.map((each) => [each.function.name, JSON.parse(each.function.arguments)])).toEqual([
      ['get_weather', { city: 'Bern' }],
      ['get_time', { city: 'Bern' }],
    ]);
    expect(finishReason).toBe('tool_calls');
    const messages = [
      asked,
      { role: 'assistant', content: null, tool_calls: toolCalls },
      ...toolCalls.map((each) => result(each.id, '18')),
    ];
    expect(await ask(id, { messages, tools }, stream)).toMatchObject({
      result: { answer: { text: 'It is 18 degrees.' } },
    });
  });

  it('says JSON of a schema', async () => {
    const format = {
      type: 'json_schema',
      json_schema: { name: 'a', schema: { type: 'object', properties: { a: { type: 'integer' } } } },
    };
    const outcome = await ask(id, { messages: [user('json')], response_format: format }, false);
    expect(outcome).toMatchObject({ result: { answer: { text: '{"a":1}' } } });
  });

  test.for([
    ['too much', 'rate_limit'],
    ['broken', 'server_error'],
  ] as const)('refuses "%s" as %s', async ([text, kind]) => {
    const outcome = await ask(id, { messages: [user(text)] }, false);
    expect(outcome).toMatchObject({ result: { kind: 'failure', failure: { kind } } });
  });
});

// Those in whose words it tells reasoning; of Ollama it has `reasoning_content`, where the server says `thinking`.
test.for(['anthropic', 'gemini', 'openrouter'].flatMap((id) => modes.map((stream) => [id, stream] as const)))(
  '%s thinks aloud (streamed: %s)',
  async ([id, stream]) => {
    const outcome = await ask(id, { messages: [user('think')] }, stream);
    expect(outcome).toMatchObject({ result: { answer: { text: 'Four.', reasoning: 'Two and two.' } } });
  },
);

// It has no batches of Gemini's embeddings, and answers `/api/embed` of Ollama in the form of an older path.
test.for(['openai', 'mistral', 'vllm', 'cohere'])('%s makes vectors', async (id) => {
  const outcome = await callEmbeddings(
    transport,
    id,
    `${mock.url}${paths[id]}`,
    { input: ['a', 'b'] },
    { model: modelOf(id) },
  );
  const vector = [0.5, 0.25, 0.125];
  expect(outcome).toMatchObject({ result: { kind: 'answer', answer: { vectors: [vector, vector] } } });
});
