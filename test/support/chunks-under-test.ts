/** Every store that chunks can be in, with as many processes as a test wants. */
import { type ChunkBounds, type ChunkStore, chunkBounds } from '@waybill/shared/coordination/chunks.ts';
import { createMemoryChunks } from '@waybill/shared/coordination/memory-chunks.ts';
import { createPostgresChunks } from '@waybill/shared/coordination/postgres/postgres-chunks.ts';
import { createRedisChunks } from '@waybill/shared/coordination/redis/redis-chunks.ts';
import { openDatabase } from '@waybill/shared/store/database.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { openServerStore } from '@waybill/shared/store/server.ts';
import { startPostgresServer } from './postgres-server.ts';
import { closesInReverse, newPrefix, onDatabase } from './queues-under-test.ts';
import { flushAll, openRedisClient } from './redis-clients.ts';
import { startRedisServer } from './redis-server.ts';
import { startRedisCluster } from './redis-server-cluster.ts';

export interface ChunksUnderTest {
  readonly source: string;
  /** As another process would have it, on streams that only those of the same name share. */
  open(name: string, bounds?: Partial<ChunkBounds>): Promise<ChunkStore>;
  /** What a crash does: everything is gone. */
  wipe(name: string): Promise<void>;
  stop(): Promise<void>;
}

export const chunksUnderTest = [
  { name: 'memory', start: startInMemory },
  { name: 'PostgreSQL', start: startOnPostgres },
  { name: 'Redis', start: async () => overRedis(await startRedisServer()) },
  { name: 'Redis Cluster', start: async () => overRedis(await startRedisCluster()) },
] as const;

async function startInMemory(): Promise<ChunksUnderTest> {
  const stores = new Map<string, ChunkStore>();
  return {
    source: 'this process',
    async open(name, bounds = {}) {
      const store = stores.get(name) ?? createMemoryChunks({ bounds: { ...chunkBounds, ...bounds } });
      stores.set(name, store);
      return store;
    },
    wipe: async (name) => stores.get(name)?.close(),
    stop: async () => undefined,
  };
}

async function startOnPostgres(): Promise<ChunksUnderTest> {
  const server = await startPostgresServer();
  const urls = new Map<string, string>();
  const closes = closesInReverse(() => server.stop());
  const urlOf = async (name: string) => {
    const known = urls.get(name);
    if (known !== undefined) return known;
    const url = await server.createDatabase();
    await onDatabase(url, migrate);
    urls.set(name, url);
    return url;
  };
  return {
    source: server.source,
    async open(name, bounds = {}) {
      const database = openDatabase(openServerStore({ url: await urlOf(name), maxConnections: 4 }));
      const chunks = createPostgresChunks(database, { ...chunkBounds, ...bounds });
      closes.add(async () => {
        await chunks.close();
        await database.close();
      });
      return chunks;
    },
    wipe: async (name) =>
      onDatabase(
        await urlOf(name),
        async ({ pool }) => void (await pool.query('truncate coordination.streams, coordination.stream_events')),
      ),
    stop: closes.all,
  };
}

async function overRedis(server: {
  readonly url: string;
  readonly source: string;
  stop(): Promise<void>;
}): Promise<ChunksUnderTest> {
  const base = newPrefix();
  const closes = closesInReverse(() => server.stop());
  const own = await openRedisClient(server.url, 'command');
  closes.add(async () => own.disconnect());
  return {
    source: server.source,
    async open(name, bounds = {}) {
      const client = await openRedisClient(server.url, 'command');
      const subscriber = await openRedisClient(server.url, 'subscriber');
      const prefix = `${base}:${name}`;
      const chunks = createRedisChunks({ client, subscriber, prefix, bounds: { ...chunkBounds, ...bounds } });
      closes.add(async () => {
        await chunks.close();
        client.disconnect();
        subscriber.disconnect();
      });
      return chunks;
    },
    wipe: () => flushAll(own),
    stop: closes.all,
  };
}
