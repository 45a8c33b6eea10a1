/** A Redis master with a replica, and a sentinel that promotes the replica when the master is gone for a second. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findServer } from './find-server.ts';
import type { ServerControl } from './local-server.ts';
import { redisRemedies } from './redis-server.ts';
import {
  askRedis,
  type LocalRedisSource,
  locateRedis,
  type RedisProcess,
  type RedisProcessOptions,
  readInfo,
  startRedisProcess,
} from './redis-server-local.ts';

export interface RedisSentinel {
  /** `redis+sentinel://127.0.0.1:<port of the sentinel>/mymaster` */
  readonly url: string;
  readonly source: string;
  /** The first master; it stays this process when another has become the master. */
  readonly master: ServerControl;
  readonly replica: ServerControl;
  stop(): Promise<void>;
}

const masterName = 'mymaster';
const readyTimeoutMs = 30_000;
const pollMs = 50;

/** Not in a container: a sentinel tells clients the addresses that it knows itself. */
export function startRedisSentinel(options: { readonly only?: LocalRedisSource } = {}): Promise<RedisSentinel> {
  return findServer<LocalRedisSource, RedisSentinel>({
    product: 'Redis',
    variable: '',
    allows: (source) => options.only === undefined || source === options.only,
    ways: {
      path: { remedy: redisRemedies.path, start: () => startFrom('path') },
      install: { remedy: redisRemedies.install, start: () => startFrom('install') },
    },
  });
}

async function startFrom(from: LocalRedisSource): Promise<RedisSentinel> {
  const { program, label } = await locateRedis(from);
  const started: RedisProcess[] = [];
  const start = async (options: Omit<RedisProcessOptions, 'program'>) => {
    const server = await startRedisProcess({ program, ...options });
    started.push(server);
    return server;
  };
  const stop = async () => void (await Promise.all(started.map((server) => server.stop())));
  try {
    const args = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'];
    args.push('--repl-diskless-sync-delay', '0');
    const master = await start({ args });
    const replica = await start({ args: [...args, '--replicaof', '127.0.0.1', String(master.port)] });
    await waitFor('the replica follows', replica, async (port) => {
      const info = await askRedis({ port }, (redis) => redis.info('replication'));
      return readInfo(info, 'master_link_status') === 'up';
    });
    // After the replica: a sentinel asks for replicas at its start, and then not for ten seconds.
    const sentinel = await start({ args: [], configure: (directory) => configureSentinel(directory, master.port) });
    await waitFor('the sentinel knows both', sentinel, knowsReplica);
    return {
      url: `redis+sentinel://127.0.0.1:${sentinel.port}/${masterName}`,
      source: `${label} (${master.version}), a master, a replica and a sentinel`,
      master: master.control,
      replica: replica.control,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A sentinel keeps what it learns in this file, so it must have one. */
async function configureSentinel(directory: string, masterPort: number): Promise<readonly string[]> {
  const file = join(directory, 'sentinel.conf');
  await writeFile(
    file,
    `sentinel monitor ${masterName} 127.0.0.1 ${masterPort} 1
sentinel down-after-milliseconds ${masterName} 1000
sentinel failover-timeout ${masterName} 5000
`,
  );
  return [file, '--sentinel'];
}

async function knowsReplica(port: number): Promise<boolean> {
  const replicas = await askRedis({ port }, (redis) => redis.call('SENTINEL', 'REPLICAS', masterName));
  // One list of names and values for each replica; a link that is not up yet has its own flag.
  const [first] = replicas as string[][];
  if (first === undefined) return false;
  const read = (name: string) => first[first.indexOf(name) + 1];
  return read('flags') === 'slave' && read('master-link-status') === 'ok';
}

async function waitFor(what: string, server: RedisProcess, isSo: (port: number) => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + readyTimeoutMs;
  while (!(await isSo(server.port))) {
    if (Date.now() > deadline) throw new Error(`Waited ${readyTimeoutMs} ms in vain: ${what}`);
    await sleep(pollMs);
  }
}
