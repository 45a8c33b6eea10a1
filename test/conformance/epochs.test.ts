/** How a fleet finds out that its coordination store lost everything, and rebuilds it once. PostgreSQL and Redis. */
import { soleAccount } from '@waybill/shared/config/model-settings.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { createEpochs, type Epochs } from '@waybill/shared/coordination/epochs.ts';
import { entryId, newId } from '@waybill/shared/domain/ids.ts';
import { createPostgresQueueBackend } from '@waybill/shared/queue/postgres-queue.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { claimJobs } from '@waybill/shared/store/claim.ts';
import { type Database, openDatabase } from '@waybill/shared/store/database.ts';
import { keepEpoch, readEpoch, swapEpoch } from '@waybill/shared/store/epochs.ts';
import { insertJobs } from '@waybill/shared/store/insert-jobs.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { openServerStore } from '@waybill/shared/store/server.ts';
import { defaultTenantId, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { registerWorker } from '@waybill/shared/store/workers.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { goAt, openRedisCoordination, redisStore } from '../support/coordination-under-test.ts';
import { startPostgresServer } from '../support/postgres-server.ts';
import { closesInReverse, newPrefix, onDatabase, openRedisQueues } from '../support/queues-under-test.ts';
import { flushAll, openRedisClient } from '../support/redis-clients.ts';
import { startRedisServer } from '../support/redis-server.ts';
import { eventually } from '../support/waybill.ts';

/** None of the providers here is configured: nothing limits their rates. */
const settings = () => ({ providers: {} }) as Settings;
const placesFor = (concurrency: number) => [{ id: soleAccount, concurrency }];

const unpriced = {
  ...{ expected: null, largest: null, maxOutputTokens: null },
  dearest: { inputPerMillion: 0n, outputPerMillion: 0n },
};

interface FleetProcess {
  readonly database: Database;
  readonly coordination: Coordination;
  readonly queues: QueueBackend;
  readonly epochs: Epochs;
}

describe('epochs on PostgreSQL and Redis', () => {
  const closes = closesInReverse(async () => undefined);
  const prefix = newPrefix();
  const providers: string[] = [];
  const log: string[] = [];
  const logger = createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } });
  let fleet: FleetProcess[] = [];
  let first: FleetProcess;
  let wipe: () => Promise<void>;
  let permitsOf: (target: string) => Promise<string[]>;
  let provider: string;
  let target: string;

  beforeAll(async () => {
    const [postgres, redis] = await Promise.all([startPostgresServer(), startRedisServer()]);
    closes.add(() => postgres.stop());
    closes.add(() => redis.stop());
    console.info(`Under test: ${postgres.source} and ${redis.source}`);
    const url = await postgres.createDatabase();
    await onDatabase(url, async (database) => {
      await migrate(database);
      await ensureTenant(database, createSealer(Buffer.alloc(32, 7)), defaultTenantId, 'default');
    });
    const admin = await openRedisClient(redis.url, 'command');
    closes.add(async () => admin.disconnect());
    wipe = () => flushAll(admin);
    permitsOf = redisStore(admin, prefix).permits;
    fleet = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const database = openDatabase(openServerStore({ url, maxConnections: 4 }));
        closes.add(() => database.close());
        const { coordination, close } = await openRedisCoordination(redis.url, prefix, () => providers);
        closes.add(close);
        const { queues, close: closeQueues } = await openRedisQueues(redis.url, prefix);
        closes.add(closeQueues);
        return {
          database,
          coordination,
          queues,
          epochs: createEpochs({ database, coordination, queues, logger, settings }),
        };
      }),
    );
    first = fleet[0] as FleetProcess;
  }, 120_000);
  afterAll(closes.all);
  beforeEach(() => {
    provider = `provider-${providers.length}`;
    providers.push(provider);
    target = `${provider}/a-model`;
  });

  const rebuilds = () => log.filter((line) => line.includes(`"${provider}"`) && line.includes('coordination store'));
  const warnings = () => rebuilds().filter((line) => line.includes('"warn"'));
  const others = () => fleet.slice(1);
  const epochInDatabase = async () => (await readEpoch(first.database, provider, 'unused')).epoch;
  /** As if the last change were long ago: nobody can be busy with it any more. */
  const age = (of = provider) =>
    first.database.pool.query(
      `update waybill.epochs set changed_at = changed_at - interval '1 hour' where provider = $1`,
      [of],
    );
  /** The epoch of all, agreed on long ago. */
  const settled = async (): Promise<string> => {
    const [known = ''] = await askAll(fleet);
    await age();
    return known;
  };
  const askAll = (asked: readonly FleetProcess[]) => Promise.all(asked.map(({ epochs }) => epochs.of(provider)));
  const newWorker = async (): Promise<string> => {
    const id = newId('wrk');
    await registerWorker(first.database, id, 'test');
    return id;
  };
  const die = (workerId: string) =>
    first.database.pool.query('update waybill.workers set lease_until = now() where id = $1', [workerId]);
  const readJob = (id: string): Promise<JobRow> =>
    first.database.kysely.selectFrom('waybill.jobs').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  /** A dispatched job. */
  const addJob = async (): Promise<JobRow> => {
    const [row] = await insertJobs(first.database.kysely, [jobFor(target, provider)], new Map([[target, 100]]));
    if (!row) throw new Error('the job was not stored');
    expect(row.dispatched_at).not.toBeNull();
    return row;
  };
  const claim = async (job: JobRow, workerId: string, permit: string, epoch: string) => {
    const request = {
      ...{ jobId: job.id, seq: job.seq, target, workerId, labels: [], credential: null },
      ...{ permit, place: soleAccount, epoch, require: [], prices: unpriced },
    };
    return (await claimJobs(first.database, [request], []))[0]?.kind;
  };
  /** A call under way: permit and claim. */
  const startCall = async (token: string, workerId: string, epoch: string): Promise<JobRow> => {
    const job = await addJob();
    const request = { token, target, places: placesFor(100), epoch };
    expect(await first.coordination.takePermit(request)).toMatchObject(goAt(soleAccount));
    expect(await claim(job, workerId, token, epoch)).toBe('claimed');
    return job;
  };

  it('are made at the first use, the same for all, without a word', async () => {
    const epochs = await askAll(fleet);
    expect(new Set(epochs).size).toBe(1);
    expect(epochs[0]).toBe(await epochInDatabase());
    for (const { coordination } of fleet) expect(await coordination.holdsEpoch(provider, epochs[0] ?? '')).toBe(true);
    expect(warnings()).toEqual([]);
    expect(await askAll(fleet)).toEqual(epochs);
  });

  it('are changed by one process when the store was wiped, and the others wait for it', async () => {
    const before = await settled();
    const [live, dead] = [await newWorker(), await newWorker()];
    await startCall(`${provider}-live-1`, live, before);
    await startCall(`${provider}-live-2`, live, before);
    await startCall(`${provider}-dead`, dead, before);
    const waiting = await addJob();
    await die(dead);
    await wipe();
    const request = { token: 'asks', target, places: placesFor(9), epoch: before };
    for (const { coordination, epochs } of fleet) {
      expect(await coordination.takePermit(request)).toEqual({ kind: 'epoch_lost' });
      epochs.lost(provider, before);
    }
    const after = await askAll(fleet);
    expect(new Set(after)).toEqual(new Set([await epochInDatabase()]));
    expect(after[0]).not.toBe(before);
    expect(warnings()).toHaveLength(1);
    // What live workers have under way holds its place; what a dead one had does not.
    expect(await permitsOf(target)).toEqual([`${provider}-live-1`, `${provider}-live-2`]);
    const epoch = after[0] ?? '';
    const take = (token: string, concurrency: number) =>
      first.coordination.takePermit({ token, target, places: placesFor(concurrency), epoch });
    expect((await take('third', 2)).kind).toBe('wait');
    expect((await take('third', 3)).kind).toBe('go');
    // The queue was lost too: what was dispatched and not claimed is in the backlog, and its old entry is stale.
    const returned = await readJob(waiting.id);
    expect(returned).toMatchObject({ status: 'queued', seq: waiting.seq + 1, dispatched_at: null });
    expect(await claim(waiting, live, 'third', epoch)).toBe('stale');
    expect(await claim(returned, live, 'third', epoch)).toBe('claimed');
  });

  it('that a process knows although another has changed them do no harm: the claim says so', async () => {
    const before = await settled();
    const worker = await newWorker();
    const job = await addJob();
    const places = placesFor(9);
    await first.coordination.takePermit({ token: `${provider}-old`, target, places, epoch: before });
    await swapEpoch(first.database, provider, before, `${provider}-next`);
    await age();
    expect(await claim(job, worker, `${provider}-old`, before)).toBe('old_epoch');
    expect(await readJob(job.id)).toMatchObject({ status: 'queued', attempt: 0 });
    first.epochs.lost(provider, before);
    const epoch = await first.epochs.of(provider);
    expect(epoch).not.toBe(before);
    await first.coordination.takePermit({ token: `${provider}-new`, target, places, epoch });
    expect(await claim(await readJob(job.id), worker, `${provider}-new`, epoch)).toBe('claimed');
  });

  it('that are not the known one may be called lost without an effect', async () => {
    const known = await first.epochs.of(provider);
    first.epochs.lost(provider, 'another');
    expect(await first.epochs.of(provider)).toBe(known);
    // A false alarm: the store still holds it.
    first.epochs.lost(provider, known);
    expect(await first.epochs.of(provider)).toBe(known);
    expect(warnings()).toEqual([]);
  });

  it('are looked after without being asked for: a wiped store is found and rebuilt', async () => {
    const before = await settled();
    await first.epochs.check([provider]);
    expect(await first.epochs.of(provider)).toBe(before);
    await startCall(`${provider}-live`, await newWorker(), before);
    await wipe();
    await first.epochs.check([provider]);
    const after = await first.epochs.of(provider);
    expect(after).not.toBe(before);
    expect(await first.coordination.holdsEpoch(provider, after)).toBe(true);
    expect(await permitsOf(target)).toEqual([`${provider}-live`]);
  });

  it('are changed again when the winner died before it had rebuilt the store', async () => {
    const before = await settled();
    await startCall(`${provider}-live`, await newWorker(), before);
    await wipe();
    expect(await swapEpoch(first.database, provider, before, `${provider}-winner`)).toBe(true);
    await age();
    for (const { epochs } of fleet) epochs.lost(provider, before);
    const after = await askAll(fleet);
    expect(new Set(after)).toEqual(new Set([await epochInDatabase()]));
    expect([before, `${provider}-winner`]).not.toContain(after[0]);
    expect(await first.coordination.holdsEpoch(provider, after[0] ?? '')).toBe(true);
    expect(await permitsOf(target)).toEqual([`${provider}-live`]);
  });

  it('are changed again when the winner hangs in the middle, and who waited goes on', async () => {
    const before = await settled();
    await startCall(`${provider}-live`, await newWorker(), before);
    await wipe();
    const hanging = { ...first.coordination, restore: () => new Promise<void>(() => undefined) };
    const winner = createEpochs({ ...first, coordination: hanging, logger, settings });
    void winner.of(provider);
    await eventually(epochInDatabase, (epoch) => epoch !== before);
    for (const { epochs } of others()) epochs.lost(provider, before);
    const after = await askAll(others());
    expect(new Set(after)).toEqual(new Set([await epochInDatabase()]));
    expect(await permitsOf(target)).toEqual([`${provider}-live`]);
  });

  it('do not age while somebody keeps them, whose they are', async () => {
    const epoch = await settled();
    const { database } = first;
    const ageMs = async () => (await readEpoch(database, provider, 'unused')).ageMs;
    await database.pool.query(`update waybill.epochs set changed_at = now() - interval '1 hour' where provider = $1`, [
      provider,
    ]);
    await keepEpoch(database, provider, 'of another process');
    expect(await ageMs()).toBeGreaterThan(3_000_000);
    await keepEpoch(database, provider, epoch);
    expect(await ageMs()).toBeLessThan(3_000_000);
    expect(await epochInDatabase()).toBe(epoch);
  });

  it('are waited for also by a process that comes while the winner rebuilds', async () => {
    const before = await settled();
    await startCall(`${provider}-live`, await newWorker(), before);
    await wipe();
    const gate = Promise.withResolvers<void>();
    const restore: Coordination['restore'] = async (...args) => {
      await gate.promise;
      await first.coordination.restore(...args);
    };
    const winner = createEpochs({ ...first, coordination: { ...first.coordination, restore }, logger, settings });
    const winning = winner.of(provider);
    const won = await eventually(epochInDatabase, (epoch) => epoch !== before);
    for (const { epochs } of others()) epochs.lost(provider, before);
    const waiting = askAll(others());
    // Some looks of those who come late, at a store that is not rebuilt yet.
    for (let look = 0; look < 20; look++) await others()[0]?.coordination.holdsEpoch(provider, won);
    gate.resolve();
    expect([await winning, ...(await waiting)]).toEqual(Array(4).fill(won));
    expect(warnings()).toHaveLength(1);
  });

  it('leave jobs where they are when the queue is not lost with the store', async () => {
    const backend = createPostgresQueueBackend(first.database, () => undefined);
    const epochs = createEpochs({ ...first, queues: backend, logger, settings });
    const before = await epochs.of(provider);
    await age();
    const job = await addJob();
    await wipe();
    epochs.lost(provider, before);
    const after = await epochs.of(provider);
    expect(after).not.toBe(before);
    expect(await readJob(job.id)).toMatchObject({ seq: job.seq, dispatched_at: job.dispatched_at });
    await backend.close();
  });

  it('of one provider are nothing to another: its jobs and permits stay', async () => {
    const known = await first.epochs.of(provider);
    const job = await addJob();
    await startCall(`${provider}-live`, await newWorker(), known);
    const other = `provider-${providers.length}`;
    providers.push(other);
    const otherKnown = await first.epochs.of(other);
    await swapEpoch(first.database, other, otherKnown, `${other}-next`);
    await age(other);
    first.epochs.lost(other, otherKnown);
    await first.epochs.of(other);
    expect(await first.coordination.holdsEpoch(provider, known)).toBe(true);
    expect(await permitsOf(target)).toEqual([`${provider}-live`]);
    expect(await readJob(job.id)).toMatchObject({ seq: job.seq, dispatched_at: job.dispatched_at });
    const entry = { id: entryId(job.id, job.seq), data: {}, delayMs: 0, priority: 0 };
    await first.queues.queue(provider).add([entry]);
    expect(await first.queues.queue(provider).countWaiting()).toBe(1);
  });
});

function jobFor(target: string, provider: string) {
  return {
    id: newId('job'),
    tenantId: defaultTenantId,
    batchId: null,
    customId: null,
    endpoint: '/v1/chat/completions',
    priority: 1,
    requestedModel: target,
    chain: null,
    targets: [target],
    target,
    provider,
    configVersion: 'test',
    require: [],
    excludeProviders: [],
    estimatedTokens: 10,
    ...{ estimatedOutput: 0, inputBound: 10, outputBound: null, apiKeyId: null, endUser: null, maxCostNano: null },
    ...{ conversation: null, conversationTokens: null, detected: [], webhookEvents: [], skipped: null },
    attemptTimeoutMs: null,
    expiresInMs: 3_600_000,
    metadata: {},
    webhookEndpointId: null,
    runAt: null,
    traceId: null,
    traceparent: null,
    request: JSON.stringify({ model: target, messages: [{ role: 'user', content: 'hello' }] }),
  };
}
