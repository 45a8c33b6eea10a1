/** What a probe asks, on real sockets: nothing that bills, nothing without a bound, and no secret in what it says. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../security/secret.ts';
import { dialectOf } from './dialects.ts';
import { type Preset, presetOf, presets } from './presets.ts';
import { type ProbeInput, type ProbeResult, probeServer } from './probe-server.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const secret = 'sk-very-secret-0123456789';
let url: string;
let answer: Answer;
let asked: { line: string; headers: IncomingMessage['headers'] }[];
const server = createServer((request, response) => {
  asked.push({ line: `${request.method} ${request.url?.replace(/\?.*/, '')}`, headers: request.headers });
  answer(request, response);
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  asked = [];
  answer = serving;
});

const reply =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
/** A list that every form of listing finds a model in. */
const serving = reply(200, { data: [{ id: 'm', max_model_len: 4_096 }], models: [{ name: 'm' }], has_more: false });
/** By path; what is not here is served. */
const at =
  (paths: Readonly<Record<string, Answer>>): Answer =>
  (request, response) =>
    (paths[request.url ?? ''] ?? serving)(request, response);

const lines = () => asked.map(({ line }) => line);

function probe(preset: Preset | string, more: Partial<ProbeInput> = {}): Promise<ProbeResult> {
  const found = typeof preset === 'string' ? presetOf(preset) : preset;
  if (!found) throw new Error(`no preset "${preset}"`);
  return probeServer({
    preset: found,
    dialect: dialectOf(found.dialect),
    endpoint: `${url}${new URL(found.endpoint ?? 'http://127.0.0.1/v1').pathname.replace(/\/$/, '')}`,
    credential: new Secret(secret),
    apiVersion: found.apiVersion,
    headers: {},
    signal: AbortSignal.timeout(20_000),
    ...more,
  });
}

/** What each kind of server is asked; a new preset has to be added here. */
const questions: Readonly<Record<string, readonly string[]>> = {
  ollama: ['GET /api/version', 'GET /api/tags', 'GET /api/ps'],
  'llama-cpp': ['GET /health', 'GET /v1/models'],
  localai: ['GET /readyz', 'GET /v1/models'],
  vllm: ['GET /health', 'GET /v1/models'],
  lightllm: ['GET /health', 'GET /v1/models'],
  'lm-studio': ['GET /v1/models'],
  openai: ['GET /v1/models'],
  anthropic: ['GET /v1/models'],
  gemini: ['GET /v1beta/models'],
  // Its list names no deployment: the prober leaves it out.
  'azure-openai': [],
  cohere: ['GET /v1/models'],
  groq: ['GET /openai/v1/models'],
  mistral: ['GET /v1/models'],
  openrouter: ['GET /api/v1/key'],
  'openai-compatible': ['GET /v1/models'],
};

describe('what is asked', () => {
  test.for(presets.map(({ id }) => id))('of %s bills nothing', async (id) => {
    expect((await probe(id)).kind).toBe('success');
    expect(lines()).toEqual(questions[id]);
    expect(lines().filter((line) => !line.startsWith('GET '))).toEqual([]);
  });

  test.for([
    ['openai', 'authorization', `Bearer ${secret}`],
    ['anthropic', 'x-api-key', secret],
    ['gemini', 'x-goog-api-key', secret],
  ] as const)('of %s proves who asks in %s', async ([id, header, value]) => {
    await probe(id, { headers: { 'x-own': 'yes' } });
    expect(asked[0]?.headers).toMatchObject({ [header]: value, 'x-own': 'yes' });
  });

  test('carries no credential where there is none', async () => {
    await probe('vllm', { credential: null });
    expect(asked[0]?.headers.authorization).toBeUndefined();
  });
});

describe('what a server says of its models', () => {
  test('is its context window', async () => {
    expect(await probe('vllm')).toMatchObject({ kind: 'success', models: [{ id: 'm', contextWindow: 4_096 }] });
  });

  test('is, of Ollama, the context that loaded ones were given', async () => {
    answer = at({
      '/api/tags': reply(200, { models: [{ name: 'big:latest' }, { name: 'idle:7b' }] }),
      '/api/ps': reply(200, { models: [{ name: 'big:latest', context_length: 8_192 }] }),
    });
    expect(await probe('ollama')).toMatchObject({
      models: [
        { id: 'big:latest', contextWindow: 8_192, status: 'loaded' },
        { id: 'idle:7b', contextWindow: null, status: 'unloaded' },
      ],
    });
  });

  test.for<[string, string, Record<string, Answer>]>([
    ['fails', 'vllm', { '/v1/models': reply(500, 'boom') }],
    ['is no list', 'llama-cpp', { '/v1/models': reply(200, '<html>') }],
    ['is refused', 'localai', { '/v1/models': reply(401, {}) }],
    ['fails', 'ollama', { '/api/tags': reply(500, 'boom') }],
    ['is no JSON', 'ollama', { '/api/tags': reply(200, 'x'.repeat(100)) }],
    ['is larger than its bound', 'ollama', { '/api/tags': reply(200, `{"models":[],"x":"${'x'.repeat(2 << 20)}"}`) }],
  ])('is a bonus: when it %s, a healthy %s is well', async ([, id, paths]) => {
    answer = at(paths);
    expect(await probe(id)).toMatchObject({ kind: 'success', models: null });
  });

  test('is unknown of models when what Ollama has loaded cannot be read', async () => {
    answer = at({ '/api/ps': (_, response) => void response.destroy() });
    expect(await probe('ollama')).toMatchObject({ models: [{ id: 'm', contextWindow: null, status: null }] });
  });
});

/** What llama.cpp answers while it reads its model. */
const llamaLoading = { error: { code: 503, message: 'Loading model', type: 'unavailable_error' } };

describe('an answer that is not 200', () => {
  test.for<[string, string, Answer, Partial<ProbeResult>]>([
    ['llama.cpp that loads its model is loading', 'llama-cpp', reply(503, llamaLoading), { kind: 'loading' }],
    ['LocalAI that starts is loading', 'localai', reply(503, { status: 'starting' }), { kind: 'loading' }],
    ['a list of models may say that it loads, too', 'lm-studio', reply(503, llamaLoading), { kind: 'loading' }],
    ['a 503 without a reason is a failure', 'vllm', reply(503, ''), { kind: 'failure' }],
    ['a server error is a failure', 'openai', reply(500, { error: {} }), { kind: 'failure' }],
    ['a refused credential says that it is there', 'openai', reply(401, { error: {} }), { kind: 'refused' }],
    ['also of a health path', 'openrouter', reply(401, { error: {} }), { kind: 'refused' }],
    ['so does a limit', 'mistral', reply(429, {}, { 'retry-after': '9' }), { kind: 'refused' }],
    ['a server without the health path is there', 'llama-cpp', reply(404, 'no'), { kind: 'refused' }],
    ['a page instead of a list is a failure', 'lm-studio', reply(200, '<html>'), { kind: 'failure' }],
    ['JSON that is no list is a failure', 'lm-studio', reply(200, { ok: true }), { kind: 'failure' }],
  ])('%s', async ([, id, says, expected]) => {
    answer = says;
    expect(await probe(id)).toMatchObject(expected);
  });

  test.for(['llama-cpp', 'openai'])('a redirect of %s is not followed', async (id) => {
    answer = reply(302, '', { location: `${url}/elsewhere` });
    expect(await probe(id)).toMatchObject({ kind: 'refused', failure: expect.stringContaining('302') });
    expect(lines()).toHaveLength(1);
  });
});

describe('a server that does not answer', () => {
  test.for<[string, Answer]>([
    ['says nothing', () => undefined],
    ['never ends its answer', (_, response) => void response.write('{')],
  ])('and %s is left when the signal says so', async ([, says]) => {
    answer = says;
    for (const id of ['llama-cpp', 'openai']) {
      const stop = new AbortController();
      const running = probe(id, { signal: stop.signal });
      const before = asked.length;
      await expect.poll(() => asked.length, { timeout: 20_000 }).toBeGreaterThan(before);
      stop.abort();
      expect(await running).toMatchObject({ kind: 'failure', failure: 'unreachable (aborted)' });
    }
  });

  test('within its time is unreachable', async () => {
    answer = () => undefined;
    expect(await probe('vllm', { signal: AbortSignal.timeout(50) })).toMatchObject({
      kind: 'failure',
      failure: 'unreachable (aborted)',
    });
  });

  test('because nobody listens is named by the system', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    for (const id of ['vllm', 'openai'])
      expect(await probe(id, { endpoint: `http://127.0.0.1:${port}/v1` })).toMatchObject({
        kind: 'failure',
        failure: 'unreachable (ECONNREFUSED)',
      });
  });

  test('but ends the connection is a failure', async () => {
    answer = (request) => void request.socket.destroy();
    expect((await probe('vllm')).kind).toBe('failure');
    expect((await probe('openai')).kind).toBe('failure');
  });
});

