/**
 * Opens what a process works on: the database, the queue and the coordination store; embedded, or on servers.
 *
 * Nothing after this knows which. Opened in order, closed in reverse.
 */
import { randomUUID } from 'node:crypto';
import type { Environment } from '@waybill/shared/config/environment.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { ChunkStore } from '@waybill/shared/coordination/chunks.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { createMemoryChunks } from '@waybill/shared/coordination/memory-chunks.ts';
import { createPostgresChunks } from '@waybill/shared/coordination/postgres/postgres-chunks.ts';
import { createPostgresCoordination } from '@waybill/shared/coordination/postgres/postgres-coordination.ts';
import { createRedisChunks } from '@waybill/shared/coordination/redis/redis-chunks.ts';
import { createRedisCoordination } from '@waybill/shared/coordination/redis/redis-coordination.ts';
import { createSignals } from '@waybill/shared/coordination/signals.ts';
import { createPostgresQueueBackend } from '@waybill/shared/queue/postgres-queue.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import { createRedisQueueBackend } from '@waybill/shared/queue/redis-queue.ts';
import { checkRedis } from '@waybill/shared/redis/check-redis.ts';
import { connectRedis, createRedisClient, type RedisClient, type RedisUse } from '@waybill/shared/redis/connect.ts';
import type { RedisAddress } from '@waybill/shared/redis/redis-address.ts';
import { checkClock } from '@waybill/shared/store/clock.ts';
import { type Database, openDatabase } from '@waybill/shared/store/database.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { checkServer, openServerStore } from '@waybill/shared/store/server.ts';
import { installationId } from '@waybill/shared/store/server-facts.ts';
import { takeOverAlone } from '@waybill/shared/store/workers.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { makeDataDirectory } from './data-directory.ts';

export interface OpenStoresOptions {
  readonly settings: Settings;
  readonly environment: Environment;
  /** For the embedded database. */
  readonly directory: string;
  readonly logger: Logger;
}

export interface Stores {
  readonly database: Database;
  readonly queues: QueueBackend;
  readonly coordination: Coordination;
  readonly chunks: ChunkStore;
  readonly isEmbedded: boolean;
  close(): Promise<void>;
}

const maxConnections = 12;
const migrateTimeoutMs = 10 * 60_000;
const signalChannel = 'waybill_signals';

export async function openStores(options: OpenStoresOptions): Promise<Stores> {
  const stack = new AsyncDisposableStack();
  try {
    const { DATABASE_URL: databaseUrl, REDIS_URL: redis } = options.environment;
    const isEmbedded = databaseUrl === undefined;
    const database = isEmbedded ? await openEmbedded(options) : await openServer(databaseUrl);
    stack.defer(() => database.close());
    const parts =
      redis === undefined
        ? await onPostgres(database, isEmbedded, options)
        : await onRedis(database, redis, stack, options);
    stack.defer(() => parts.coordination.close());
    stack.defer(() => parts.chunks.close());
    stack.defer(() => parts.queues.close());
    return { database, ...parts, isEmbedded, close: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function openEmbedded({ directory, environment }: OpenStoresOptions): Promise<Database> {
  makeDataDirectory(directory);
  return openEmbeddedDatabase({ directory, cacheDirectory: preparedCacheDirectory(environment.raw) });
}

/** Migrates under the database's own lock, so that processes that start together do it once. */
export async function migrateServer(url: string): Promise<void> {
  const database = openDatabase(openServerStore({ url, maxConnections: 2, statementTimeoutMs: migrateTimeoutMs }));
  try {
    await checkServer(database.pool, url);
    await migrate(database);
  } finally {
    await database.close();
  }
}

async function openServer(url: string): Promise<Database> {
  await migrateServer(url);
  const database = openDatabase(openServerStore({ url, maxConnections }));
  try {
    await checkClock(database.pool);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

type Parts = Pick<Stores, 'queues' | 'coordination' | 'chunks'>;

async function onPostgres(database: Database, isEmbedded: boolean, { logger }: OpenStoresOptions): Promise<Parts> {
  const wire = isEmbedded
    ? null
    : {
        send: async (packet: string) =>
          void (await database.pool.query('select pg_notify($1, $2)', [signalChannel, packet])),
      };
  const signals = createSignals(randomUUID(), wire, onWireError(logger));
  const stopListening = isEmbedded ? undefined : await database.listen(signalChannel, signals.receive);
  const coordination = createPostgresCoordination({
    database,
    signals,
    ...(stopListening === undefined ? {} : { onClose: stopListening }),
  });
  if (isEmbedded) {
    // Under the directory's lock nobody else is there: older workers are dead, what they held is free.
    await takeOverAlone(database);
    await coordination.reset();
  }
  const chunks = isEmbedded ? createMemoryChunks() : createPostgresChunks(database);
  return { queues: createPostgresQueueBackend(database, onQueueError(logger)), coordination, chunks };
}

async function onRedis(
  database: Database,
  address: RedisAddress,
  stack: AsyncDisposableStack,
  { settings, logger }: OpenStoresOptions,
): Promise<Parts> {
  const open = async (use: RedisUse): Promise<RedisClient> => {
    const client = createRedisClient(address, use);
    stack.defer(() => client.disconnect());
    await connectRedis(client, address);
    client.on('error', (error) => logger.warn({ err: error, use }, 'the connection to Redis reported an error'));
    return client;
  };
  const commands = await open('command');
  for (const warning of await checkRedis(commands, address)) logger.warn(warning);
  const [workers, subscriber] = [await open('worker'), await open('subscriber')];
  const prefix = `waybill:${await installationId(database)}`;
  const channel = `${prefix}:signals`;
  const wire = { send: async (packet: string) => void (await commands.publish(channel, packet)) };
  const signals = createSignals(randomUUID(), wire, onWireError(logger));
  subscriber.on('message', (from: string, packet: string) => {
    if (from === channel) signals.receive(packet);
  });
  await subscriber.subscribe(channel);
  const coordination = createRedisCoordination({
    client: commands,
    prefix,
    signals,
    providers: () => Object.keys(settings.providers),
    onClose: () => Promise.resolve(),
  });
  const queues = createRedisQueueBackend({
    commands,
    workers,
    prefix,
    onError: onQueueError(logger),
    onClose: () => Promise.resolve(),
  });
  return { queues, coordination, chunks: createRedisChunks({ client: commands, subscriber, prefix }) };
}

const onQueueError = (logger: Logger) => (error: Error, queue: string) =>
  logger.error({ err: error, queue }, 'a queue reported an error');
const onWireError = (logger: Logger) => (error: Error) =>
  logger.debug({ err: error }, 'signals could not be sent to the other processes; they look for themselves');
