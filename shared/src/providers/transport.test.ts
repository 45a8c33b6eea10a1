/** Calls that are answered, against a real server on loopback. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { FailureKind } from '../domain/failure.ts';
import type { DialectName } from './dialect.ts';
import { readingOf } from './fixture-call.ts';
import { createTransport, type Timeouts } from './transport.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;
const timeouts: Timeouts = { connectMs: 2_000, firstByteMs: 10_000, idleMs: 10_000, totalMs: 60_000 };
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function startServer(handler: Handler) {
  const seen: { method: string | undefined; headers: IncomingMessage['headers']; body: string }[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    seen.push({ method: request.method, headers: request.headers, body });
    handler(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/x`, seen };
}

interface CallOptions {
  readonly dialect?: DialectName;
  readonly stream?: boolean;
  readonly now?: () => number;
}
async function callOf(handler: Handler, { dialect = 'openai', stream = false, now = Date.now }: CallOptions = {}) {
  const server = await startServer(handler);
  const transport = createTransport({ connections: 4, connectMs: 2_000, now });
  stops.push(() => transport.close());
  const http = {
    url: server.url,
    headers: { 'content-type': 'application/json', 'x-test': '1' },
    body: '{"a":"é"}',
    warnings: [],
  };
  const result = await transport.call(http, readingOf(dialect), {
    stream,
    timeouts,
    signal: new AbortController().signal,
  });
  return { result, seen: server.seen };
}

const send =
  (contentType: string, body: string | Buffer, status = 200, headers: Record<string, string> = {}): Handler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': contentType, ...headers });
    response.end(body);
  };
const json = (value: unknown, status?: number, headers?: Record<string, string>) =>
  send('application/json; charset=utf-8', JSON.stringify(value), status, headers);

const openai = {
  id: 'chatcmpl-1',
  model: 'm',
  choices: [{ message: { content: 'Grüße' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 2 },
};
const chunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', model: 'm', choices: [{ delta, finish_reason: finish }] })}\n\n`;
const sse = `${chunk({ content: 'Grü' })}${chunk({ content: 'ße' })}${chunk({}, 'stop')}data: [DONE]\n\n`;
const ndjson =
  '{"message":{"content":"Grü"},"done":false}\n{"message":{"content":"ße"},"done":true,"done_reason":"stop"}\n';

test('a call is one POST with the body and headers as they are, and its answer comes back with what is known of it', async () => {
  let nowMs = 1_000;
  const { result, seen } = await callOf(
    (request, response, body) => {
      nowMs += 250;
      json(openai, 200, { 'x-request-id': 'req_1' })(request, response, body);
    },
    { now: () => nowMs },
  );
  expect(result).toMatchObject({
    kind: 'answer',
    answer: { text: 'Grüße', usage: { inputTokens: 9, outputTokens: 2 } },
    meta: { firstByteMs: 250, httpStatus: 200, requestId: 'req_1', isSent: true },
  });
  expect(seen).toMatchObject([{ method: 'POST', headers: { 'x-test': '1' }, body: '{"a":"é"}' }]);
});

test.for(['x-request-id', 'request-id', 'apim-request-id'])('the id of the request is read from %s', async (header) => {
  const { result } = await callOf(json(openai, 200, { [header]: 'req_1' }));
  expect(result.meta.requestId).toBe('req_1');
});

test.for<[string, Handler, CallOptions]>([
  ['server-sent events', send('text/event-stream', sse), {}],
  ['events with CRLF', send('text/event-stream', sse.replaceAll('\n', '\r\n')), {}],
  ['events without a content type', send('', sse), {}],
  ['lines of JSON', send('application/x-ndjson', ndjson), { dialect: 'ollama' }],
  ['a whole JSON answer to a stream request', json(openai), {}],
])('a stream is read: %s', async ([, handler, options]) => {
  const { result, seen } = await callOf(handler, { ...options, stream: true });
  expect(result).toMatchObject({ kind: 'answer', answer: { text: 'Grüße', finishReason: 'stop' } });
  expect(seen).toHaveLength(1);
});

test('a stream whose characters are split between packets is read whole', async () => {
  const bytes = Buffer.from(sse);
  const { result } = await callOf(
    async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const byte of bytes) await new Promise((resolve) => response.write(Uint8Array.of(byte), resolve));
      response.end();
    },
    { stream: true },
  );
  expect(result).toMatchObject({ kind: 'answer', answer: { text: 'Grüße' } });
});

test.for<[string, Handler, FailureKind, CallOptions]>([
  ['an error document', json({ error: { code: 429, message: 'slow' } }), 'rate_limit', {}],
  [
    'an error document to a stream request',
    json({ error: { code: 429, message: 'slow' } }),
    'rate_limit',
    { stream: true },
  ],
  [
    'an error document under the content type of a stream',
    send('text/event-stream', JSON.stringify({ error: { code: 429, message: 'slow' } })),
    'rate_limit',
    { stream: true },
  ],
  [
    'an error event',
    send('text/event-stream', `${chunk({ content: 'H' })}data: {"error":{"code":503,"message":"x"}}\n\n`),
    'overloaded',
    { stream: true },
  ],
  [
    "Anthropic's error event",
    send(
      'text/event-stream',
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n',
    ),
    'overloaded',
    { dialect: 'anthropic', stream: true },
  ],
  [
    "Ollama's error line",
    send('application/x-ndjson', '{"message":{"content":"H"},"done":false}\n{"error":"it broke"}\n'),
    'server_error',
    { dialect: 'ollama', stream: true },
  ],
  ['an empty answer', json({ choices: [{ message: { content: '' }, finish_reason: 'stop' }] }), 'bad_output', {}],
  [
    'an empty stream of text',
    send('text/event-stream', `${chunk({}, 'stop')}data: [DONE]\n\n`),
    'bad_output',
    { stream: true },
  ],
  ['an empty body', json(undefined), 'stream_interrupted', {}],
  [
    'a stream without its end',
    send('text/event-stream', chunk({ content: 'H' })),
    'stream_interrupted',
    { stream: true },
  ],
  ['a page of HTML', send('text/html; charset=utf-8', '<!doctype html><title>Sign in</title>'), 'config', {}],
  ['a page of HTML to a stream request', send('text/html', '<html></html>'), 'config', { stream: true }],
  ['text that is no JSON', send('application/json', 'Service healthy'), 'bad_output', {}],
  [
    'JSON that nests too deep',
    send('application/json', '{"a":'.repeat(5_000) + '1'.concat('}'.repeat(5_000))),
    'bad_output',
    {},
  ],
  [
    'an event that nests too deep',
    send('text/event-stream', `data: ${'['.repeat(5_000)}${']'.repeat(5_000)}\n\n`),
    'bad_output',
    { stream: true },
  ],
])('inside HTTP 200, %s is a failure', async ([, handler, kind, options]) => {
  const { result, seen } = await callOf(handler, options);
  expect(result).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 }, meta: { isSent: true } });
  expect(seen).toHaveLength(1);
});

test.for<[string, number, unknown, Record<string, string>, object]>([
  [
    'a rate limit',
    429,
    { error: { message: 'slow' } },
    { 'retry-after': '3' },
    { kind: 'rate_limit', retryAfterMs: 3_000 },
  ],
  ['an overload', 503, {}, {}, { kind: 'overloaded', retryAfterMs: null }],
  ['a bad credential', 401, { error: { code: 'invalid_api_key' } }, {}, { kind: 'auth' }],
  ['a refused request', 400, { error: { message: 'x' } }, {}, { kind: 'invalid_request' }],
  ['a broken server', 500, 'oops', {}, { kind: 'server_error' }],
])('%s is read by its dialect, once, streamed or not', async ([, status, body, headers, expected]) => {
  for (const stream of [false, true]) {
    const { result, seen } = await callOf(json(body, status, headers), { stream });
    expect(result).toMatchObject({
      kind: 'failure',
      failure: { httpStatus: status, ...expected },
      meta: { httpStatus: status },
    });
    expect(seen).toHaveLength(1);
  }
});

test('a redirect is not followed', async () => {
  const { result, seen } = await callOf((_request, response) => {
    response.writeHead(307, { location: '/v1/elsewhere' });
    response.end();
  });
  expect(result).toMatchObject({ kind: 'failure', failure: { httpStatus: 307 } });
  expect(seen).toHaveLength(1);
});

test('a failure keeps nothing of the text the provider sent', async () => {
  const secrets = { error: { message: 'you sent "my prompt" with sk-live-1', code: 'bad' } };
  for (const status of [200, 400]) {
    const { result } = await callOf(json(secrets, status));
    expect(JSON.stringify(result)).not.toMatch(/my prompt|sk-live/);
  }
});

test('a page of HTML leaves its socket usable for the next call', async () => {
  let calls = 0;
  const sockets = new Set<unknown>();
  const server = await startServer((request, response, body) => {
    sockets.add(request.socket);
    calls += 1;
    (calls === 1 ? send('text/html', '<html></html>') : json(openai))(request, response, body);
  });
  const transport = createTransport({ connections: 1, connectMs: 2_000 });
  stops.push(() => transport.close());
  const call = () =>
    transport.call({ url: server.url, headers: {}, body: '{}', warnings: [] }, readingOf('openai'), {
      stream: false,
      timeouts,
      signal: new AbortController().signal,
    });
  expect((await call()).kind).toBe('failure');
  expect((await call()).kind).toBe('answer');
  expect(sockets.size).toBe(1);
});
