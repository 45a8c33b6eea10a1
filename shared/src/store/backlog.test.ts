import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { newId } from '../domain/ids.ts';
import { splitTarget } from '../domain/job.ts';
import { createSealer } from '../security/seal.ts';
import { type BacklogGroup, dueGroups, markDispatched, readHeads, tenantWeights, windowsInUse } from './backlog.ts';
import type { Database } from './database.ts';
import { insertJobs } from './insert-jobs.ts';
import { findJob, type JobRow, placeInBacklog } from './jobs.ts';
import { openEmbeddedDatabase } from './open-embedded.ts';
import { preparedCacheDirectory } from './prepared.ts';
import { staleEntries } from './sweep.ts';
import { ensureTenant } from './tenants.ts';

let database: Database;
const tenants = ['ten_a', 'ten_b', 'ten_c'];

beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
  const sealer = createSealer(Buffer.alloc(32, 7));
  for (const id of tenants) await ensureTenant(database, sealer, id, id);
  await database.pool.query(`update waybill.tenants set weight = case id when 'ten_b' then 3 else 1 end`);
});
beforeEach(() => database.pool.query('truncate waybill.jobs, waybill.payloads cascade'));
afterAll(() => database.close());

interface Some {
  readonly target: string;
  readonly tenant: string;
  readonly priority: number;
  readonly precedence: number;
  /** Before now; negative is in the future. */
  readonly ageSeconds: number;
  readonly isDispatched: boolean;
}
const plain: Some = {
  target: 'p/m',
  tenant: 'ten_a',
  priority: 1,
  precedence: 1,
  ageSeconds: 10,
  isDispatched: false,
};

async function addJob(difference: Partial<Some> = {}): Promise<JobRow> {
  const { target, tenant, priority, precedence, ageSeconds, isDispatched } = { ...plain, ...difference };
  const id = newId('job');
  await insertJobs(
    database.kysely,
    [
      {
        ...{ id, tenantId: tenant, priority, target, provider: splitTarget(target).provider, targets: [target] },
        ...{ batchId: null, customId: null, endpoint: '/v1/chat/completions', requestedModel: target, chain: null },
        ...{ configVersion: 'test', require: [], excludeProviders: [], estimatedTokens: 10, attemptTimeoutMs: null },
        ...{ expiresInMs: 3_600_000, metadata: {}, webhookEndpointId: null, runAt: null },
        ...{ traceId: null, traceparent: null, request: '{}' },
        ...{ estimatedOutput: 0, inputBound: 10, outputBound: null, apiKeyId: null, endUser: null, maxCostNano: null },
        ...{ conversation: null, conversationTokens: null, detected: [], webhookEvents: [], skipped: null },
      },
    ],
    new Map([[target, 0]]),
  );
  await database.pool.query(
    `update waybill.jobs set precedence = $2, available_at = now() - $3 * interval '1 second', dispatched_at = case when $4 then now() end where id = $1`,
    [id, precedence, ageSeconds, isDispatched],
  );
  return rowOf(id);
}

const rowOf = (id: string): Promise<JobRow> =>
  database.kysely.selectFrom('waybill.jobs').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
const groupOf = (difference: Partial<Some> = {}): BacklogGroup => {
  const { target, tenant, priority, precedence } = { ...plain, ...difference };
  return { target, tenant_id: tenant, priority, precedence };
};

test('each tenant, class and target with work is found once, however many jobs it has', async () => {
  const groups: Partial<Some>[] = [
    {},
    { tenant: 'ten_b' },
    { tenant: 'ten_b', priority: 0 },
    { tenant: 'ten_b', priority: 2, precedence: 0 },
    { target: 'p/n', tenant: 'ten_c' },
    { target: 'q/m' },
  ];
  for (const group of [...groups, ...groups]) await addJob(group);
  const found = await dueGroups(database);
  expect(found).toHaveLength(groups.length);
  expect(new Set(found.map((each) => JSON.stringify(each)))).toEqual(
    new Set(groups.map((each) => JSON.stringify(groupOf(each)))),
  );
});

