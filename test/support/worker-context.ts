/** The parts of a worker on a database in memory, for tests that take one step at a time. */

import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { createEpochs } from '@waybill/shared/coordination/epochs.ts';
import { createFleetView, fleetSources } from '@waybill/shared/coordination/fleet-view.ts';
import { createMemoryChunks } from '@waybill/shared/coordination/memory-chunks.ts';
import { createPostgresCoordination } from '@waybill/shared/coordination/postgres/postgres-coordination.ts';
import { createSignals } from '@waybill/shared/coordination/signals.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import { type Endpoint, splitTarget } from '@waybill/shared/domain/job.ts';
import { createTransport } from '@waybill/shared/providers/transport.ts';
import { createPostgresQueueBackend } from '@waybill/shared/queue/postgres-queue.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { createClaimer } from '@waybill/shared/store/claim.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { insertJobs } from '@waybill/shared/store/insert-jobs.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { createSettler } from '@waybill/shared/store/settle.ts';
import { defaultTenantId, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { registerWorker } from '@waybill/shared/store/workers.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { createRunningCalls } from '@waybill/workers/attempt/running-calls.ts';
import { startCredentials } from '@waybill/workers/credentials.ts';
import type { WorkerContext } from '@waybill/workers/worker-context.ts';
import { withLenientBreaker } from './lenient-breaker.ts';

export interface TestWorker {
  readonly context: WorkerContext;
  readonly database: Database;
  readonly queues: QueueBackend;
  readonly coordination: Coordination;
  readonly log: string[];
  /** A queued job for the first of its targets. */
  addJob(targets: readonly string[], more?: MoreOfJob): Promise<JobRow>;
  /** Many at once. */
  addJobs(count: number, targets: readonly string[], more?: MoreOfJob): Promise<JobRow[]>;
  readJob(id: string): Promise<JobRow>;
  /** A second worker, alive until it is killed. */
  otherWorker(): Promise<{ id: string; kill(): Promise<void> }>;
  close(): Promise<void>;
}

export interface MoreOfJob {
  readonly webhookEndpointId?: string;
  readonly isDispatched?: boolean;
  readonly priority?: number;
  readonly tenantId?: string;
  readonly estimatedTokens?: number;
  /** The part of them that is output. */
  readonly estimatedOutput?: number;
  readonly conversationTokens?: number;
  readonly maxCostNano?: bigint;
  readonly conversation?: string;
  readonly apiKeyId?: string;
  readonly endUser?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly webhookEvents?: readonly string[];
  readonly require?: readonly string[];
  /** A chain of the configuration, whose policy holds; without one, the default policy. */
  readonly chain?: string;
  readonly endpoint?: Endpoint;
  /** Instead of a short chat. */
  readonly request?: Readonly<Record<string, unknown>>;
}

export async function startTestWorker(config: unknown): Promise<TestWorker> {
  const database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
  const sealer = createSealer(Buffer.alloc(32, 7));
  await ensureTenant(database, sealer, defaultTenantId, 'default');
  const queues = createPostgresQueueBackend(database, () => undefined);
  const signals = createSignals('test', null, () => undefined);
  const coordination = createPostgresCoordination({ database, signals });
  const parsed = parseEnvironment({});
  if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
  const settings = settingsOf(withLenientBreaker(config), parsed.environment, 'the test');
  const log: string[] = [];
  const logger = createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } });
  const workerId = newId('wrk');
  await registerWorker(database, workerId, 'test');
  await keepAlive(database, workerId);
  const transport = createTransport({ connections: 8, connectMs: 1_000 });
  const credentials = await startCredentials({ database, settings: () => settings, sealer, logger });
  const context: WorkerContext = {
    database,
    queues,
    coordination,
    chunks: createMemoryChunks(),
    epochs: createEpochs({ database, coordination, queues, logger, settings: () => settings }),
    fleet: createFleetView(fleetSources(coordination, database), () => undefined),
    credentials,
    observer: { note: () => undefined, stop: () => Promise.resolve() },
    claim: createClaimer(database, () => settings.budgets),
    settle: createSettler(database, () => settings.budgets),
    settings: () => settings,
    transportOf: () => transport,
    sealer,
    receivers: { allowPrivate: true, allowNetworks: [] },
    logger,
    lease: { id: () => workerId, stop: () => Promise.resolve() },
    calls: createRunningCalls(),
    random: () => 0.5,
    now: Date.now,
  };
  return {
    context,
    database,
    queues,
    coordination,
    log,
    async addJob(targets, more = {}) {
      const [row] = await insertSome(database, 1, targets, more);
      if (!row) throw new Error('the job was not stored');
      return row;
    },
    addJobs: (count, targets, more = {}) => insertSome(database, count, targets, more),
    readJob: (id) =>
      database.kysely.selectFrom('waybill.jobs').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
    async otherWorker() {
      const id = newId('wrk');
      await registerWorker(database, id, 'test');
      return {
        id,
        kill: async () =>
          void (await database.pool.query('update waybill.workers set lease_until = now() where id = $1', [id])),
      };
    },
    async close() {
      await credentials.stop();
      await queues.close();
      await transport.close();
      await database.close();
    },
  };
}

const insertSome = (database: Database, count: number, targets: readonly string[], more: MoreOfJob) =>
  insertJobs(
    database.kysely,
    Array.from({ length: count }, () => newJob(targets, more)),
    new Map([[targets[0] ?? '', more.isDispatched === false ? 0 : 100]]),
  );

/** Nothing renews a lease here, and a slow machine must not end it. */
export async function keepAlive(database: Database, workerId: string): Promise<void> {
  await database.pool.query(`update waybill.workers set lease_until = now() + interval '1 hour' where id = $1`, [
    workerId,
  ]);
}

/** As it is stored. */
export function newJob(targets: readonly string[], more: MoreOfJob = {}) {
  const [target = ''] = targets;
  return {
    id: newId('job'),
    tenantId: more.tenantId ?? defaultTenantId,
    batchId: null,
    customId: null,
    endpoint: more.endpoint ?? '/v1/chat/completions',
    priority: more.priority ?? 1,
    requestedModel: target,
    chain: more.chain ?? null,
    targets,
    target,
    provider: splitTarget(target).provider,
    configVersion: 'test',
    require: more.require ?? [],
    excludeProviders: [],
    estimatedTokens: more.estimatedTokens ?? 10,
    estimatedOutput: more.estimatedOutput ?? 0,
    inputBound: more.estimatedTokens ?? 10,
    outputBound: more.estimatedOutput ?? 0,
    apiKeyId: more.apiKeyId ?? null,
    endUser: more.endUser ?? null,
    maxCostNano: more.maxCostNano ?? null,
    conversation: more.conversation ?? null,
    conversationTokens: more.conversationTokens ?? null,
    detected: [],
    skipped: null,
    webhookEvents: more.webhookEvents ?? [],
    attemptTimeoutMs: null,
    expiresInMs: 3_600_000,
    metadata: more.metadata ?? {},
    webhookEndpointId: more.webhookEndpointId ?? null,
    runAt: null,
    traceId: null,
    traceparent: null,
    request: JSON.stringify({ model: target, ...(more.request ?? { messages: [{ role: 'user', content: 'hello' }] }) }),
  };
}
