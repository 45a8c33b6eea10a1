/** Who goes next from the backlog: rounds of the dispatcher, with workers that finish at once whatever they are given. */
import { createSealer } from '@waybill/shared/security/seal.ts';
import { ensureTenant } from '@waybill/shared/store/tenants.ts';
import { createDispatchState, type DispatchState, dispatchRound } from '@waybill/workers/dispatch/dispatcher.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startTestWorker, type TestWorker } from '../support/worker-context.ts';

const target = 'p/m';
/** Two entries for each of five calls at once; one of the ten is for interactive jobs. */
const window = 10;
const [interactive, normal, bulk] = [0, 1, 2];
const [many, few] = ['ten_many', 'ten_zfew'];

let worker: TestWorker;
let state: DispatchState;

beforeAll(async () => {
  const each = { preset: 'openai', base_url: 'http://127.0.0.1:1/v1', api_key: 'test', limits: { concurrency: 5 } };
  worker = await startTestWorker({ providers: { p: each, eu: { ...each, labels: ['eu'] } } });
  for (const id of [many, few]) await ensureTenant(worker.database, createSealer(Buffer.alloc(32, 7)), id, id);
});
beforeEach(async () => {
  await worker.database.pool.query('truncate waybill.jobs cascade');
  await worker.database.pool.query('update waybill.tenants set weight = 1');
  await worker.coordination.reset();
  worker.context.fleet.forget();
  state = createDispatchState(worker.context);
});
afterAll(() => worker.close());

const add = (count: number, tenantId: string, more: { priority?: number; estimatedTokens?: number } = {}) =>
  worker.addJobs(count, [target], { tenantId, isDispatched: false, ...more });
const setWeight = (tenantId: string, weight: number) =>
  worker.database.pool.query('update waybill.tenants set weight = $2 where id = $1', [tenantId, weight]);

interface Picked {
  readonly id: string;
  readonly tenant_id: string;
  readonly priority: number;
}

/** One round; what it put into the queue is done at once. */
async function round(): Promise<Picked[]> {
  await dispatchRound(worker.context, state);
  const { rows } = await worker.database.pool.query(
    `update waybill.jobs set status = 'succeeded', dispatched_at = null where status = 'queued' and dispatched_at is not null
     returning id, tenant_id, priority`,
  );
  return rows as unknown as Picked[];
}

/** How many jobs each tenant had after each round, until one of them has no more. */
async function servedUntil(tenantId: string, count: number): Promise<{ many: number; few: number }[]> {
  const served: { many: number; few: number }[] = [];
  for (let sum = { many: 0, few: 0 }; ; served.push(sum)) {
    const picked = await round();
    expect(picked, 'a round with work in the backlog does some').not.toEqual([]);
    const of = (id: string) => picked.filter(({ tenant_id }) => tenant_id === id).length;
    sum = { many: sum.many + of(many), few: sum.few + of(few) };
    if ((tenantId === many ? sum.many : sum.few) >= count) return served;
  }
}

test('a tenant with 20 jobs and one with 500 share alike', async () => {
  await add(500, many);
  await add(20, few);
  const served = await servedUntil(few, 20);
  expect(served.length).toBeGreaterThan(2);
  // The bound of deficit round robin: the largest job of the one and of the other.
  for (const sum of served) expect(Math.abs(sum.many - sum.few), JSON.stringify(served)).toBeLessThanOrEqual(2);
});

test('who comes later neither waits behind the others nor overtakes them for what it did not use', async () => {
  await add(300, many);
  for (let n = 0; n < 10; n += 1) await round();
  await add(20, few);
  const served = await servedUntil(few, 20);
  for (const sum of served) expect(Math.abs(sum.many - sum.few), JSON.stringify(served)).toBeLessThanOrEqual(2);
});

