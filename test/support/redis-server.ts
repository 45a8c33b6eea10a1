/**
 * A real Redis server for whole-system tests, wherever they run.
 *
 * It comes from the first of: the server WAYBILL_TEST_REDIS_URL names, `redis-server` (or `valkey-server`) on PATH, a
 * container where a Docker engine answers, the machine's package manager where we are root. A server from PATH or from
 * a package runs as a child process on a port and a folder of its own; the one that the machine may run as a service is
 * never used. A cluster is in `redis-server-cluster.ts`, a sentinel in `redis-server-sentinel.ts`.
 */
import { findServer } from './find-server.ts';
import type { ServerControl } from './local-server.ts';
import { askRedis, type LocalRedisSource, locateRedis, redisVersion, startRedisProcess } from './redis-server-local.ts';
import { askUntilAnswered, startServerContainer } from './server-container.ts';

export const redisSources = ['environment', 'path', 'container', 'install'] as const;
export type RedisSource = (typeof redisSources)[number];

export interface RedisServer {
  /** `redis://127.0.0.1:<port>`, or `rediss://` with TLS. */
  readonly url: string;
  /** Where the server came from, for the log: `redis-server on PATH (7.0.15)`. */
  readonly source: string;
  /** Null when the server is not a child process of ours. */
  readonly control: ServerControl | null;
  /** The certificate that a client must trust; null without TLS. */
  readonly caFile: string | null;
  /** Ends the server and removes its files. A server we did not start is left as it is, with all its keys. */
  stop(): Promise<void>;
}

export interface ControllableRedisServer extends RedisServer {
  readonly control: ServerControl;
}

export interface RedisServerOptions {
  /** Allows one source and no other. */
  readonly only?: RedisSource;
  /** Only sources whose server a test may kill and freeze. */
  readonly controllable?: boolean;
  // With any of the following, a server of somebody else's is not used.
  /** True unless it says otherwise. */
  readonly appendonly?: boolean;
  /**
   * `everysec` unless it says otherwise. That loses acknowledged writes even to kill -9, of which the disk knows
   * nothing: while an fsync runs, Redis answers and holds the write back, for up to two seconds. `always` does not.
   */
  readonly appendfsync?: 'always' | 'everysec' | 'no';
  /** `noeviction` unless it says otherwise. */
  readonly maxmemoryPolicy?: string;
  /** As in redis.conf: `64mb`. Without it there is no limit. */
  readonly maxmemory?: string;
  /** Only TLS, with a certificate signed by itself. */
  readonly tls?: boolean;
}

const variable = 'WAYBILL_TEST_REDIS_URL';
const containerImage = 'redis:7-alpine';

export const redisRemedies: Readonly<Record<LocalRedisSource, string>> = {
  path: 'install Redis so that `redis-server` is on PATH',
  install: 'run the tests as root where apt-get, apk or dnf can install Redis',
};

/** Starts (or finds) a server. */
export function startRedisServer(
  options: RedisServerOptions & { readonly controllable: true },
): Promise<ControllableRedisServer>;
export function startRedisServer(options?: RedisServerOptions): Promise<RedisServer>;
export function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { only, controllable = false, tls = false, ...settings } = options;
  const asksForSettings = Object.values(settings).some((value) => value !== undefined);
  const fits = (source: RedisSource) =>
    !((controllable || tls) && (source === 'environment' || source === 'container')) &&
    !(source === 'environment' && asksForSettings);
  return findServer<RedisSource, RedisServer>({
    product: 'Redis',
    variable,
    allows: (source) => (only === undefined ? fits(source) : source === only),
    ways: {
      environment: { remedy: `set ${variable} to the URL of a server for the tests`, start: useEnvironment },
      path: { remedy: redisRemedies.path, start: () => startChild('path', options) },
      container: { remedy: 'start a Docker engine', start: () => startInContainer(options) },
      install: { remedy: redisRemedies.install, start: () => startChild('install', options) },
    },
  });
}

async function useEnvironment(): Promise<RedisServer> {
  const url = process.env[variable];
  if (!url) throw new Error(`${variable} is not set`);
  const version = redisVersion(await askRedis(url, (redis) => redis.info('server')));
  return { url, source: `${variable} (${version})`, control: null, caFile: null, stop: async () => undefined };
}

async function startChild(from: LocalRedisSource, options: RedisServerOptions): Promise<RedisServer> {
  const { program, label } = await locateRedis(from);
  const { tls = false } = options;
  const { port, version, control, caFile, stop } = await startRedisProcess({ program, args: toArgs(options), tls });
  const url = `${tls ? 'rediss' : 'redis'}://127.0.0.1:${port}`;
  return { url, source: `${label} (${version})`, control, caFile, stop };
}

async function startInContainer(options: RedisServerOptions): Promise<RedisServer> {
  if (options.tls) throw new Error('TLS is only for a server that runs beside the tests');
  const { address, stop } = await startServerContainer({
    image: containerImage,
    command: ['redis-server', ...toArgs(options)],
    port: 6379,
  });
  const url = `redis://${address}`;
  try {
    const info = await askUntilAnswered(() => askRedis(url, (redis) => redis.info('server')));
    return { url, source: `container of ${containerImage} (${redisVersion(info)})`, control: null, caFile: null, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function toArgs(options: RedisServerOptions): string[] {
  const { appendonly = true, appendfsync = 'everysec', maxmemoryPolicy = 'noeviction', maxmemory = '0' } = options;
  const settings = {
    // Snapshots would be a second way for data to survive.
    save: '',
    appendonly: appendonly ? 'yes' : 'no',
    appendfsync,
    'maxmemory-policy': maxmemoryPolicy,
    maxmemory,
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}
