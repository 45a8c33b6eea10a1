/** What the dialects write is what the official SDKs would let a programmer write. */
import { expect, it } from 'vitest';
import { modelOf, writeChat, writeEmbeddings } from '../support/fake-providers/call-provider.ts';
import { answerCases, askCases } from '../support/fake-providers/chat-cases.ts';
import { call, model, pixelUri, result, tool, user } from '../support/fake-providers/conversation.ts';
import { hardCases } from '../support/fake-providers/hard-cases.ts';
import { modelCases, toolCases } from '../support/fake-providers/tool-cases.ts';
import { type BodyType, checkTypes, type TypedBody } from '../support/fake-providers/type-check.ts';

const typeOf = (url: string): BodyType => {
  const [, type] =
    (
      [
        [/\/v1\/chat\/completions|\/deployments\/.*\/chat\/completions/, 'OpenaiChat'],
        [/\/v1\/responses$/, 'OpenaiResponses'],
        [/\/(v1|deployments\/[^/]+)\/embeddings/, 'OpenaiEmbeddings'],
        [/\/v1\/messages$/, 'AnthropicMessages'],
        [/:(streamG|g)enerateContent/, 'GeminiGenerate'],
        [/:batchEmbedContents$/, 'GeminiEmbed'],
        [/\/v2\/chat$/, 'CohereChat'],
        [/\/v2\/embed$/, 'CohereEmbed'],
        [/\/api\/chat$/, 'OllamaChat'],
        [/\/api\/embed$/, 'OllamaEmbed'],
      ] as const
    ).find(([pattern]) => pattern.test(url)) ?? [];
  if (type === undefined) throw new Error(`No type is known for ${url}`);
  return type;
};

const endpoints: Readonly<Record<string, string>> = {
  openai: 'http://provider.test/v1',
  'azure-openai': 'http://provider.test',
  anthropic: 'http://provider.test/v1',
  gemini: 'http://provider.test/v1beta',
  cohere: 'http://provider.test',
  ollama: 'http://provider.test',
};
const ids = Object.keys(endpoints);

/** Reasoning that its own maker gets back, beside calls, results and a picture. */
const long = (id: string, part: unknown) => ({
  tools: [tool('get_weather')],
  ...(id === 'openai' ? { reasoning_effort: 'low' } : {}),
  messages: [
    { role: 'system', content: 'Be brief.' },
    user([
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url: { url: pixelUri } },
    ]),
    model('Looking.', {
      tool_calls: [call('call_a', 'get_weather', { city: 'Bern' }), call('call_b', 'get_weather', { city: 'Genève' })],
      ...(part === undefined ? {} : { reasoning_details: [{ origin: 'x/y', part }] }),
    }),
    result('call_a', '18'),
    result('call_b', 'windy'),
    { role: 'system', content: 'Be kind.' },
    user('And now?'),
  ],
});

function collect(): TypedBody[] {
  const cases = [...answerCases.slice(0, 1), ...askCases, ...toolCases, ...modelCases, ...hardCases];
  return ids.flatMap((id) => {
    const endpoint = endpoints[id] ?? '';
    const chats = cases
      .filter((each) => each.only?.includes(id) ?? true)
      .flatMap((each) =>
        [false, true].map((stream) => ({
          title: `${id}: ${each.title}`,
          written: writeChat(id, endpoint, each.request(id), { stream, model: each.model?.(id) ?? modelOf(id) }),
        })),
      );
    const conversations = [modelOf(id), 'gpt-5.4', 'claude-opus-5', 'gemini-3-pro'].map((name) => ({
      title: `${id}: a long conversation with ${name}`,
      written: writeChat(id, endpoint, long(id, undefined), { model: name }),
    }));
    const vectors = [
      { input: ['a', 'b'] },
      { input: 'a', dimensions: 256, input_type: 'search_query', encoding_format: 'float' },
    ].map((request) => ({ title: `${id}: vectors`, written: writeEmbeddings(id, endpoint, request) }));
    return [...chats, ...conversations, ...vectors].flatMap(({ title, written }) =>
      written.kind === 'request' ? [{ title, type: typeOf(written.http.url), body: written.http.body }] : [],
    );
  });
}

it('every body has the type that the SDK of its provider gives it, and a body that has not is found', async () => {
  const bodies = collect();
  expect(new Set(bodies.map(({ type }) => type)).size).toBe(10);
  // One of each type with a field that no provider knows: a check that finds nothing would find none of these.
  const wrong = [...new Map(bodies.map((each) => [each.type, each])).values()].map((each) => ({
    ...each,
    title: `wrong ${each.type}`,
    body: each.body.replace('{', '{"nonsense":1,'),
  }));
  const found = await checkTypes([...bodies, ...wrong]);
  expect(found.filter((line) => !line.startsWith('wrong '))).toEqual([]);
  expect(wrong.filter(({ title }) => !found.some((line) => line.startsWith(`${title}: `)))).toEqual([]);
});
