/** Everything one scenario has: servers and fakes of its own, a fleet, a load, a history; and what tears it down. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { Client } from 'pg';
import { type ControllablePostgresServer, startPostgresServer } from '../support/postgres-server.ts';
import { type ControllableRedisServer, startRedisServer } from '../support/redis-server.ts';
import { askRedis, readInfo } from '../support/redis-server-local.ts';
import { createServerFolder, type ServerFolder } from '../support/server-folder.ts';
import type { ProviderName } from './behaviour.ts';
import { createDice, type Dice } from './dice.ts';
import { type Evidence, pairCalls, type Query, readDatabase } from './evidence.ts';
import { type FakeProvider, type FakeReceiver, startFakeProvider, startFakeReceiver } from './fakes.ts';
import { createFleet, type Fleet } from './fleet.ts';
import { createLoad, type Load, plainShape, type Shape } from './load.ts';
import { createHistory, type History } from './nemesis.ts';

/** `redis` is Redis and PostgreSQL, `postgres` PostgreSQL alone, `embedded` neither. */
export const stores = ['redis', 'postgres', 'embedded'] as const;
export type Store = (typeof stores)[number];

export interface ArenaOptions {
  readonly store: Store;
  readonly seed: number;
  readonly jobs: number;
  readonly isShort: boolean;
  readonly workers: number;
  /** Calls at once per target. */
  readonly limit: number;
  readonly timeouts: Readonly<Record<'first_byte' | 'idle' | 'total', string>>;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
  /** Changes the configuration that the fleet runs with. */
  readonly configure?: (config: FleetConfig) => unknown;
  /** What a job has besides its number; a prompt ends with it. */
  readonly shape?: Shape;
  readonly surround?: (folder: ServerFolder) => Promise<Surroundings>;
}

/** Where the fleet runs, when not beside the harness. */
export interface Surroundings {
  /** Put before each command. */
  readonly prefix: readonly string[];
  /** The data directory, as the harness sees it. */
  readonly inside: string;
  /** Once every process has stopped: brings the data to where the evidence is read. */
  afterStop(): Promise<void>;
  close(): Promise<void>;
}

export interface Progress {
  readonly stored: number;
  readonly final: number;
  readonly inProgress: number;
}

export interface Arena extends Pick<ArenaOptions, 'store' | 'seed' | 'jobs' | 'isShort' | 'limit' | 'signal' | 'tell'> {
  readonly dice: Dice;
  readonly folder: ServerFolder;
  readonly redis: ControllableRedisServer | null;
  readonly postgres: ControllablePostgresServer | null;
  readonly sources: readonly string[];
  readonly provider: FakeProvider;
  readonly receiver: FakeReceiver;
  readonly fleet: Fleet;
  readonly load: Load;
  readonly history: History;
  /** The data directory of the embedded store, as the harness sees it. */
  readonly inside: string;
  /** What the scenario itself found wrong. */
  readonly complaints: string[];
  /** What is worth a line in the report. */
  readonly remarks: string[];
  /** On a connection of its own, so that a fault of the database hurts nobody else. Not on the embedded store. */
  readonly query: Query;
  progress(): Promise<Progress>;
  /** Polls; a check that throws is not met yet. */
  until(what: string, isMet: () => Promise<boolean> | boolean, limitMs: number): Promise<void>;
  redisPeak(): Promise<string | null>;
  /** Once every process has stopped. */
  evidence(): Promise<Evidence>;
  close(): Promise<void>;
}

const pollMs = 200;
const finalList = `('succeeded', 'failed', 'cancelled', 'expired')`;