test('a group that is not due does not hide the ones after it', async () => {
  await addJob({ ageSeconds: -60 });
  await addJob({ priority: 2, ageSeconds: -60 });
  await addJob({ tenant: 'ten_b' });
  await addJob({ target: 'a/a', ageSeconds: -60 });
  await addJob({ target: 'z/z' });
  expect(await dueGroups(database)).toEqual([groupOf({ tenant: 'ten_b' }), groupOf({ target: 'z/z' })]);
});

test('a group with a job that is due and one that is not has work', async () => {
  await addJob({ ageSeconds: -60 });
  await addJob();
  expect(await dueGroups(database)).toEqual([groupOf()]);
});

test('jobs in a queue, running or final are not in the backlog', async () => {
  await addJob({ isDispatched: true });
  for (const status of ['in_progress', 'succeeded', 'failed', 'cancelled', 'expired']) {
    const { id } = await addJob();
    await database.pool.query('update waybill.jobs set status = $2 where id = $1', [id, status]);
  }
  expect(await dueGroups(database)).toEqual([]);
});

test('an empty backlog has no groups', async () => {
  expect(await dueGroups(database)).toEqual([]);
});

test('entries are counted up to the window, and the interactive ones of them', async () => {
  for (let n = 0; n < 5; n += 1) await addJob({ isDispatched: true });
  await addJob({ target: 'q/m', isDispatched: true, priority: 0 });
  await addJob({ target: 'q/m', isDispatched: true });
  await addJob({ target: 'q/m' });
  const windows = new Map([
    ['p/m', 3],
    ['q/m', 10],
    ['none/m', 10],
  ]);
  const used = await windowsInUse(database, windows);
  expect([...used].map(([target, { used, interactive }]) => [target, used, interactive]).toSorted()).toEqual([
    ['none/m', 0, 0],
    ['p/m', 3, 0],
    ['q/m', 2, 1],
  ]);
  expect(await windowsInUse(database, new Map())).toEqual(new Map());
});

test('the heads of a group are its oldest jobs that are due and not past their deadline', async () => {
  const young = await addJob({ ageSeconds: 1 });
  const old = await addJob({ ageSeconds: 100 });
  const middle = await addJob({ ageSeconds: 50 });
  await addJob({ ageSeconds: -5 });
  await addJob({ tenant: 'ten_b' });
  await addJob({ priority: 0 });
  const late = await addJob({ ageSeconds: 500 });
  await database.pool.query(`update waybill.jobs set deadline_at = now() - interval '1 second' where id = $1`, [
    late.id,
  ]);
  const heads = await readHeads(database, [groupOf()], 10);
  expect(heads.map(({ id }) => id)).toEqual([old.id, middle.id, young.id]);
  expect(heads[0]).toMatchObject({ ...groupOf(), seq: old.seq, targets: ['p/m'], estimated_tokens: 10 });
  expect(heads[0]?.waited_ms).toBeGreaterThanOrEqual(100_000);
  expect((await readHeads(database, [groupOf()], 2)).map(({ id }) => id)).toEqual([old.id, middle.id]);
});

test('heads come group by group, so many of each', async () => {
  for (let n = 0; n < 3; n += 1) {
    await addJob();
    await addJob({ tenant: 'ten_b', priority: 2, precedence: 0 });
  }
  const groups = [groupOf({ tenant: 'ten_b', priority: 2, precedence: 0 }), groupOf()];
  const heads = await readHeads(database, groups, 2);
  expect(heads.map(({ tenant_id }) => tenant_id)).toEqual(['ten_b', 'ten_b', 'ten_a', 'ten_a']);
});

test('of two that mark the same jobs, one gets each of them, in the order asked for', async () => {
  const ids: string[] = [];
  for (let n = 0; n < 10; n += 1) ids.unshift((await addJob()).id);
  const [one, other] = await Promise.all([
    markDispatched(database, 'p/m', ids),
    markDispatched(database, 'p/m', ids.toReversed()),
  ]);
  const marked = [...one, ...other].map(({ id }) => id);
  expect(marked.toSorted()).toEqual(ids.toSorted());
  expect(one.map(({ id }) => id)).toEqual(ids.filter((id) => one.some((row) => row.id === id)));
  expect((await rowOf(ids[0] ?? '')).dispatched_at).toBeInstanceOf(Date);
  expect(await markDispatched(database, 'p/m', ids)).toEqual([]);
});

