/** Every store a queue can be on, each with as many backends as a test wants: one is one process. */
import { randomBytes } from 'node:crypto';
import { createPostgresQueueBackend } from '@waybill/shared/queue/postgres-queue.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import { createRedisQueueBackend } from '@waybill/shared/queue/redis-queue.ts';
import type { RedisClient } from '@waybill/shared/redis/connect.ts';
import { type Database, openDatabase } from '@waybill/shared/store/database.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { openServerStore } from '@waybill/shared/store/server.ts';
import { startPostgresServer } from './postgres-server.ts';
import { openRedisClient } from './redis-clients.ts';
import { startRedisServer } from './redis-server.ts';
import { startRedisCluster } from './redis-server-cluster.ts';
import { startRedisSentinel } from './redis-server-sentinel.ts';

export interface QueuesUnderTest {
  /** Where the server came from, for the log. */
  readonly source: string;
  /** A backend as another process would have it; closed by `stop` at the latest. */
  open(): Promise<QueueBackend>;
  stop(): Promise<void>;
}

export const queuesUnderTest = [
  { name: 'PGlite', start: startOnEmbedded },
  { name: 'PostgreSQL', start: startOnPostgres },
  { name: 'Redis', start: async () => overRedis(await startRedisServer()) },
  { name: 'Redis Cluster', start: async () => overRedis(await startRedisCluster()) },
  { name: 'Redis Sentinel', start: async () => overRedis(await startRedisSentinel()) },
] as const;

async function startOnEmbedded(): Promise<QueuesUnderTest> {
  const database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
  const closes = closesInReverse(() => database.close());
  return {
    source: 'PGlite in memory',
    open: async () => closes.closing(createPostgresQueueBackend(database, () => undefined)),
    stop: closes.all,
  };
}

async function startOnPostgres(): Promise<QueuesUnderTest> {
  const server = await startPostgresServer();
  const url = await server.createDatabase();
  await onDatabase(url, migrate);
  const closes = closesInReverse(() => server.stop());
  return {
    source: server.source,
    async open() {
      const database = openDatabase(openServerStore({ url, maxConnections: 12 }));
      closes.add(() => database.close());
      return closes.closing(createPostgresQueueBackend(database, () => undefined));
    },
    stop: closes.all,
  };
}

export async function onDatabase(url: string, work: (database: Database) => Promise<void>): Promise<void> {
  const database = openDatabase(openServerStore({ url, maxConnections: 2 }));
  await work(database).finally(() => database.close());
}

function overRedis(server: { url: string; source: string; stop(): Promise<void> }): QueuesUnderTest {
  const closes = closesInReverse(() => server.stop());
  const prefix = newPrefix();
  return {
    source: server.source,
    async open() {
      const { queues, close } = await openRedisQueues(server.url, prefix);
      closes.add(close);
      return queues;
    },
    stop: closes.all,
  };
}

export interface RedisQueues {
  readonly queues: QueueBackend;
  readonly commands: RedisClient;
  /** What workers and queues reported, by message. */
  readonly errors: Map<string, number>;
  close(): Promise<void>;
}

/** Another database may hold the same Redis: `waybill:` and something of its own. */
export const newPrefix = (): string => `waybill:${randomBytes(4).toString('hex')}`;

/** As the composition of a process does it. */
export async function openRedisQueues(url: string, prefix: string): Promise<RedisQueues> {
  const commands = await openRedisClient(url, 'command');
  const workers = await openRedisClient(url, 'worker');
  const errors = new Map<string, number>();
  const queues = createRedisQueueBackend({
    commands,
    workers,
    prefix,
    onError: ({ message }) => void errors.set(message, (errors.get(message) ?? 0) + 1),
    onClose: () => Promise.resolve(),
  });
  return {
    queues,
    commands,
    errors,
    async close() {
      await queues.close();
      commands.disconnect();
      workers.disconnect();
    },
  };
}

/** What is opened last is closed first, and `last` after everything. */
export function closesInReverse(last: () => Promise<void>) {
  const closes: (() => Promise<void>)[] = [];
  const add = (close: () => Promise<void>) => void closes.push(close);
  return {
    add,
    closing(backend: QueueBackend): QueueBackend {
      add(() => backend.close());
      return backend;
    },
    async all() {
      try {
        for (const close of closes.splice(0).reverse()) await close();
      } finally {
        await last();
      }
    },
  };
}
