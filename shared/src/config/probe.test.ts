/** Local servers are found by what only they answer. The network is faked: their ports are fixed, and may be taken. */
import { getGlobalDispatcher, MockAgent, setGlobalDispatcher } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { probeLocalServers } from './probe.ts';

const real = getGlobalDispatcher();
let network = new MockAgent();
beforeEach(() => {
  network = new MockAgent();
  network.disableNetConnect();
  setGlobalDispatcher(network);
});
afterEach(async () => {
  setGlobalDispatcher(real);
  await network.close();
});

function answers(origin: string, pages: Readonly<Record<string, unknown>>, status = 200) {
  const pool = network.get(origin);
  for (const [path, page] of Object.entries(pages))
    pool.intercept({ path, method: 'GET' }).reply(status, typeof page === 'string' ? page : JSON.stringify(page));
}

test('with nobody there, nothing is found', async () => {
  expect(await probeLocalServers()).toEqual([]);
});

test.for<[string, string, Record<string, unknown>, object]>([
  [
    'Ollama, with the default model when it has it',
    'http://127.0.0.1:11434',
    { '/api/version': { version: '1' }, '/api/tags': { models: [{ name: 'qwen3:8b' }, { name: 'llama3.2:latest' }] } },
    { preset: 'ollama', endpoint: 'http://127.0.0.1:11434', firstModel: 'llama3.2' },
  ],
  [
    'Ollama, with its first model otherwise',
    'http://127.0.0.1:11434',
    { '/api/version': {}, '/api/tags': { models: [{ name: 'qwen3:8b' }] } },
    { preset: 'ollama', endpoint: 'http://127.0.0.1:11434', firstModel: 'qwen3:8b' },
  ],
  [
    'Ollama without a model',
    'http://127.0.0.1:11434',
    { '/api/version': {}, '/api/tags': { models: [] } },
    { preset: 'ollama', endpoint: 'http://127.0.0.1:11434', firstModel: null },
  ],
  [
    'llama.cpp at its new port',
    'http://127.0.0.1:9931',
    { '/props': { total_slots: 1 }, '/v1/models': { data: [{ id: 'qwen' }] } },
    { preset: 'llama-cpp', endpoint: 'http://127.0.0.1:9931/v1', firstModel: 'qwen' },
  ],
  [
    'llama.cpp at its old port',
    'http://127.0.0.1:8080',
    { '/props': {}, '/v1/models': { data: [{ id: 'qwen' }] } },
    { preset: 'llama-cpp', endpoint: 'http://127.0.0.1:8080/v1', firstModel: 'qwen' },
  ],
  [
    'LocalAI at the same port',
    'http://127.0.0.1:8080',
    { '/.well-known/localai.json': {}, '/v1/models': { data: [{ id: 'phi' }] } },
    { preset: 'localai', endpoint: 'http://127.0.0.1:8080/v1', firstModel: 'phi' },
  ],
  [
    'vLLM',
    'http://127.0.0.1:8000',
    { '/version': { version: '1' }, '/v1/models': { data: [{ id: 'm' }] } },
    { preset: 'vllm', endpoint: 'http://127.0.0.1:8000/v1', firstModel: 'm' },
  ],
  [
    'LightLLM at the same port',
    'http://127.0.0.1:8000',
    { '/token_load': {}, '/v1/models': { data: [{ id: 'm' }] } },
    { preset: 'lightllm', endpoint: 'http://127.0.0.1:8000/v1', firstModel: 'm' },
  ],
  [
    'LM Studio, with the model that is loaded, and not one that embeds',
    'http://127.0.0.1:1234',
    {
      '/api/v0/models': {
        data: [
          { id: 'text-embedding-nomic', type: 'embeddings', state: 'loaded' },
          { id: 'qwen', type: 'llm', state: 'not-loaded' },
          { id: 'gemma', type: 'vlm', state: 'loaded' },
        ],
      },
    },
    { preset: 'lm-studio', endpoint: 'http://127.0.0.1:1234/v1', firstModel: 'gemma' },
  ],
  [
    'LM Studio without a model',
    'http://127.0.0.1:1234',
    { '/api/v0/models': { data: [{ type: 'llm' }] } },
    { preset: 'lm-studio', endpoint: 'http://127.0.0.1:1234/v1', firstModel: null },
  ],
  [
    'Ollama, with a model that writes before one that embeds',
    'http://127.0.0.1:11434',
    { '/api/version': {}, '/api/tags': { models: [{ name: 'nomic-embed-text:latest' }, { name: 'qwen3:8b' }] } },
    { preset: 'ollama', endpoint: 'http://127.0.0.1:11434', firstModel: 'qwen3:8b' },
  ],
  [
    'LocalAI, though it answers as llama.cpp does too',
    'http://127.0.0.1:8080',
    { '/props': {}, '/.well-known/localai.json': {}, '/v1/models': { data: [{ id: 'phi' }] } },
    { preset: 'localai', endpoint: 'http://127.0.0.1:8080/v1', firstModel: 'phi' },
  ],
  [
    'LightLLM, though it tells a version too',
    'http://127.0.0.1:8000',
    { '/version': { version: '1' }, '/token_load': {}, '/v1/models': { data: [{ id: 'm' }] } },
    { preset: 'lightllm', endpoint: 'http://127.0.0.1:8000/v1', firstModel: 'm' },
  ],
  [
    'a server that lists its models badly',
    'http://127.0.0.1:8000',
    { '/version': { version: '1' }, '/v1/models': '<html>' },
    { preset: 'vllm', endpoint: 'http://127.0.0.1:8000/v1', firstModel: null },
  ],
])('found: %s', async ([, origin, pages, expected]) => {
  answers(origin, pages);
  expect(await probeLocalServers()).toEqual([expected]);
});

