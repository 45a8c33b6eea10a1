/** The Redis server of whole-system tests: found, hurt, and gone without a trace. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isRunning } from './process-tree.ts';
import { type RedisServer, type RedisServerOptions, startRedisServer } from './redis-server.ts';
import { askRedis, readInfo } from './redis-server-local.ts';

const variable = 'WAYBILL_TEST_REDIS_URL';
const servers: RedisServer[] = [];
const clients: Redis[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const client of clients.splice(0)) client.disconnect();
  for (const server of servers.splice(0).reverse()) await server.stop();
});

describe('a server of our own', () => {
  it('has its own port and folder, keeps an append-only file, and leaves nothing', async () => {
    const server = await startHere();
    const other = await startHere({ appendonly: false, maxmemory: '64mb', maxmemoryPolicy: 'allkeys-lru' });
    expect(server.source).toMatch(/^(redis|valkey)-server (on PATH|installed for the tests) \(\d+\.\d+\.\d+\)$/);
    expect(new Set([server.url, other.url, 'redis://127.0.0.1:6379']).size).toBe(3);
    expect(await settings(server.url)).toEqual({
      appendonly: 'yes',
      appendfsync: 'everysec',
      save: '',
      maxmemory: '0',
      'maxmemory-policy': 'noeviction',
    });
    expect(await settings(other.url)).toMatchObject({
      appendonly: 'no',
      maxmemory: String(64 * 1024 * 1024),
      'maxmemory-policy': 'allkeys-lru',
    });
    const pid = await processId(server.url);
    await Promise.all([server.stop(), server.stop()]);
    expect(isRunning(pid)).toBe(false);
    expect(existsSync(dirname(server.control.directory))).toBe(false);
    await expect(server.control.start()).rejects.toThrow(/stopped for good/);
    expect(await askRedis(other.url, (redis) => redis.ping())).toBe('PONG');
  });

  it('has its data after kill -9 and a start, under the same URL', async () => {
    const { url, control } = await startHere({ appendfsync: 'always' });
    const pid = await processId(url);
    await askRedis(url, (redis) => redis.set('kept', 'yes'));
    await control.kill();
    expect(isRunning(pid)).toBe(false);
    await expect(askRedis(url, (redis) => redis.ping())).rejects.toThrow();
    await control.kill();
    expect(() => control.freeze()).toThrow(/does not run/);
    await control.start();
    expect(await askRedis(url, (redis) => redis.get('kept'))).toBe('yes');
    expect(await processId(url)).not.toBe(pid);
    await expect(async () => control.start()).rejects.toThrow(/runs already/);
  });

  it('answers nothing while it is frozen, and goes on on the same connection when it is thawed', async () => {
    const { url, control } = await startHere();
    const patient = client(url);
    const impatient = client(url, 100);
    await Promise.all([patient.set('key', 'value'), impatient.ping()]);
    const pid = await processId(url);
    control.freeze();
    const answer = patient.get('key');
    await expect(impatient.ping()).rejects.toThrow(/timed out/);
    control.thaw();
    expect(await answer).toBe('value');
    expect(await impatient.ping()).toBe('PONG');
    expect(await processId(url)).toBe(pid);
  });

  it.each(['frozen', 'killed'])('leaves nothing when it is stopped while %s', async (state) => {
    const server = await startHere();
    const pid = await processId(server.url);
    if (state === 'frozen') server.control.freeze();
    else await server.control.kill();
    await server.stop();
    expect(isRunning(pid)).toBe(false);
    expect(existsSync(dirname(server.control.directory))).toBe(false);
  });

  it('speaks TLS alone when asked to, with a certificate that must be trusted', async (context) => {
    const started = startHere({ tls: true });
    const reason = await started.then(
      () => undefined,
      (error: unknown) => /\S+ was built without TLS/.exec(String(error))?.[0],
    );
    if (reason !== undefined) context.skip(reason);
    const { url, caFile } = await started;
    expect(url).toMatch(/^rediss:\/\/127\.0\.0\.1:\d+$/);
    const port = Number(new URL(url).port);
    const ca = readFileSync(caFile ?? '');
    expect(await askRedis({ port, tls: { ca } }, (redis) => redis.ping())).toBe('PONG');
    await expect(askRedis({ port, tls: {} }, (redis) => redis.ping())).rejects.toThrow();
    await expect(askRedis({ port }, (redis) => redis.ping())).rejects.toThrow();
  });
});

describe('a server that is there already', () => {
  it('is used as it is and left as it is, except where a test needs its own', async () => {
    const host = await startHere();
    vi.stubEnv(variable, host.url);
    const server = await startRedisServer();
    expect(server).toMatchObject({ url: host.url, control: null, caFile: null });
    expect(server.source).toMatch(/^WAYBILL_TEST_REDIS_URL \(\d+\.\d+\.\d+\)$/);
    await askRedis(server.url, (redis) => redis.set('kept', 'yes'));
    await server.stop();
    expect(await askRedis(host.url, (redis) => redis.get('kept'))).toBe('yes');
    for (const options of [{ controllable: true }, { appendonly: false }, { maxmemory: '64mb' }]) {
      const own = await startRedisServer(options);
      servers.push(own);
      expect(own.url).not.toBe(host.url);
    }
  });

  it('is not replaced by another when it does not answer', async () => {
    vi.stubEnv(variable, 'redis://127.0.0.1:1');
    await expect(startRedisServer()).rejects.toThrow(/WAYBILL_TEST_REDIS_URL[\s\S]*PATH.*not tried/);
  });
});

describe('no server at all', () => {
  it('is one error that names every way to get one', async () => {
    vi.stubEnv(variable, undefined);
    vi.stubEnv('PATH', '');
    vi.stubEnv('DOCKER_HOST', 'unix:///nowhere/docker.sock');
    const error = await startRedisServer().catch(String);
    expect(error).toContain(`set ${variable}`);
    expect(error).toContain('neither `redis-server` nor `valkey-server` is on PATH');
    expect(error).toContain('no Docker engine: none of /nowhere/docker.sock exists');
    expect(error).toMatch(/only root may install packages|none of apt-get, apk, dnf is on PATH/);
  });
});

describe('a process that never calls stop', () => {
  it.each(['exit', 'SIGTERM', 'SIGKILL'])('takes its servers with it on %s, frozen ones too', async (end) => {
    const code = `
      import { startRedisServer } from ${JSON.stringify(new URL('./redis-server.ts', import.meta.url))};
      const servers = [await startRedisServer({ controllable: true }), await startRedisServer({ controllable: true })];
      servers[1].control.freeze();
      console.log(JSON.stringify(servers.map(({ control }) => control.directory)));
      process.stdin.resume().once('end', () => process.exit(0));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
    const line = await new Promise<string>((resolve) => child.stdout.once('data', (text) => resolve(String(text))));
    const directories = JSON.parse(line) as string[];
    expect(directories.map((directory) => existsSync(directory))).toEqual([true, true]);
    if (end === 'exit') child.stdin.end();
    else child.kill(end as NodeJS.Signals);
    await expect.poll(() => directories.some((each) => existsSync(dirname(each))), { timeout: 30_000 }).toBe(false);
  });
});

async function startHere(options: RedisServerOptions = {}) {
  const server = await startRedisServer({ ...options, controllable: true });
  servers.push(server);
  return server;
}

function client(url: string, commandTimeout?: number): Redis {
  const redis = new Redis(url, commandTimeout === undefined ? {} : { commandTimeout });
  redis.on('error', () => undefined);
  clients.push(redis);
  return redis;
}

async function settings(url: string): Promise<Record<string, string>> {
  const names = ['appendonly', 'appendfsync', 'save', 'maxmemory', 'maxmemory-policy'];
  return askRedis(url, async (redis) => {
    const pairs = await Promise.all(names.map((name) => redis.config('GET', name) as Promise<string[]>));
    return Object.fromEntries(pairs.map(([name, value]) => [name, value]));
  });
}

const processId = (url: string): Promise<number> =>
  askRedis(url, async (redis) => Number(readInfo(await redis.info('server'), 'process_id')));
