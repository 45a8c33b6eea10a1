/** Redis servers that work together: a cluster, and a sentinel with its master and replica. */
import { existsSync } from 'node:fs';
import { Cluster, Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { startRedisCluster } from './redis-server-cluster.ts';
import { askRedis } from './redis-server-local.ts';
import { startRedisSentinel } from './redis-server-sentinel.ts';

const remaining = (folders: readonly string[]) => folders.filter((folder) => existsSync(folder));

describe('a cluster', () => {
  it('keeps a key on each of its nodes, also over kill -9 of one', async () => {
    const server = await startRedisCluster();
    const folders = server.nodes.map(({ control }) => control.directory);
    const hosts = server.url.replace('redis+cluster://', '').split(',');
    expect(hosts).toHaveLength(3);
    const cluster = new Cluster(hosts.map((host) => `redis://${host}`));
    cluster.on('error', () => undefined);
    try {
      expect(server.source).toMatch(/^(redis|valkey)-server .*\(\d+\.\d+\.\d+\), 3 nodes$/);
      // Every second, the default, a kill may lose acknowledged writes.
      for (const { url } of server.nodes) await askRedis(url, (redis) => redis.config('SET', 'appendfsync', 'always'));
      const keys = Array.from({ length: 60 }, (_, i) => `key-${i}`);
      for (const key of keys) await cluster.set(key, key);
      const sizes = await Promise.all(server.nodes.map(({ url }) => askRedis(url, (redis) => redis.dbsize())));
      expect(sizes.every((size) => size > 0)).toBe(true);
      expect(sizes.reduce((sum, size) => sum + size)).toBe(keys.length);

      await server.nodes[1]?.control.kill();
      await server.nodes[1]?.control.start();
      const read = () => Promise.all(keys.map((key) => cluster.get(key))).catch(String);
      await expect.poll(read, { timeout: 30_000 }).toEqual(keys);
    } finally {
      cluster.disconnect();
      await server.stop();
    }
    expect(remaining(folders)).toEqual([]);
  });
});

describe('a sentinel', () => {
  it('makes the replica the master when the master is killed', async () => {
    const server = await startRedisSentinel();
    const folders = [server.master.directory, server.replica.directory];
    const { hostname: host, port, pathname } = new URL(server.url);
    expect(pathname).toBe('/mymaster');
    const redis = new Redis({
      sentinels: [{ host, port: Number(port) }],
      name: 'mymaster',
      maxRetriesPerRequest: null,
    });
    redis.on('error', () => undefined);
    try {
      const masterPort = () =>
        askRedis({ port: Number(port) }, (sentinel) =>
          sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster'),
        );
      const before = await masterPort();
      await redis.set('kept', 'yes');
      // Otherwise the kill may come before the replica has it.
      await redis.wait(1, 0);
      await server.master.kill();
      await expect.poll(masterPort, { timeout: 30_000 }).not.toEqual(before);
      expect(await redis.get('kept')).toBe('yes');
      const write = () => redis.set('after', 'yes').catch(String);
      await expect.poll(write, { timeout: 30_000 }).toBe('OK');
    } finally {
      redis.disconnect();
      await server.stop();
    }
    expect(remaining(folders)).toEqual([]);
  });
});
