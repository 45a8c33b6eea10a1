/**
 * One connection policy for every use of Redis.
 *
 * `command`: what a request or an attempt waits for. Nothing queues while the connection is down, and no answer is
 * waited for longer than two seconds: a frozen Redis fails fast, and the dispatcher repairs. `worker`: what BullMQ
 * blocks on. It reconnects for ever, and its commands may take as long as its longest block. `subscriber`: signals.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { Problem } from '../domain/problem.ts';
import { describeRedis, type RedisAddress } from './redis-address.ts';

export type RedisClient = Redis | Cluster;
export type RedisUse = 'command' | 'worker' | 'subscriber';

export const commandTimeoutMs = 2_000;
const connectTimeoutMs = 2_000;
/** BullMQ blocks for at most 10 s; an answer that takes longer than this never comes. */
const workerTimeoutMs = 15_000;
const startTimeoutMs = 10_000;
const longestReconnectMs = 2_000;

/** Each is given to clients of one server and to those of a Cluster's nodes. */
type Options = Omit<RedisOptions, 'replyMapping' | 'himportFieldsets' | 'role'>;

const policies: Readonly<Record<RedisUse, Options>> = {
  command: {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    commandTimeout: commandTimeoutMs,
    // What is asked in one turn of the event loop goes out in one write.
    enableAutoPipelining: true,
  },
  worker: { maxRetriesPerRequest: null, commandTimeout: workerTimeoutMs },
  subscriber: { maxRetriesPerRequest: null, autoResubscribe: true },
};

/** A client that connects by itself, and again whenever the connection is lost. */
export function createRedisClient(address: RedisAddress, use: RedisUse): RedisClient {
  const shared: Options = {
    ...policies[use],
    ...(address.username === null ? {} : { username: address.username }),
    ...(address.password === null ? {} : { password: address.password }),
    // A private authority is named to Node by NODE_EXTRA_CA_CERTS.
    ...(address.isTls ? { tls: {} } : {}),
    connectTimeout: connectTimeoutMs,
    keepAlive: 10_000,
    retryStrategy: reconnectDelayMs,
    // A replica that was promoted away refuses writes: find the new master.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    lazyConnect: true,
  };
  const [first] = address.hosts;
  if (address.kind === 'cluster')
    return new Cluster([...address.hosts], {
      redisOptions: shared,
      enableOfflineQueue: use !== 'command',
      clusterRetryStrategy: reconnectDelayMs,
      slotsRefreshTimeout: connectTimeoutMs,
      lazyConnect: true,
    });
  if (address.kind === 'sentinel')
    return new Redis({
      ...shared,
      sentinels: [...address.hosts],
      name: address.master ?? '',
      db: address.database,
      sentinelRetryStrategy: reconnectDelayMs,
      sentinelCommandTimeout: commandTimeoutMs,
      failoverDetector: true,
      ...(address.isTls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
    });
  return new Redis({ ...shared, host: first?.host ?? '', port: first?.port ?? 0, db: address.database });
}

const reconnectDelayMs = (times: number): number => Math.min(longestReconnectMs, 50 * 2 ** Math.min(times, 10));

/** Connects within a bound. @throws Problem `redis_unavailable` */
export async function connectRedis(client: RedisClient, address: RedisAddress): Promise<void> {
  let last: Error | null = null;
  const note = (error: Error) => {
    last = error;
  };
  client.on('error', note);
  const ready = Promise.withResolvers<void>();
  const timer = setTimeout(() => ready.reject(last ?? new Error('no answer')), startTimeoutMs);
  client.once('ready', () => ready.resolve());
  client.connect().catch(note);
  try {
    await ready.promise;
  } catch (cause) {
    client.disconnect();
    throw new Problem(
      'redis_unavailable',
      `Cannot connect to ${describeRedis(address)}: ${(cause as Error).message || 'no answer'}. Check REDIS_URL, and that the server runs`,
      { cause },
    );
  } finally {
    clearTimeout(timer);
    client.off('error', note);
  }
}

export interface Silence {
  /** Notes a command that was not answered in time. */
  note(error: unknown): void;
  /** True for a while after that: the next command would be waited for in vain. */
  isSilent(): boolean;
}

const silentMs = 3_000;

/** A frozen server keeps its connections: only the commands tell. */
export function createSilence(now: () => number = () => performance.now()): Silence {
  let until = Number.NEGATIVE_INFINITY;
  return {
    note(error) {
      if (error instanceof Error && error.message === 'Command timed out') until = now() + silentMs;
    },
    isSilent: () => now() < until,
  };
}
