/** The fakes are what they claim to be: the official SDK of each provider takes them for the real server. */
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { CohereClientV2 } from 'cohere-ai';
import { Ollama } from 'ollama';
import OpenAI, { AzureOpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { type FakeProviders, startFakeProviders } from '../support/fake-providers/server.ts';
import { says } from '../support/fake-providers/wire.ts';

let fakes: FakeProviders;
beforeAll(async () => {
  fakes = await startFakeProviders();
});
afterAll(() => fakes.stop());

const call = (id: string) => ({ id, name: 'get_weather', arguments: { city: 'Zürich' } });
const said = says('Grüezi 👋', { reasoning: 'They greet.', usage: { input: 20, output: 7, reasoning: 3 } });
const calling = says('', { calls: [call('call_1'), call('call_2')] });
const replies = [
  { kind: 'says', said },
  { kind: 'says', said, pieceBytes: 7 },
  { kind: 'says', said: calling },
  { kind: 'says', said: calling, pieceBytes: 5 },
] as const;
const schema = { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] };
const city = { city: 'Zürich' };

async function joined<T>(stream: AsyncIterable<T>, textOf: (each: T) => string | null | undefined): Promise<string> {
  let all = '';
  for await (const each of stream) all += textOf(each) ?? '';
  return all;
}

const openaiServers = [
  'openai',
  'groq',
  'mistral',
  'openrouter',
  'localai',
  'llama-cpp',
  'lightllm',
  'vllm',
  'lm-studio',
];
const tools = [{ type: 'function' as const, function: { name: 'get_weather', parameters: schema } }];
const messages = [{ role: 'user' as const, content: 'Hi' }];

describe("OpenAI's SDK", () => {
  test.for([...openaiServers, 'openai-compatible'])(
    'takes the fake %s for a server of Chat Completions',
    async (name) => {
      const line = fakes.open(name, ...replies);
      const client = new OpenAI({ baseURL: line.endpoint, apiKey: 'k', maxRetries: 0 });
      const whole = await client.chat.completions.create({ model: 'm', messages });
      expect(JSON.stringify(whole.choices[0]?.message.content)).toContain('Grüezi 👋');
      expect(whole.usage?.total_tokens).toBe(27);
      const stream = await client.chat.completions.create({ model: 'm', messages, stream: true });
      const textOf = (content: unknown) => (typeof content === 'string' ? content : '');
      expect(await joined(stream, (each) => textOf(each.choices[0]?.delta.content))).toBe('Grüezi 👋');
      const called = await client.chat.completions.create({ model: 'm', messages, tools });
      const made = called.choices[0]?.message.tool_calls?.[1];
      expect(made?.type === 'function' && JSON.parse(made.function.arguments)).toEqual(city);
      expect(line.seen.map(({ refused }) => refused)).toEqual([null, null, null]);
    },
  );

  it('assembles the streamed calls of the fake', async () => {
    const line = fakes.open('openai', { kind: 'says', said: calling, pieceBytes: 5 });
    const client = new OpenAI({ baseURL: line.endpoint, apiKey: 'k', maxRetries: 0 });
    const runner = client.chat.completions.stream({ model: 'm', messages, tools });
    const { choices } = await runner.finalChatCompletion();
    expect(
      choices[0]?.message.tool_calls?.map((each) => each.type === 'function' && JSON.parse(each.function.arguments)),
    ).toEqual([city, city]);
  });

  it('takes the fake for a server of Responses', async () => {
    const line = fakes.open('openai', ...replies);
    const client = new OpenAI({ baseURL: line.endpoint, apiKey: 'k', maxRetries: 0 });
    const whole = await client.responses.create({ model: 'm', input: 'Hi' });
    expect(whole.output_text).toBe('Grüezi 👋');
    const final = await client.responses.stream({ model: 'm', input: 'Hi' }).finalResponse();
    expect([final.output_text, final.usage?.total_tokens]).toEqual(['Grüezi 👋', 27]);
    const called = client.responses.stream({
      model: 'm',
      input: 'Hi',
      tools: [{ type: 'function', name: 'get_weather', parameters: schema, strict: false }],
    });
    expect((await called.finalResponse()).output.filter((each) => each.type === 'function_call')).toHaveLength(2);
  });

  test.for(['openai', 'mistral', 'vllm'])('reads the vectors of %s in the order of their inputs', async (name) => {
    const client = new OpenAI({ baseURL: fakes.open(name, ...replies).endpoint, apiKey: 'k', maxRetries: 0 });
    const { data } = await client.embeddings.create({ model: 'm', input: ['a', 'longer'] });
    expect(data.map(({ index, embedding }) => [index, embedding[0]])).toEqual([
      [1, 0.75],
      [0, 0.125],
    ]);
  });

  it('is refused by the fake as by the server', async () => {
    const line = fakes.open('openai', ...replies);
    const client = new OpenAI({ baseURL: line.endpoint, apiKey: 'k', maxRetries: 0 });
    const wrong = client.chat.completions.create({ model: 'm', messages, nonsense: 1 } as never);
    await expect(wrong).rejects.toMatchObject({ status: 400, code: 'unknown_parameter', param: 'nonsense' });
    await expect(client.chat.completions.create({ model: 'gpt-5.4', messages, tools })).rejects.toMatchObject({
      param: 'reasoning_effort',
    });
  });

  it("speaks Azure's dated style with the fake", async () => {
    const line = fakes.open('azure-openai', ...replies);
    const client = new AzureOpenAI({ endpoint: line.endpoint, apiKey: 'k', apiVersion: '2024-10-21', maxRetries: 0 });
    const whole = await client.chat.completions.create({ model: 'mine', messages });
    expect(whole.choices[0]?.message.content).toBe('Grüezi 👋');
    const stream = await client.chat.completions.create({ model: 'mine', messages, stream: true });
    expect(await joined(stream, (each) => each.choices[0]?.delta?.content)).toBe('Grüezi 👋');
    expect(line.seen[0]?.heard?.model).toBe('mine');
  });
});