test('another program at the port is not a model server', async () => {
  answers('http://127.0.0.1:8080', { '/props': { error: 'not found' } }, 404);
  answers('http://127.0.0.1:11434', { '/api/version': {} }, 500);
  expect(await probeLocalServers()).toEqual([]);
});

test.for<[string, string, Record<string, unknown>]>([
  ['tells no version', 'http://127.0.0.1:8000', { '/version': { name: 'a service' } }],
  ['answers a list', 'http://127.0.0.1:8080', { '/props': [] }],
  ['has no list where LM Studio has one', 'http://127.0.0.1:1234', { '/api/v0/models': {} }],
  ['answers more than anybody asked for', 'http://127.0.0.1:8080', { '/props': { text: 'x'.repeat(1_100_000) } }],
])('a program is not a model server when it %s', async ([, origin, pages]) => {
  answers(origin, pages);
  expect(await probeLocalServers()).toEqual([]);
});

test('a credential goes to the list of a server that was recognised, and nowhere else', async () => {
  const pool = network.get('http://127.0.0.1:8000');
  const isWithout = (headers: Record<string, string>) => headers.authorization === undefined;
  pool.intercept({ path: '/version', headers: isWithout }).reply(200, JSON.stringify({ version: '1' }));
  pool
    .intercept({ path: '/v1/models', headers: { authorization: 'Bearer k1' } })
    .reply(200, JSON.stringify({ data: [{ id: 'm' }] }));
  expect(await probeLocalServers({ VLLM_API_KEY: 'k1 ' })).toEqual([
    { preset: 'vllm', endpoint: 'http://127.0.0.1:8000/v1', firstModel: 'm' },
  ]);
});

test('a web page at every path is not a model server', async () => {
  answers('http://127.0.0.1:8080', { '/props': '<!doctype html>', '/.well-known/localai.json': '<!doctype html>' });
  expect(await probeLocalServers()).toEqual([]);
});

test('a server that answers half of JSON is not one', async () => {
  answers('http://127.0.0.1:8000', { '/version': '{"version":' });
  expect(await probeLocalServers()).toEqual([]);
});

test('a server that never answers does not hold the start', async () => {
  network.get('http://127.0.0.1:11434').intercept({ path: '/api/version' }).reply(200, '{}').delay(3_600_000);
  expect(await probeLocalServers()).toEqual([]);
});
