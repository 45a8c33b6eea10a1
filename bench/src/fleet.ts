/** A whole Waybill on real servers, each part a process of its own, with a provider and a receiver on loopback. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { type Dispatcher, request } from 'undici';
import { startPostgresServer } from '../../test/support/postgres-server.ts';
import { startRedisServer } from '../../test/support/redis-server.ts';

export const masterKey = Buffer.alloc(32, 7);
export const adminKey = `wb_bench_${'0'.repeat(24)}`;
const cli = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export interface FleetOptions {
  /** For configuration, profiles and homes. */
  readonly folder: string;
  readonly concurrency: number;
  /** Flags of Node for API and worker. */
  readonly nodeFlags?: readonly string[];
  /** How long the provider takes, in ms; `failFirst`: the first target refuses every call. */
  readonly provider?: { readonly latencyMs?: number; readonly failFirst?: boolean };
}

export interface Fleet {
  readonly url: string;
  readonly hookUrl: string;
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** By what it is: the pid whose tree is counted. */
  readonly pids: Readonly<Record<'api' | 'worker' | 'postgres' | 'redis', number>>;
  /** Webhooks that reached the receiver. */
  delivered(): Promise<number>;
  /** Ends API and worker in good order. */
  stopWaybill(): Promise<void>;
}

export async function startFleet(options: FleetOptions, stack: AsyncDisposableStack): Promise<Fleet> {
  const postgres = await startPostgresServer({ controllable: true });
  stack.defer(() => postgres.stop());
  const redis = await startRedisServer({ controllable: true });
  stack.defer(() => redis.stop());
  const provider = fork(script('./local-provider.ts'), [JSON.stringify(options.provider ?? {})]);
  stack.defer(() => void provider.kill());
  const [port] = (await once(provider, 'message')) as [number];
  const databaseUrl = await postgres.createDatabase();
  const environment = {
    PATH: process.env.PATH,
    HOME: options.folder,
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.url,
    WAYBILL_MASTER_KEY: masterKey.toString('base64'),
    WAYBILL_ADMIN_KEY: adminKey,
    WAYBILL_CONFIG: writeConfig(options, port),
    WAYBILL_PORT: '0',
    LOG_LEVEL: 'error',
  };
  const flags = options.nodeFlags ?? [];
  const [api, worker] = [await start('api', flags, environment), await start('worker', flags, environment)];
  const stopWaybill = async () => {
    for (const { child } of [api, worker]) {
      const ended = child.exitCode === null ? once(child, 'exit') : null;
      child.kill('SIGTERM');
      await ended;
    }
  };
  stack.defer(stopWaybill);
  return {
    url: api.url,
    hookUrl: `http://127.0.0.1:${port}/hook`,
    databaseUrl,
    redisUrl: redis.url,
    pids: {
      api: api.child.pid ?? 0,
      worker: worker.child.pid ?? 0,
      postgres: Number(readFileSync(join(postgres.control.directory, 'postmaster.pid'), 'utf8').split('\n')[0]),
      redis: await pidOfRedis(redis.url),
    },
    async delivered() {
      const answered = once(provider, 'message');
      provider.send('how many?');
      return ((await answered) as [number])[0];
    },
    stopWaybill,
  };
}

function writeConfig({ folder, concurrency }: FleetOptions, port: number): string {
  const path = join(folder, 'waybill.json');
  const provider = (base: string) => ({
    preset: 'openai-compatible',
    endpoints: [`http://127.0.0.1:${port}/${base}`],
    limits: { concurrency },
  });
  writeFileSync(
    path,
    JSON.stringify({
      providers: { first: provider('first'), second: provider('second') },
      chains: { default: { targets: ['first/m', 'second/m'], mode: 'immediate' } },
      webhooks: { allow_networks: ['127.0.0.0/8'] },
    }),
  );
  return path;
}

async function start(
  role: string,
  nodeFlags: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [...nodeFlags, cli, role, '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return { child, url: (JSON.parse(line.toString('utf8')) as { url: string }).url };
}

async function pidOfRedis(url: string): Promise<number> {
  const client = new Redis(url);
  const info = await client.info('server');
  client.disconnect();
  return Number(/process_id:(\d+)/.exec(info)?.[1]);
}

/** @throws when the job or jobs are not accepted */
export async function submit(
  path: '/v1/jobs' | '/v1/jobs/bulk',
  { url }: Fleet,
  apiKey: string,
  body: string,
  dispatcher: Dispatcher,
): Promise<string> {
  const response = await request(`${url}${path}`, {
    method: 'POST',
    dispatcher,
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body,
  });
  const text = await response.body.text();
  if (response.statusCode !== 202) throw new Error(`A submit was answered with ${response.statusCode}: ${text}`);
  return text;
}