/** An answer without an end, until the other side has enough of it. */
const endless =
  (status: number, counted: { bytes: number; isClosed: boolean }): Answer =>
  (_, response) => {
    response.writeHead(status);
    response.on('close', () => {
      counted.isClosed = true;
    });
    const piece = Buffer.alloc(64 * 1_024, 120);
    const push = () => {
      if (counted.isClosed) return;
      counted.bytes += piece.length;
      // Not at once: what is written to a socket that just ended comes back before its end is told.
      response.write(piece, () => void setImmediate(push));
    };
    push();
  };

test.for([
  ['llama-cpp', 200, 'success'],
  ['llama-cpp', 500, 'failure'],
  ['openai', 200, 'failure'],
] as const)(
  'an answer of %s without an end is left after a bounded part of it (%i: %s)',
  async ([id, status, kind]) => {
    const counted = { bytes: 0, isClosed: false };
    answer = at({ '/v1/models': endless(status, counted), '/health': endless(status, counted) });
    if (kind === 'success') answer = at({ '/health': endless(status, counted) });
    expect((await probe(id)).kind).toBe(kind);
    await expect.poll(() => counted.isClosed, { timeout: 20_000 }).toBe(true);
    // What was read, and what the sockets held on the way.
    expect(counted.bytes).toBeLessThan(64 << 20);
  },
);

test('no failure tells a secret, whatever the server says', async () => {
  const echo = { error: { message: `Incorrect API key: ${secret}`, type: secret, code: secret, param: secret } };
  for (const status of [301, 400, 401, 403, 404, 429, 500, 503])
    for (const id of ['llama-cpp', 'openai', 'anthropic', 'gemini', 'cohere', 'ollama', 'openrouter']) {
      answer = reply(status, echo, { location: `http://${secret}.invalid` });
      const result = await probe(id);
      expect(JSON.stringify(result)).not.toContain(secret);
      expect(result).toMatchObject({ failure: expect.stringMatching(/^HTTP \d{3} [a-z_]+$/) });
    }
});
