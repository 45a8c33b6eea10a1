/** Calls that break: time limits, dead hosts, cut connections, answers without end, and our own stop. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Answer } from '../chat/response.ts';
import type { FailureKind } from '../domain/failure.ts';
import type { DialectName } from './dialect.ts';
import { readingOf } from './fixture-call.ts';
import {
  type CallResult,
  createTransport,
  maxAnswerBytes,
  type StopReason,
  type Timeouts,
  toFailure,
} from './transport.ts';

type Handler = (response: ServerResponse, request: IncomingMessage) => void;
const longTimeouts: Timeouts = { connectMs: 2_000, firstByteMs: 30_000, idleMs: 30_000, totalMs: 60_000 };
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function startServer(handler: Handler) {
  const state = { requests: 0, closed: Promise.withResolvers<void>(), bytes: 0 };
  const server = createServer((request, response) => {
    state.requests += 1;
    request.resume();
    response.on('close', () => state.closed.resolve());
    request.on('end', () => handler(response, request));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/x` };
}

interface CallOptions {
  readonly dialect?: DialectName;
  readonly stream?: boolean;
  readonly timeouts?: Partial<Timeouts>;
  readonly signal?: AbortSignal;
}
function call(
  url: string,
  { dialect = 'openai', stream = false, timeouts = {}, signal }: CallOptions = {},
): Promise<CallResult<Answer>> {
  const transport = createTransport({ connections: 4, connectMs: timeouts.connectMs ?? 2_000 });
  stops.push(() => transport.close());
  return transport.call({ url, headers: {}, body: '{}', warnings: [] }, readingOf(dialect), {
    stream,
    timeouts: { ...longTimeouts, ...timeouts },
    signal: signal ?? new AbortController().signal,
  });
}

const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
const begin = (response: ServerResponse, contentType: string, text: string, then: () => void = () => undefined) => {
  response.writeHead(200, { 'content-type': contentType });
  response.write(text, then);
};

test.for<[string, Handler, CallOptions, object]>([
  [
    'no first byte in time',
    () => undefined,
    { timeouts: { firstByteMs: 200 } },
    { kind: 'timeout', message: 'no first byte within the limit', httpStatus: null },
  ],
  [
    'silence in the middle of an answer',
    (response) => begin(response, 'application/json', '{"choices":['),
    { timeouts: { idleMs: 200 } },
    { kind: 'timeout', message: 'no byte within the idle limit', httpStatus: 200 },
  ],
  [
    'silence in the middle of a stream',
    (response) => begin(response, 'text/event-stream', chunk('Hi')),
    { stream: true, timeouts: { idleMs: 200 } },
    { kind: 'timeout', message: 'no byte within the idle limit', httpStatus: 200 },
  ],
  [
    'silence in the middle of an error',
    (response) => {
      response.writeHead(500, { 'content-type': 'application/json' });
      response.write('{"error":');
    },
    { timeouts: { idleMs: 200 } },
    { kind: 'timeout', httpStatus: 500 },
  ],
  ['a reset before the headers', (response) => response.destroy(), {}, { kind: 'network', httpStatus: null }],
  [
    'an answer cut off',
    (response) => begin(response, 'application/json', '{"choices":[', () => response.destroy()),
    {},
    { kind: 'stream_interrupted', httpStatus: 200 },
  ],
  [
    'a stream cut off',
    (response) => begin(response, 'text/event-stream', chunk('Hi'), () => response.destroy()),
    { stream: true },
    { kind: 'stream_interrupted', httpStatus: 200 },
  ],
  [
    'an answer that ends cleanly in its middle',
    (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[{"mess'),
    {},
    { kind: 'stream_interrupted', message: 'the answer was cut off', httpStatus: 200 },
  ],
  [
    'bytes that are not HTTP',
    (response) => response.socket?.end('garbage\r\n\r\n'),
    {},
    { kind: 'network', httpStatus: null },
  ],
])('%s is a failure after exactly one request', async ([, handler, options, expected]) => {
  const { state, url } = await startServer(handler);
  const result = await call(url, options);
  expect(result).toMatchObject({ kind: 'failure', failure: expected, meta: { isSent: true } });
  await state.closed.promise;
  expect(state.requests).toBe(1);
});

test('what arrived before a stream broke is kept for the bill', async () => {
  const start = { type: 'message_start', message: { id: 'msg_1', usage: { input_tokens: 9, output_tokens: 1 } } };
  const text = `data: ${JSON.stringify(start)}\n\n`;
  const { url } = await startServer((response) => begin(response, 'text/event-stream', text, () => response.destroy()));
  const result = await call(url, { dialect: 'anthropic', stream: true });
  expect(result).toMatchObject({
    kind: 'failure',
    failure: { kind: 'stream_interrupted' },
    partial: { providerId: 'msg_1', usage: { inputTokens: 9, outputTokens: 1 } },
  });
});

async function closedPort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a refused connection is free: nothing was sent', async () => {
  expect(await call(`http://127.0.0.1:${await closedPort()}/v1/x`)).toMatchObject({
    kind: 'failure',
    failure: { kind: 'network', message: 'the provider could not be reached (ECONNREFUSED)', httpStatus: null },
    meta: { isSent: false, httpStatus: null, firstByteMs: null, requestId: null },
  });
});

test('a name that does not exist is free: nothing was sent', async () => {
  expect(await call('http://nowhere.invalid/v1/x')).toMatchObject({
    kind: 'failure',
    failure: { kind: 'network' },
    meta: { isSent: false },
  });
});

/** Writes for as long as somebody reads. */
const endless =
  (status: number, contentType: string, first: string, piece: string, state: { written: number }): Handler =>
  (response) => {
    response.writeHead(status, { 'content-type': contentType });
    response.write(first);
    const more = () => {
      while (!response.destroyed && response.write(piece)) state.written += piece.length;
      state.written += piece.length;
    };
    response.on('drain', more);
    more();
  };