export async function openArena(options: ArenaOptions): Promise<Arena> {
  const stack = new AsyncDisposableStack();
  try {
    return await openParts(options, stack);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function openParts(options: ArenaOptions, stack: AsyncDisposableStack): Promise<Arena> {
  const { store, seed, signal, tell } = options;
  const folder = await createServerFolder('waybill-chaos-', 'KILL');
  stack.defer(() => folder.remove());
  const postgres =
    store === 'embedded'
      ? null
      : await startPostgresServer({ controllable: true, settings: { max_connections: '400' } });
  if (postgres) stack.defer(() => postgres.stop());
  const redis = store === 'redis' ? await startRedisServer({ controllable: true }) : null;
  if (redis) stack.defer(() => redis.stop());
  const databaseUrl = await postgres?.createDatabase();
  const provider = await startFakeProvider(folder, seed);
  stack.defer(() => provider.member.kill());
  const receiver = await startFakeReceiver(folder);
  stack.defer(() => receiver.member.kill());
  const surroundings = await options.surround?.(folder);
  if (surroundings) stack.defer(() => surroundings.close());
  const fleet = await createFleet({
    folder,
    config: options.configure?.(configOf(options, provider)) ?? configOf(options, provider),
    stores: {
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
      ...(redis === null ? {} : { REDIS_URL: redis.url }),
    },
    prefix: surroundings?.prefix ?? [],
  });
  stack.defer(async () => void (await Promise.all(fleet.everyone().map((each) => each.kill()))));
  const dice = createDice(seed, 'load');
  const load = createLoad({ fleet, dice, webhookUrl: receiver.url, signal, shape: options.shape ?? plainShape });
  const query: Query = (statement) => querySeparately(databaseUrl, statement);
  const history = createHistory(tell);
  const readEverything = () => (store === 'embedded' ? readEmbedded(fleet.dataDirectory) : readDatabase(query));
  return {
    ...options,
    provider,
    receiver,
    dice: createDice(seed, 'scenario'),
    folder,
    redis,
    postgres,
    sources: [postgres, redis].flatMap((server) => server?.source ?? []),
    fleet,
    load,
    history,
    inside: surroundings?.inside ?? fleet.dataDirectory,
    complaints: [],
    remarks: [],
    query,
    progress: () => (store === 'embedded' ? progressByApi(fleet, load) : progressBySql(query)),
    until: (what, isMet, limitMs) => waitUntil(what, isMet, limitMs, signal),
    redisPeak: async () =>
      redis === null
        ? null
        : (readInfo(await askRedis(redis.url, (each) => each.info('memory')), 'used_memory_peak_human') ?? null),
    async evidence() {
      await surroundings?.afterStop();
      return {
        ...(await readEverything()),
        accepted: load.accepted,
        contradictions: load.contradictions,
        calls: pairCalls(provider.events()),
        delivered: receiver.events(),
        faults: history.faults,
      };
    },
    close: () => stack.disposeAsync(),
  };
}

export type FleetConfig = ReturnType<typeof configOf>;

function configOf({ limit, timeouts }: ArenaOptions, provider: FakeProvider) {
  const one = (name: ProviderName) => ({
    preset: 'openai-compatible',
    endpoints: [provider.urlOf(name)],
    limits: { concurrency: limit },
    timeouts,
    models: { m: { input_usd_per_million: '0.50', output_usd_per_million: '1.50' } },
  });
  return {
    providers: { a: one('a'), b: one('b'), c: one('c') },
    chains: {
      default: {
        targets: ['a/m', 'b/m'],
        backoff: { initial: '100ms', max: '2s' },
        same_target_retries: 1,
        max_attempts: 20,
      },
    },
    webhooks: { allow_networks: ['127.0.0.0/8'], timeout: '2s' },
  };
}

async function querySeparately(url: string | undefined, statement: string) {
  const client = new Client({
    connectionString: url ?? '',
    connectionTimeoutMillis: 3_000,
    query_timeout: 60_000,
  });
  // A connection the server closes emits an error, which would end the process; the query rejects anyway.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    client.end().catch(() => undefined);
  }
}

async function progressBySql(query: Query): Promise<Progress> {
  const [row] = await query(`
    select count(*)::int as stored, (count(*) filter (where status in ${finalList}))::int as final,
      (count(*) filter (where status = 'in_progress'))::int as "inProgress"
    from waybill.jobs`);
  return row as unknown as Progress;
}

/** Nobody else can open an embedded database while it is in use. */
async function progressByApi({ client }: Fleet, { batchIds, accepted }: Load): Promise<Progress> {
  const lists = await Promise.all(batchIds.map((id) => client.list({ batch_id: id, limit: '1' })));
  const singles = [...accepted.values()].filter(({ isInBatch }) => !isInBatch);
  const counts: Record<string, number> = {};
  for (const list of lists)
    for (const [status, count] of Object.entries(list.counts ?? {})) counts[status] = (counts[status] ?? 0) + count;
  for (const { status } of await Promise.all(singles.map(({ id }) => client.get(id))))
    counts[status] = (counts[status] ?? 0) + 1;
  const { succeeded = 0, failed = 0, cancelled = 0, expired = 0, in_progress: inProgress = 0 } = counts;
  const stored = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { stored, final: succeeded + failed + cancelled + expired, inProgress };
}

async function readEmbedded(directory: string) {
  const database = await openEmbeddedDatabase({ directory, cacheDirectory: null });
  try {
    return await readDatabase(async (statement) => (await database.pool.query(statement)).rows);
  } finally {
    await database.close();
  }
}

async function waitUntil(
  what: string,
  isMet: () => Promise<boolean> | boolean,
  limitMs: number,
  signal: AbortSignal,
): Promise<void> {
  const endsAt = performance.now() + limitMs;
  for (;;) {
    const [met, why] = await Promise.resolve()
      .then(isMet)
      .then((value) => [value, ''] as const)
      .catch((error: unknown) => [false, ` (${String(error)})`] as const);
    if (met) return;
    if (performance.now() > endsAt) throw new Error(`Waited ${limitMs / 1_000} s in vain until ${what}${why}`);
    await sleep(pollMs, undefined, { signal });
  }
}