test('a job that moved to another target, runs or is over is not marked', async () => {
  const moved = await addJob({ target: 'q/m' });
  const running = await addJob();
  await database.pool.query(`update waybill.jobs set status = 'in_progress' where id = $1`, [running.id]);
  const stays = await addJob();
  const ids = [moved.id, running.id, 'job_unknown', stays.id];
  expect((await markDispatched(database, 'p/m', ids)).map(({ id }) => id)).toEqual([stays.id]);
  expect(await markDispatched(database, 'p/m', [])).toEqual([]);
  expect((await rowOf(moved.id)).dispatched_at).toBeNull();
});

test('the weights of tenants are read by id', async () => {
  expect(await tenantWeights(database, ['ten_a', 'ten_b', 'ten_gone'])).toEqual(
    new Map([
      ['ten_a', 1],
      ['ten_b', 3],
    ]),
  );
});

test('an entry is stale when its job is final, gone, or went on without it', async () => {
  const [queued, running, final] = [await addJob(), await addJob(), await addJob()];
  await database.pool.query(`update waybill.jobs set status = 'in_progress' where id = $1`, [running.id]);
  await database.pool.query(`update waybill.jobs set status = 'succeeded' where id = $1`, [final.id]);
  const live = [`${queued.id}-${queued.seq}`, `${running.id}-${running.seq}`];
  const stale = [
    `${final.id}-${final.seq}`,
    `${queued.id}-${queued.seq + 1}`,
    `${queued.id}-${queued.seq - 1}`,
    `${newId('job')}-1`,
    'of another version',
    `${queued.id}-`,
  ];
  expect((await staleEntries(database, [...live, ...stale])).toSorted()).toEqual(stale.toSorted());
  expect(await staleEntries(database, [])).toEqual([]);
});

test('the place of a job is the one in the line of its tenant', async () => {
  const others = [await addJob({ tenant: 'ten_b', ageSeconds: 90 }), await addJob({ tenant: 'ten_c', ageSeconds: 80 })];
  const bulk = await addJob({ priority: 2, ageSeconds: 70 });
  const first = await addJob({ ageSeconds: 60 });
  const second = await addJob({ ageSeconds: 50 });
  const again = await addJob({ ageSeconds: 5, precedence: 0 });
  const interactive = await addJob({ priority: 0, ageSeconds: 1 });
  const places = await Promise.all(
    [interactive, again, first, second, bulk, ...others].map((job) => placeInBacklog(database.kysely, job)),
  );
  expect(places.map((place) => place?.position)).toEqual([1, 2, 3, 4, 5, 1, 1]);
});

test("a job's share of the target is its tenant's weight among those who wait for it", async () => {
  const alone = await addJob({ target: 'q/m' });
  const light = await addJob();
  const heavy = await addJob({ tenant: 'ten_b' });
  await addJob({ tenant: 'ten_c', isDispatched: true });
  const shareOf = async (job: JobRow) => (await placeInBacklog(database.kysely, job))?.share;
  expect(await shareOf(alone)).toBe(1);
  expect(await shareOf(light)).toBe(0.25);
  expect(await shareOf(heavy)).toBe(0.75);
});

test('a job that is not waiting for its turn has no place', async () => {
  expect(await placeInBacklog(database.kysely, await addJob({ isDispatched: true }))).toBeNull();
  expect(await placeInBacklog(database.kysely, await addJob({ ageSeconds: -60 }))).toBeNull();
  expect(await placeInBacklog(database.kysely, { ...(await addJob()), status: 'cancelled' })).toBeNull();
});

test('behind a thousand jobs of its tenant a job has no place yet', async () => {
  const last = await addJob({ ageSeconds: 1 });
  const found = await findJob(database.kysely, 'ten_a', last.id);
  await database.pool.query(
    `insert into waybill.jobs select (json_populate_record(j, json_build_object('id', 'job_' || lpad(n::text, 32, '0'), 'available_at', now() - interval '1 minute'))).*
     from waybill.jobs j, generate_series(1, 1000) n where j.id = $1`,
    [last.id],
  );
  const place = () => placeInBacklog(database.kysely, found?.job ?? last);
  expect((await place())?.position).toBe(1_001);
  await addJob({ ageSeconds: 3_600 });
  expect(await place()).toBeNull();
});