test.for<[string, string, string, string, CallOptions]>([
  ['a JSON answer', 'application/json', '{"x":"', 'x'.repeat(64 * 1024), {}],
  ['a stream', 'text/event-stream', '', chunk('x'.repeat(60 * 1024)), { stream: true }],
  ['one line of a stream', 'text/event-stream', 'data: ', 'x'.repeat(64 * 1024), { stream: true }],
  ['one line of JSON', 'application/x-ndjson', '{"x":"', 'x'.repeat(64 * 1024), { dialect: 'ollama', stream: true }],
])(
  '%s without end is given up at a bound, and its connection closed',
  async ([, contentType, first, piece, options]) => {
    const sent = { written: 0 };
    const { state, url } = await startServer(endless(200, contentType, first, piece, sent));
    expect(await call(url, options)).toMatchObject({
      kind: 'failure',
      failure: { kind: 'bad_output', httpStatus: 200 },
    });
    await state.closed.promise;
    expect(sent.written).toBeLessThan(2 * maxAnswerBytes);
  },
);

test('an error without end is read to a bound, and still classified', async () => {
  const sent = { written: 0 };
  const { state, url } = await startServer(endless(429, 'text/plain', '', 'x'.repeat(16 * 1024), sent));
  expect(await call(url)).toMatchObject({ kind: 'failure', failure: { kind: 'rate_limit', httpStatus: 429 } });
  await state.closed.promise;
  expect(sent.written).toBeLessThan(maxAnswerBytes);
});

const reasons: StopReason[] = ['cancelled', 'shutdown', 'lost_lease', 'total_timeout'];
test.for(reasons)(
  'stopped by "%s" before the first byte: the reason comes back and the connection closes',
  async (reason) => {
    const stop = new AbortController();
    const { state, url } = await startServer(() => stop.abort(reason));
    expect(await call(url, { signal: stop.signal })).toMatchObject({ kind: 'stopped', reason });
    await state.closed.promise;
    expect(state.requests).toBe(1);
  },
);

test.for(reasons)(
  'stopped by "%s" inside a stream: the reason comes back and the connection closes',
  async (reason) => {
    const stop = new AbortController();
    const { state, url } = await startServer((response) =>
      begin(response, 'text/event-stream', chunk('Hi'), () => stop.abort(reason)),
    );
    expect(await call(url, { stream: true, signal: stop.signal })).toMatchObject({ kind: 'stopped', reason });
    await state.closed.promise;
  },
);

test('stopped before it began, a call sends nothing', async () => {
  const { state, url } = await startServer((response) => response.end());
  expect(await call(url, { signal: AbortSignal.abort('shutdown') })).toMatchObject({
    kind: 'stopped',
    reason: 'shutdown',
  });
  expect(state.requests).toBe(0);
});

test('our own stop is never the failure of a provider, even when both come at once', async () => {
  const stop = new AbortController();
  const { url } = await startServer((response) => {
    stop.abort('cancelled');
    response.destroy();
  });
  expect(await call(url, { signal: stop.signal })).toMatchObject({ kind: 'stopped', reason: 'cancelled' });
});

const coded = (code: string) => Object.assign(new Error('to https://user:pass@host'), { code });
test.for<[string, Error, number | null, FailureKind, string]>([
  ['an unknown error', new Error('boom with a prompt'), null, 'network', 'the provider could not be reached'],
  [
    'a socket error',
    coded('UND_ERR_SOCKET'),
    200,
    'stream_interrupted',
    'the connection ended inside the answer (UND_ERR_SOCKET)',
  ],
  ['a code that is a text', coded('see https://x'), null, 'network', 'the provider could not be reached'],
])('%s is told in our own words', ([, error, status, kind, message]) => {
  expect(toFailure(error, status)).toEqual({ kind, message, httpStatus: status, retryAfterMs: null });
});
