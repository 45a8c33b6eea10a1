/** A Redis Cluster of three masters without replicas, each a child process of the test. */
import { setTimeout as sleep } from 'node:timers/promises';
import { findServer } from './find-server.ts';
import type { ServerControl } from './local-server.ts';
import { redisRemedies } from './redis-server.ts';
import {
  askRedis,
  type LocalRedisSource,
  locateRedis,
  type RedisProcess,
  readInfo,
  startRedisProcess,
} from './redis-server-local.ts';

export interface RedisCluster {
  /** `redis+cluster://127.0.0.1:<port>,127.0.0.1:<port>,127.0.0.1:<port>` */
  readonly url: string;
  readonly source: string;
  /** In the order of the URL; each with a third of the slots. */
  readonly nodes: readonly { readonly url: string; readonly control: ServerControl }[];
  stop(): Promise<void>;
}

const slots = 16_384;
const nodeCount = 3;
const joinTimeoutMs = 30_000;
const pollMs = 50;

/** The bus of a cluster wants to be reached under the addresses that the nodes tell, so there is none in a container. */
export function startRedisCluster(options: { readonly only?: LocalRedisSource } = {}): Promise<RedisCluster> {
  return findServer<LocalRedisSource, RedisCluster>({
    product: 'Redis',
    variable: '',
    allows: (source) => options.only === undefined || source === options.only,
    ways: {
      path: { remedy: redisRemedies.path, start: () => startFrom('path') },
      install: { remedy: redisRemedies.install, start: () => startFrom('install') },
    },
  });
}

async function startFrom(from: LocalRedisSource): Promise<RedisCluster> {
  const { program, label } = await locateRedis(from);
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'];
  args.push('--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction');
  const starts = await Promise.allSettled(
    Array.from({ length: nodeCount }, () => startRedisProcess({ program, args, cluster: true })),
  );
  const nodes = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())));
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    await join(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    source: `${label} (${nodes[0]?.version}), ${nodeCount} nodes`,
    nodes: nodes.map(({ port, control }) => ({ url: urlOf(port), control })),
    stop,
  };
}

const urlOf = (port: number): string => `redis://127.0.0.1:${port}`;

/** What `redis-cli --cluster create` does; that program is not in every package of the server. */
async function join(nodes: readonly RedisProcess[]): Promise<void> {
  for (const [i, { port }] of nodes.entries()) {
    const [first, end] = [i, i + 1].map((each) => Math.floor((slots * each) / nodeCount)) as [number, number];
    const own = Array.from({ length: end - first }, (_, n) => first + n);
    await askRedis(urlOf(port), async (redis) => {
      await redis.cluster('ADDSLOTS', ...own);
      // Different ones from the start: the nodes would else have to settle who is older.
      await redis.cluster('SET-CONFIG-EPOCH', i + 1);
      for (const other of nodes.slice(0, i)) await redis.cluster('MEET', '127.0.0.1', other.port);
    });
  }
  const deadline = Date.now() + joinTimeoutMs;
  for (const { port } of nodes) {
    for (let info = ''; ; await sleep(pollMs)) {
      info = String(await askRedis(urlOf(port), (redis) => redis.cluster('INFO')));
      if (isWhole(info)) break;
      if (Date.now() > deadline) throw new Error(`No cluster in ${joinTimeoutMs} ms; node ${port} says:\n${info}`);
    }
  }
}

const isWhole = (info: string): boolean =>
  readInfo(info, 'cluster_state') === 'ok' &&
  readInfo(info, 'cluster_known_nodes') === String(nodeCount) &&
  readInfo(info, 'cluster_slots_ok') === String(slots);
