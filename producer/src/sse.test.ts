import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { openSse, type SseOptions } from './sse.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** The server's side of one request, and where to send it. */
async function answering(options: SseOptions = {}) {
  const opened = Promise.withResolvers<{ sse: ReturnType<typeof openSse>; response: ServerResponse }>();
  server = createServer((_request, response) => opened.resolve({ sse: openSse(response, options), response }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, opened: opened.promise };
}

test('writes events with and without an id, and says how to be read', async () => {
  const { port, opened } = await answering();
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  const { sse } = await opened;
  await sse.send('delta', { text: 'a\nb' }, 'x-1');
  await sse.send('gap', {});
  sse.end('that is all');
  expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(answer.headers.get('cache-control')).toBe('no-store, no-transform');
  expect(answer.headers.get('x-accel-buffering')).toBe('no');
  expect(await answer.text()).toBe(
    'retry: 1000\n\nid: x-1\nevent: delta\ndata: {"text":"a\\nb"}\n\nevent: gap\ndata: {}\n\n: that is all\n\n',
  );
});

test('sends comments while there is nothing to tell', async () => {
  const { port, opened } = await answering({ keepAliveMs: 5 });
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  let seen = '';
  for await (const chunk of answer.body ?? []) {
    seen += Buffer.from(chunk).toString();
    if (seen.split(': still here\n\n').length > 3) break;
  }
  await once((await opened).sse.gone, 'abort');
  expect(seen).toContain('retry: 1000\n\n: still here\n\n: still here\n\n');
});

test('knows when the client is gone', async () => {
  const { port, opened } = await answering();
  const leaving = new AbortController();
  await fetch(`http://127.0.0.1:${port}/`, { signal: leaving.signal });
  const { sse } = await opened;
  leaving.abort();
  if (!sse.gone.aborted) await once(sse.gone, 'abort');
  await sse.send('delta', { text: 'to nobody' });
  expect(sse.gone.aborted).toBe(true);
});

test('leaves a client that takes nothing, with an error', async () => {
  const { port, opened } = await answering({ drainPatienceMs: 50 });
  const socket = connect(port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nhost: test\r\n\r\n');
  socket.pause();
  const { sse, response } = await opened;
  const closed = once(response, 'close');
  let sent = 0;
  while (!sse.gone.aborted) {
    await sse.send('delta', { text: 'x'.repeat(64 * 1024) });
    sent += 1;
  }
  // It waited for the client after each event that the socket did not take, and held no more.
  expect(response.writableLength).toBeLessThan(2 * 1024 * 1024);
  expect(sent).toBeGreaterThan(1);
  await closed;
  socket.destroy();
});