test('three times the weight is three times the work', async () => {
  await setWeight(few, 3);
  await add(200, many);
  await add(200, few);
  const served = await servedUntil(few, 90);
  expect(served.length).toBeGreaterThan(5);
  for (const sum of served) expect(Math.abs(sum.many - sum.few / 3), JSON.stringify(served)).toBeLessThan(1.4);
});

test('tokens are shared, not jobs', async () => {
  await add(100, many, { estimatedTokens: 10 });
  await add(100, few, { estimatedTokens: 100 });
  const served = await servedUntil(many, 80);
  for (const sum of served) expect(Math.abs(10 * sum.many - 100 * sum.few)).toBeLessThanOrEqual(110);
});

test('what a tenant really used, and what came past the dispatcher, counts', async () => {
  await add(200, many);
  await add(200, few);
  await round();
  await worker.coordination.charge({ target, tenantId: many, tokens: 300 });
  const picked = [...(await round()), ...(await round())];
  expect(picked.length).toBeGreaterThanOrEqual(window);
  expect(picked.filter(({ tenant_id }) => tenant_id === many)).toEqual([]);
});

test('interactive jobs go ahead of everything that waits, whoever sent it', async () => {
  await add(100, many);
  await add(100, many, { priority: bulk });
  await add(3, few, { priority: interactive });
  await add(3, many, { priority: interactive });
  const picked = await round();
  expect(picked.filter(({ priority }) => priority === interactive)).toHaveLength(6);
  expect(picked).toHaveLength(window);
});

test('a window that is full of others has a place for an interactive job', async () => {
  await add(100, many);
  await dispatchRound(worker.context, state);
  const [urgent] = await add(1, few, { priority: interactive });
  await dispatchRound(worker.context, state);
  expect((await worker.readJob(urgent?.id ?? '')).dispatched_at).toBeInstanceOf(Date);
  const { rows } = await worker.database.pool.query(
    'select count(*)::int as n from waybill.jobs where dispatched_at is not null',
  );
  expect(rows[0]?.n).toBe(window);
});

test('bulk waits while there is other work, but not for ever', async () => {
  const waiting = await add(5, few, { priority: bulk });
  await add(300, many, { priority: normal });
  const early = [...(await round()), ...(await round())];
  expect(early.filter(({ priority }) => priority === bulk)).toEqual([]);
  await worker.database.pool.query(
    `update waybill.jobs set available_at = now() - interval '1 minute' where id = any($1)`,
    [waiting.map(({ id }) => id)],
  );
  const counts = { bulk: 0, all: 0 };
  while (counts.bulk < waiting.length) {
    const picked = await round();
    counts.bulk += picked.filter(({ priority }) => priority === bulk).length;
    counts.all += picked.length;
    // One of ten picks is for who has waited long.
    expect(counts.all, JSON.stringify(counts)).toBeLessThanOrEqual(10 * (waiting.length + 1));
  }
});

const elsewhere = { tenantId: many, isDispatched: false, require: ['eu'] };

test('a job that its target cannot serve holds up none behind it', async () => {
  const stuck = await worker.addJob([target], elsewhere);
  const moves = await worker.addJob([target, 'eu/m'], elsewhere);
  const behind = (await add(20, many)).map(({ id }) => id);
  expect((await round()).filter(({ id }) => behind.includes(id))).toHaveLength(window - 1);
  expect(await worker.readJob(moves.id)).toMatchObject({ target: 'eu/m' });
  expect(await worker.readJob(stuck.id)).toMatchObject({
    ...{ status: 'queued', target, dispatched_at: null },
    waiting_reason: 'paused',
  });
});

test('many that their target cannot serve are put aside, and those behind them go', async () => {
  const stuck = await worker.addJobs(30, [target], elsewhere);
  const behind = await add(20, many);
  const done = new Set<string>();
  for (let n = 0; n < 10; n += 1) for (const { id } of await round()) done.add(id);
  expect(behind.filter(({ id }) => !done.has(id))).toEqual([]);
  expect(stuck.filter(({ id }) => done.has(id))).toEqual([]);
});
