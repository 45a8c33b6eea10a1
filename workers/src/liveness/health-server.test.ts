import { afterEach, expect, test } from 'vitest';
import { startHealthServer } from './health-server.ts';

const state = { stuck: [] as string[], isReady: true };
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  Object.assign(state, { stuck: [], isReady: true });
  for (const stop of stops.splice(0)) await stop();
});

async function start() {
  const health = { stuck: () => state.stuck, isReady: async () => state.isReady };
  const { url, stop } = await startHealthServer('127.0.0.1', 0, '1.2.3', health);
  stops.push(() => stop(0));
  return async (path: string, method = 'GET') => {
    const response = await fetch(`${url}${path}`, { method });
    const text = await response.text();
    return {
      status: response.status,
      body: text === '' ? null : JSON.parse(text),
      cache: response.headers.get('cache-control'),
    };
  };
}

test('a worker that makes progress is healthy; one that is stuck says where', async () => {
  const ask = await start();
  expect(await ask('/healthz')).toEqual({ status: 200, body: { status: 'ok', version: '1.2.3' }, cache: 'no-store' });
  state.stuck = ['openai'];
  expect(await ask('/healthz')).toMatchObject({ status: 503, body: { status: 'stuck', queues: ['openai'] } });
});

test('a worker is ready when it can work, whether it is stuck or not', async () => {
  const ask = await start();
  expect(await ask('/readyz')).toMatchObject({ status: 200, body: { status: 'ready' } });
  state.isReady = false;
  expect(await ask('/readyz')).toMatchObject({ status: 503, body: { status: 'not ready' } });
});

test('it answers nothing else', async () => {
  const ask = await start();
  expect((await ask('/')).status).toBe(404);
  expect((await ask('/v1/jobs')).status).toBe(404);
  expect((await ask('/healthz', 'POST')).status).toBe(405);
  expect(await ask('/healthz', 'HEAD')).toMatchObject({ status: 200, body: null });
});

test('a port that is taken is a problem that says so', async () => {
  const { port, stop } = await startHealthServer('127.0.0.1', 0, '1', { stuck: () => [], isReady: async () => true });
  stops.push(() => stop(0));
  const second = startHealthServer('127.0.0.1', port, '1', { stuck: () => [], isReady: async () => true });
  await expect(second).rejects.toMatchObject({ code: 'port_in_use' });
});
