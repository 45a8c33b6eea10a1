/** How a process finds its Redis, and which ones it refuses. */
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { checkInfo, checkRedis } from '@waybill/shared/redis/check-redis.ts';
import { connectRedis, createRedisClient, type RedisClient } from '@waybill/shared/redis/connect.ts';
import { describeRedis, parseRedisAddress } from '@waybill/shared/redis/redis-address.ts';
import { afterAll, describe, expect, it } from 'vitest';
import { openRedisClient, redisAddress } from '../support/redis-clients.ts';
import { type RedisServer, type RedisServerOptions, startRedisServer } from '../support/redis-server.ts';
import { startRedisCluster } from '../support/redis-server-cluster.ts';
import { askRedis } from '../support/redis-server-local.ts';
import { startRedisSentinel } from '../support/redis-server-sentinel.ts';
import { findFreePort } from '../support/server-port.ts';

const servers: { stop(): Promise<void> }[] = [];
const clients: RedisClient[] = [];
// At the end of all: some run beside each other.
afterAll(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  for (const server of servers.splice(0).reverse()) await server.stop();
});

async function stopped<Server extends { source: string; stop(): Promise<void> }>(
  start: Promise<Server>,
): Promise<Server> {
  const server = await start;
  servers.push(server);
  console.info(`The Redis under test: ${server.source}`);
  return server;
}

const startHere = (options: RedisServerOptions = {}): Promise<RedisServer> => stopped(startRedisServer(options));

async function check(url: string): Promise<string[]> {
  const client = await openRedisClient(url, 'command');
  clients.push(client);
  return checkRedis(client, redisAddress(url));
}

/** Connects as a process does at its start, and says how that ended. */
async function connect(url: string): Promise<{ code: string; message: string }> {
  const client = createRedisClient(redisAddress(url), 'command');
  clients.push(client);
  return connectRedis(client, redisAddress(url)).then(
    () => ({ code: 'connected', message: '' }),
    ({ code, message }) => ({ code, message }),
  );
}

describe('an address', () => {
  const plain = {
    kind: 'single',
    hosts: [{ host: 'h', port: 6379 }],
    isTls: false,
    username: null,
    password: null,
    database: 0,
    master: null,
  };
  const two = (port: number) => [
    { host: 'a', port },
    { host: 'b', port: 7 },
  ];
  it.each([
    ['redis://h', {}],
    ['redis://h/', {}],
    ['  redis://h:6379/0  ', {}],
    ['REDIS://h', {}],
    ['valkey://h', {}],
    ['rediss://h:6380/3', { isTls: true, hosts: [{ host: 'h', port: 6380 }], database: 3 }],
    ['valkeys://h', { isTls: true }],
    ['redis://user:p%40ss%2Fword@h', { username: 'user', password: 'p@ss/word' }],
    ['redis://:secret@h', { password: 'secret' }],
    ['redis://user@h', { username: 'user' }],
    ['redis://@h', {}],
    ['redis://:a:b@h', { password: 'a:b' }],
    ['redis://[::1]:6380', { hosts: [{ host: '::1', port: 6380 }] }],
    ['redis://10.0.0.1', { hosts: [{ host: '10.0.0.1', port: 6379 }] }],
    ['redis+sentinel://a,b:7/mymaster', { kind: 'sentinel', hosts: two(26_379), master: 'mymaster' }],
    [
      'redis+sentinel://a,b:7/my%20master/2',
      { kind: 'sentinel', hosts: two(26_379), master: 'my master', database: 2 },
    ],
    ['rediss+cluster://a,b:7', { kind: 'cluster', hosts: two(6379), isTls: true }],
    [
      'redis+cluster://user:secret@a,b:7/0',
      { kind: 'cluster', hosts: two(6379), username: 'user', password: 'secret' },
    ],
  ])('%s is understood', (text, change) => {
    expect(parseRedisAddress(text)).toEqual({ kind: 'ok', address: { ...plain, ...change } });
  });

  it.each([
    '',
    'h:6379',
    'http://h',
    'redis:h',
    'redis://',
    'redis:///0',
    'redis://h:0',
    'redis://h:65536',
    'redis://h:123456',
    'redis://h:port',
    'redis://a,b',
    'redis://a,,b',
    'redis+cluster://a,,b',
    'redis://h/x',
    'redis://h/-1',
    'redis://h/1.5',
    'redis://h/0/1',
    'redis://h?db=1',
    'redis+cluster://h/1',
    'redis+sentinel://h',
    'redis+sentinel://h/master/x',
    'redis+sentinel://h/%E0%A4%A',
    'redis+sentinel://h/%/0',
    'redis+other://h/master',
    'redis://%zz:secret@h',
    'redis://user:%E0%A4%A@h',
    'redis://[::1',
    'redis://h h',
  ])('%j is a fault, told without a secret', (text) => {
    const result = parseRedisAddress(text);
    expect(result).toEqual({ kind: 'fault', why: expect.stringMatching(/\w/) });
    expect(JSON.stringify(result)).not.toContain('secret');
  });

  it.each([
    ['redis://user:secret@h', 'redis://h:6379'],
    ['rediss://:secret@h:1/2', 'rediss://h:1/2'],
    ['redis+sentinel://user:secret@a,b:7/mymaster/2', 'redis+sentinel://a:26379,b:7/mymaster/2'],
    ['rediss+cluster://user:secret@a,b:7', 'rediss+cluster://a:6379,b:7'],
  ])('%s is printed as %s', (text, printed) => {
    expect(describeRedis(redisAddress(text))).toBe(printed);
  });
});

