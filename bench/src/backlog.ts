/**
 * Whether a backlog costs anything but disk: the dispatcher's CPU per job and Redis's memory, with 10,000 and with
 * 1,000,000 rows waiting. The two take turns; what is dispatched is removed between the rounds, which is not counted.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStores, type Stores } from '@waybill/cli/open-stores.ts';
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { createEpochs } from '@waybill/shared/coordination/epochs.ts';
import { createFleetView, fleetSources } from '@waybill/shared/coordination/fleet-view.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { ensureTenant } from '@waybill/shared/store/tenants.ts';
import { registerWorker } from '@waybill/shared/store/workers.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { startCredentials } from '@waybill/workers/credentials.ts';
import { createDispatchState, type DispatchContext, dispatchRound } from '@waybill/workers/dispatch/dispatcher.ts';
import type { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { startPostgresServer } from '../../test/support/postgres-server.ts';
import { startRedisServer } from '../../test/support/redis-server.ts';
import { cpuOfTree } from './process-cpu.ts';
import { figuresOf } from './statistics.ts';

const tenants = ['ten_a', 'ten_b', 'ten_c'];
const concurrency = 100;
const jobsPerMeasurement = 1_000;

interface Bed {
  readonly stores: Stores;
  readonly round: () => Promise<number>;
  /** MB that Redis uses above an empty one. */
  readonly redisMb: () => Promise<number>;
  readonly pids: readonly number[];
}

export async function benchBacklog(sizes: readonly [number, number], rounds: number): Promise<string[]> {
  await using stack = new AsyncDisposableStack();
  const beds: Bed[] = [];
  for (const size of sizes) beds.push(await prepare(size, stack));
  const perJob: number[][] = beds.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const [index, bed] of beds.entries()) perJob[index]?.push(await measure(bed));
  // With the windows full.
  for (const bed of beds) await bed.round();
  const memory = await Promise.all(beds.map((bed) => bed.redisMb()));
  const medians = perJob.map((values) => figuresOf(values).median);
  return sizes.flatMap((size, index) => [
    `${size.toLocaleString('en')} rows of backlog: ${(medians[index] ?? 0).toFixed(3)} ms CPU per dispatched job (dispatcher and PostgreSQL), Redis ${(memory[index] ?? 0).toFixed(1)} MB above empty`,
    ...(index === 1 ? [`ratio ${((medians[1] ?? 0) / (medians[0] ?? 1)).toFixed(2)}`] : []),
  ]);
}

/** CPU in ms per job of one round with an empty window. */
async function measure({ round, stores, pids }: Bed): Promise<number> {
  const used = () => process.cpuUsage().user / 1_000 + process.cpuUsage().system / 1_000 + sum(pids.map(cpuOfTree));
  let jobs = 0;
  let ms = 0;
  // The clock of other processes ticks in 10 ms: several rounds make one measurement.
  while (jobs < jobsPerMeasurement) {
    const before = used();
    jobs += await round();
    ms += used() - before;
    await forgetDispatched(stores);
  }
  return ms / jobs;
}

/** As if workers had taken them all. */
async function forgetDispatched({ database, queues }: Stores): Promise<void> {
  await database.pool.query(
    `update waybill.jobs set status = 'cancelled', finished_at = now() where status = 'queued' and dispatched_at is not null`,
  );
  for (const { bullmq } of queues.opened()) await (bullmq as Queue).drain(true);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

async function prepare(rows: number, stack: AsyncDisposableStack): Promise<Bed> {
  const postgres = await startPostgresServer({ controllable: true });
  stack.defer(() => postgres.stop());
  const redis = await startRedisServer({ controllable: true });
  stack.defer(() => redis.stop());
  const environment = parseEnvironment({ DATABASE_URL: await postgres.createDatabase(), REDIS_URL: redis.url });
  if (environment.kind === 'faults') throw new Error(JSON.stringify(environment.faults));
  const settings = settingsOf(
    {
      providers: { a: { preset: 'openai-compatible', endpoints: ['http://127.0.0.1:1/v1'], limits: { concurrency } } },
      chains: { default: { targets: ['a/m'] } },
    },
    environment.environment,
    'the benchmark',
  );
  const client = new Redis(redis.url);
  stack.defer(() => client.disconnect());
  const memory = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]) / 1_048_576;
  const empty = await memory();
  const logger = createLogger({ level: 'error' });
  const stores = await openStores({ settings, environment: environment.environment, directory: '', logger });
  stack.defer(() => stores.close());
  await fill(stores, rows);
  const context = await contextOf(stores, () => settings, logger);
  stack.defer(() => context.credentials.stop());
  const state = createDispatchState(context);
  return {
    stores,
    async round() {
      await dispatchRound(context, state);
      const { rows: marked } = await stores.database.pool.query(
        `select count(*)::int as n from waybill.jobs where status = 'queued' and dispatched_at is not null`,
      );
      return Number(marked[0]?.n);
    },
    redisMb: async () => (await memory()) - empty,
    pids: [Number(readFileSync(join(postgres.control.directory, 'postmaster.pid'), 'utf8').split('\n')[0])],
  };
}

async function contextOf(
  stores: Stores,
  settings: DispatchContext['settings'],
  logger: DispatchContext['logger'],
): Promise<DispatchContext> {
  const sealer = createSealer(Buffer.alloc(32, 7));
  const workerId = `wrk_${randomUUID()}`;
  await registerWorker(stores.database, workerId, 'bench');
  await stores.database.pool.query(`update waybill.workers set lease_until = now() + interval '1 day'`);
  return {
    ...stores,
    credentials: await startCredentials({ ...stores, settings, sealer, logger }),
    epochs: createEpochs({ ...stores, logger, settings }),
    fleet: createFleetView(fleetSources(stores.coordination, stores.database), (error) => logger.error(error)),
    settings,
    lease: { id: () => workerId, stop: () => Promise.resolve() },
    logger,
    now: Date.now,
  };
}

/** Jobs of three tenants and all classes. The rows are of the usual width; nobody reads their requests. */
async function fill({ database }: Stores, rows: number): Promise<void> {
  const sealer = createSealer(Buffer.alloc(32, 7));
  for (const tenant of tenants) await ensureTenant(database, sealer, tenant, tenant);
  for (let from = 0; from < rows; from += 50_000)
    await database.pool.query(
      `insert into waybill.jobs (id, tenant_id, endpoint, status, priority, requested_model, chain, targets, target, provider, config_version, estimated_tokens, expires_in_ms, available_at, deadline_at)
       select 'job_' || lpad(to_hex(g), 32, '0'), ($3::text[])[1 + g % 3], '/v1/chat/completions', 'queued', (g / 3) % 3, 'default', 'default', '{a/m}', 'a/m', 'a', 'bench', 200, 86400000,
         now() - interval '1 hour' + g * interval '1 millisecond', now() + interval '7 days'
       from generate_series($1::bigint, $2::bigint) g`,
      [from + 1, Math.min(rows, from + 50_000), tenants],
    );
  await database.pool.query('analyze waybill.jobs');
}