it("Anthropic's SDK takes the fake for its server", async () => {
  const line = fakes.open('anthropic', ...replies);
  const client = new Anthropic({ baseURL: line.origin, apiKey: 'k', maxRetries: 0 });
  const asks = { model: 'claude-haiku-4-5', max_tokens: 100, messages };
  expect((await client.messages.create(asks)).content).toMatchObject([
    { type: 'thinking', thinking: 'They greet.' },
    { type: 'text', text: 'Grüezi 👋' },
  ]);
  const final = await client.messages.stream(asks).finalMessage();
  expect(final.content.at(-1)).toMatchObject({ text: 'Grüezi 👋' });
  expect(final.usage).toMatchObject({ input_tokens: 20, output_tokens: 7 });
  const withTools = { ...asks, tools: [{ name: 'get_weather', input_schema: schema }] };
  expect((await client.messages.create(withTools)).stop_reason).toBe('tool_use');
  expect((await client.messages.stream(withTools).finalMessage()).content).toMatchObject([
    { input: city },
    { input: city },
  ]);
  await expect(client.messages.create({ ...asks, temperature: 0.5 } as never)).rejects.toMatchObject({ status: 400 });
  expect(line.seen.map(({ refused }) => refused === null)).toEqual([true, true, true, true, false]);
});

it("Google's SDK takes the fake for its server", async () => {
  const line = fakes.open('gemini', ...replies);
  const client = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: line.origin, apiVersion: 'v1beta' } });
  const asks = { model: 'gemini-2.5-flash', contents: 'Hi' };
  const whole = await client.models.generateContent(asks);
  expect([whole.text, whole.usageMetadata?.thoughtsTokenCount]).toEqual(['Grüezi 👋', 3]);
  expect(await joined(await client.models.generateContentStream(asks), (each) => each.text)).toBe('Grüezi 👋');
  const withTools = {
    ...asks,
    config: { tools: [{ functionDeclarations: [{ name: 'get_weather', parametersJsonSchema: schema }] }] },
  };
  expect((await client.models.generateContent(withTools)).functionCalls?.map(({ args }) => args)).toEqual([city, city]);
  const embedded = await client.models.embedContent({ model: 'e', contents: ['a', 'longer'] });
  expect(embedded.embeddings?.map(({ values }) => values?.[0])).toEqual([0.125, 0.75]);
  await expect(
    client.models.generateContent({ ...asks, config: { stopSequences: ['1', '2', '3', '4', '5', '6'] } }),
  ).rejects.toThrow('INVALID_ARGUMENT');
});

it("Cohere's SDK takes the fake for its server", async () => {
  const line = fakes.open('cohere', ...replies);
  const client = new CohereClientV2({ token: 'k', environment: line.endpoint, maxRetries: 0 });
  const whole = await client.chat({ model: 'm', messages });
  expect(whole.message.content?.at(-1)).toMatchObject({ text: 'Grüezi 👋' });
  expect(whole.usage?.tokens).toEqual({ inputTokens: 20, outputTokens: 7 });
  const textOf = (each: unknown) =>
    (each as { delta?: { message?: { content?: { text?: string } } } }).delta?.message?.content?.text;
  expect(await joined(await client.chatStream({ model: 'm', messages }), textOf)).toBe('Grüezi 👋');
  const called = await client.chat({ model: 'm', messages, tools });
  expect(called.message.toolCalls?.map((each) => JSON.parse(each.function?.arguments ?? ''))).toEqual([city, city]);
  const embedded = await client.embed({
    model: 'e',
    texts: ['a', 'longer'],
    inputType: 'search_query',
    embeddingTypes: ['float'],
  });
  expect(embedded.embeddings.float?.map(([first]) => first)).toEqual([0.125, 0.75]);
  await expect(client.chat({ model: 'm', messages, temperature: 1.5 })).rejects.toMatchObject({ statusCode: 400 });
});

it("Ollama's SDK takes the fake for its server", async () => {
  const line = fakes.open('ollama', ...replies);
  const client = new Ollama({ host: line.endpoint });
  const asks = { model: 'm', messages, truncate: false };
  expect((await client.chat(asks)).message).toMatchObject({ content: 'Grüezi 👋', thinking: 'They greet.' });
  expect(await joined(await client.chat({ ...asks, stream: true }), (each) => each.message.content)).toBe('Grüezi 👋');
  expect((await client.chat({ ...asks, tools })).message.tool_calls?.map((each) => each.function.arguments)).toEqual([
    city,
    city,
  ]);
  expect((await client.embed({ model: 'e', input: ['a', 'longer'] })).embeddings.map(([first]) => first)).toEqual([
    0.125, 0.75,
  ]);
  const broken = client.chat({
    ...asks,
    messages: [{ role: 'user', content: 'x', images: ['data:image/png;base64,AAAA'] }],
  });
  await expect(broken).rejects.toThrow('images');
});