describe('a server', () => {
  it('that keeps what it is told is taken without a warning', async () => {
    expect(await check((await startHere()).url)).toEqual([]);
  });

  it('that may drop keys is refused, and the setting named', async () => {
    const { url } = await startHere({ maxmemoryPolicy: 'allkeys-lru' });
    await expect(check(url)).rejects.toMatchObject({
      code: 'redis_unsafe',
      message: expect.stringMatching(/maxmemory-policy is "allkeys-lru".*noeviction/),
    });
  });

  it('that forgets at a restart is taken with one warning', async () => {
    const warnings = await check((await startHere({ appendonly: false })).url);
    expect(warnings).toEqual([expect.stringContaining('appendonly yes')]);
  });

  it('that is a replica is refused', async () => {
    const master = await startHere();
    const replica = await startHere({ appendonly: true });
    const { hostname, port } = new URL(master.url);
    await askRedis(replica.url, (redis) => redis.replicaof(hostname, port));
    await expect(check(replica.url)).rejects.toMatchObject({
      code: 'redis_unsafe',
      message: expect.stringContaining('replica'),
    });
  });

  it.each(['6.0.20', '5.0.14', '2.8.0', '0', ''])('of version %j is refused', (version) => {
    const info = new Map([
      ['redis_version', version],
      ['maxmemory_policy', 'noeviction'],
    ]);
    expect(() => checkInfo(info, 'redis://h')).toThrow(expect.objectContaining({ code: 'redis_unsafe' }));
  });

  it.each(['6.2.0', '7.0.15', '8.4.0', '10.0.0'])('of version %j is taken', (version) => {
    const info = new Map([
      ['redis_version', version],
      ['maxmemory_policy', 'noeviction'],
      ['aof_enabled', '1'],
      ['role', 'master'],
    ]);
    expect(checkInfo(info, 'redis://h')).toEqual([]);
  });

  it('of a Cluster is looked at like any other', async () => {
    const cluster = await stopped(startRedisCluster());
    expect(await check(cluster.url)).toEqual([]);
    const [, second, third] = cluster.nodes;
    for (const { url } of [second, third].filter((node) => node !== undefined))
      await askRedis(url, (redis) => redis.config('SET', 'appendonly', 'no'));
    expect(await check(cluster.url)).toHaveLength(1);
    await askRedis(third?.url ?? '', (redis) => redis.config('SET', 'maxmemory-policy', 'volatile-ttl'));
    await expect(check(cluster.url)).rejects.toMatchObject({ code: 'redis_unsafe' });
  });

  it('that Sentinels name is found, in both its uses', async () => {
    const group = await stopped(startRedisSentinel());
    expect(await check(group.url)).toEqual([]);
    const client = await openRedisClient(group.url, 'worker');
    clients.push(client);
    expect(await client.set('key', 'value')).toBe('OK');
  });
});

// Each waits for the ten seconds that a start takes to give up: beside each other.
describe.concurrent('a server that cannot be used', () => {
  it('is one error within a bound, that names it and no secret', { timeout: 45_000 }, async () => {
    const [server, frozen, group] = await Promise.all([
      startHere(),
      stopped(startRedisServer({ controllable: true })),
      stopped(startRedisSentinel()),
    ]);
    await askRedis(server.url, (redis) => redis.config('SET', 'requirepass', 'the right one'));
    frozen.control.freeze();
    const dead = `127.0.0.1:${await findFreePort()}`;
    const withPassword = (url: string) => url.replace('://', '://default:secret@');
    const urls = [
      `redis://default:secret@${dead}`,
      `redis+cluster://default:secret@${dead}`,
      `redis+sentinel://default:secret@${dead}/mymaster`,
      'redis://default:secret@name.invalid:6379',
      withPassword(server.url),
      server.url,
      withPassword(server.url).replace('redis:', 'rediss:'),
      frozen.url,
      group.url.replace('mymaster', 'nobody'),
      withPassword(server.url).replace('redis:', 'redis+cluster:'),
    ];
    const outcomes = await Promise.all(urls.map((url) => connect(url)));
    expect(outcomes.map(({ code }) => code)).toEqual(urls.map(() => 'redis_unavailable'));
    for (const [index, { message }] of outcomes.entries()) {
      expect(message).toContain(describeRedis(redisAddress(urls[index] ?? '')));
      expect(message).not.toContain('secret');
    }
    // What the server said is the best explanation there is.
    expect(outcomes[0]?.message).toContain('ECONNREFUSED');
    expect(outcomes[4]?.message).toMatch(/WRONGPASS/);
    expect(outcomes[5]?.message).toMatch(/NOAUTH/);
  });
});

describe.concurrent('a server with TLS', () => {
  it('is used when Node trusts its certificate, and refused otherwise', {
    timeout: 45_000,
  }, async () => {
    const { url, caFile } = await startHere({ tls: true });

    expect(await connect(url)).toMatchObject({
      code: 'redis_unavailable',
      message: expect.stringMatching(/self.signed certificate/),
    });
    const before = tls.getCACertificates('default');
    tls.setDefaultCACertificates([...before, readFileSync(caFile ?? '', 'utf8')]);
    try {
      const client = createRedisClient(redisAddress(url), 'command');
      clients.push(client);
      await connectRedis(client, redisAddress(url));
      expect(await client.set('key', 'value')).toBe('OK');
      expect(await checkRedis(client, redisAddress(url))).toEqual([]);
    } finally {
      tls.setDefaultCACertificates(before);
    }
  });
});
