/** Providers with two forms of one API, and answers that come in parts. */
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import { afterAll, beforeAll, expect, it, test } from 'vitest';
import { callChat, callEmbeddings } from '../support/fake-providers/call-provider.ts';
import { tool, user } from '../support/fake-providers/conversation.ts';
import { type FakeProviders, startFakeProviders } from '../support/fake-providers/server.ts';
import { says } from '../support/fake-providers/wire.ts';

let fakes: FakeProviders;
let transport: Transport;
beforeAll(async () => {
  fakes = await startFakeProviders();
  transport = createTransport({ connections: 4, connectMs: 2_000 });
});
afterAll(() => Promise.all([fakes.stop(), transport.close()]));

const hello = { messages: [user('Hi')] };
const said = says('Grüezi', { calls: [{ id: 'call_1', name: 'get_weather', arguments: { city: 'Bern' } }] });

test.for([
  [null, false],
  [null, true],
  ['2024-10-21', false],
  ['2024-10-21', true],
] as const)('Azure in version %s answers text and calls (streamed: %s)', async ([apiVersion, stream]) => {
  const line = fakes.open('azure-openai', { kind: 'says', said });
  const request = { ...hello, tools: [tool('get_weather')] };
  const outcome = await callChat(transport, 'azure-openai', line.endpoint, request, { apiVersion, stream });
  expect(line.seen.map(({ refused }) => refused)).toEqual([null]);
  expect(line.seen[0]?.asked.path.startsWith('/deployments/')).toBe(apiVersion !== null);
  expect(line.seen[0]?.heard?.model).toBe('my-deployment');
  expect(outcome).toMatchObject({
    result: {
      kind: 'answer',
      answer: {
        text: 'Grüezi',
        toolCalls: [{ id: 'call_1' }],
        finishReason: 'tool_calls',
      },
      meta: { requestId: 'req-fake-1' },
    },
  });
});

test.for([null, '2024-10-21'])('Azure in version %s makes vectors', async (apiVersion) => {
  const line = fakes.open('azure-openai', { kind: 'says', said });
  const outcome = await callEmbeddings(transport, 'azure-openai', line.endpoint, { input: ['a'] }, { apiVersion });
  expect(outcome).toMatchObject({ result: { kind: 'answer', answer: { vectors: [[0.125, 0.25, 0.375]] } } });
});

test.for([
  ['2023-06-01', 0.5],
  ['2026-10-21', null],
] as const)('Anthropic in version %s samples at %s', async ([apiVersion, temperature]) => {
  const line = fakes.open('anthropic', { kind: 'says', said: says('Hello') });
  const outcome = await callChat(transport, 'anthropic', line.endpoint, { ...hello, temperature: 0.5 }, { apiVersion });
  expect(line.seen.map(({ refused }) => refused)).toEqual([null]);
  expect(line.seen[0]?.asked.headers['anthropic-version']).toBe(apiVersion);
  expect(line.seen[0]?.heard?.temperature).toBe(temperature);
  expect(outcome.kind === 'called' && outcome.warnings.filter((each) => each.includes('temperature'))).toHaveLength(
    temperature === null ? 1 : 0,
  );
});

it('Gemini goes on where it stopped, when it is given what it gave', async () => {
  const part = {
    candidates: [
      {
        content: { role: 'model', parts: [{ text: 'Once upon' }] },
        finishReason: 'CONTINUATION',
        continuationToken: 'dG9rZW4=',
        index: 0,
      },
    ],
    usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 9, totalTokenCount: 14 },
  };
  const first = fakes.open('gemini', {
    kind: 'raw',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(part),
  });
  const begun = await callChat(transport, 'gemini', first.endpoint, hello);
  if (begun.kind !== 'called' || begun.result.kind !== 'answer') throw new Error(JSON.stringify(begun));
  expect(begun.result.answer).toMatchObject({ text: 'Once upon', usage: { inputTokens: 5, outputTokens: 9 } });
  const { continuation } = begun.result.answer;
  expect(continuation).not.toBeNull();

  const second = fakes.open('gemini', { kind: 'says', said: says(' a time.') });
  const ended = await callChat(transport, 'gemini', second.endpoint, hello, { continuation });
  expect(second.seen.map(({ asked }) => asked.body.continuationToken)).toEqual(['dG9rZW4=']);
  expect(ended).toMatchObject({ result: { kind: 'answer', answer: { text: ' a time.', continuation: null } } });
});

it('no credential is in an address, and none is sent to a server that has none', async () => {
  for (const id of ['openai', 'anthropic', 'gemini', 'azure-openai', 'cohere', 'ollama', 'vllm']) {
    const line = fakes.open(id, { kind: 'says', said: says('Hello') });
    await callChat(transport, id, line.endpoint, hello);
    const { headers, path, query } = line.seen[0]?.asked ?? { headers: {}, path: '', query: '' };
    expect(`${path}${query}`).not.toContain('sk-fake-1');
    const isSent = Object.values(headers).some((value) => value?.includes('sk-fake-1'));
    expect([id, isSent]).toEqual([id, !['ollama', 'vllm'].includes(id)]);
  }
});
