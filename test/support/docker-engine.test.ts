/** Whether there is a Docker engine is found out in a bounded time, with an engine that a test plays. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { checkDockerEngine } from './docker-engine.ts';

const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const end of ends.splice(0)) await end();
});

describe('a Docker engine', () => {
  it('is there when it answers a ping', async () => {
    const asked: (string | undefined)[] = [];
    await playEngine((request, response) => {
      asked.push(request.url);
      response.end('OK');
    });
    await checkDockerEngine();
    expect(asked).toEqual(['/_ping']);
  });

  it.each<[string, RequestListener]>([
    ['refuses', (_, response) => response.writeHead(503).end()],
    ['hangs', () => undefined],
  ])('is not there when it %s', async (_, answer) => {
    await playEngine(answer);
    await expect(checkDockerEngine()).rejects.toThrow(/no Docker engine answers at .*docker\.sock/);
  });

  it('is not there without its socket', async () => {
    vi.stubEnv('DOCKER_HOST', 'unix:///nowhere/docker.sock');
    await expect(checkDockerEngine()).rejects.toThrow('no Docker engine: none of /nowhere/docker.sock exists');
  });

  it('may be on the network', async () => {
    const server = createSocketServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    vi.stubEnv('DOCKER_HOST', `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await checkDockerEngine();
    server.close();
    await once(server, 'close');
    await expect(checkDockerEngine()).rejects.toThrow(/no Docker engine answers at tcp:/);
  });
});

async function playEngine(answer: RequestListener): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'waybill-docker-'));
  const path = join(folder, 'docker.sock');
  const server = createServer(answer).listen(path);
  await once(server, 'listening');
  vi.stubEnv('DOCKER_HOST', `unix://${path}`);
  ends.push(async () => {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
}
