/** A queued job goes to another target, or somebody is asked first: under its fence, charged, noted and told. */
import type { Charge, Signal } from '@waybill/shared/coordination/coordination.ts';
import { entryId, newId } from '@waybill/shared/domain/ids.ts';
import type { Candidate } from '@waybill/shared/routing/candidates.ts';
import { readDecisions } from '@waybill/shared/store/decisions.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { type MoveContext, move, park, stale } from '@waybill/workers/attempt/move.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type MoreOfJob, startTestWorker, type TestWorker } from '../support/worker-context.ts';

let worker: TestWorker;
let endpointId: string;
const receiver = 'http://127.0.0.1:9/';
beforeAll(async () => {
  const each = { preset: 'openai', base_url: 'http://127.0.0.1:1/v1', api_key: 'test', limits: { concurrency: 2 } };
  worker = await startTestWorker({ providers: { p: each, q: each } });
  endpointId = newId('whe');
  await query(`insert into waybill.webhook_endpoints (id, tenant_id, url, kind) values ($1, $2, $3, 'ad_hoc')`, [
    ...[endpointId, defaultTenantId, receiver],
  ]);
});
beforeEach(async () => {
  await query('truncate waybill.jobs cascade', []);
  await worker.coordination.reset();
});
afterAll(() => worker.close());

const query = async (text: string, values: unknown[]) => (await worker.database.pool.query(text, values)).rows;
const targets = ['p/m', 'q/m'];
const found: readonly Candidate[] = [
  { target: 'p/m', kind: 'skipped', reason: 'breaker', detail: 'its breaker is open', untilMs: null },
  { target: 'q/m', kind: 'eligible' },
];
const toNext = (job: JobRow, delayMs = 0, context: MoveContext = worker.context) =>
  move(job, { target: 'q/m', delayMs }, 'breaker', found, context);
const askFirst = (job: JobRow, context: MoveContext = worker.context) => park(job, 'q/m', 'breaker', found, context);

const entryStateOf = async ({ id }: JobRow, seq: number) =>
  (await worker.queues.queue('q').statesOf([entryId(id, seq)])).get(entryId(id, seq));
const deliveriesOf = ({ id }: JobRow) =>
  query('select type, event_id, payload from waybill.webhook_deliveries where job_id = $1', [id]);
const signalsOf = async (act: () => Promise<unknown>): Promise<Signal[]> => {
  const signals: Signal[] = [];
  const stop = worker.coordination.subscribe((signal) => void signals.push(signal));
  await act();
  stop();
  return signals;
};

describe('a move', () => {
  test('adds the entry of the next target at once, charges it and says why', async () => {
    const job = await worker.addJob(targets, { estimatedTokens: 70 });
    await query('update waybill.jobs set limited_since = now(), precedence = 1 where id = $1', [job.id]);
    expect(await toNext(job)).toEqual({ kind: 'failed', note: 'fallback -> q/m: breaker' });
    expect(await worker.readJob(job.id)).toMatchObject({
      ...{ status: 'queued', target: 'q/m', provider: 'q', seq: job.seq + 1, dispatched_at: expect.any(Date) },
      ...{ precedence: 0, limited_since: null, waiting_reason: null, waiting_until: null },
    });
    expect(await entryStateOf(job, job.seq + 1)).toBe('waiting');
    const charge: Charge = { target: 'q/m', tenantId: defaultTenantId, tokens: 70, why: 'added' };
    expect(await worker.coordination.takeCharges()).toEqual([charge]);
    const decisions = await readDecisions(worker.database, job.id);
    expect(decisions).toMatchObject([
      { kind: 'fall_back', target: 'p/m', next_target: 'q/m', why: 'breaker', seq: job.seq + 1, run: 1 },
    ]);
    expect(decisions[0]?.config_version).toBe(worker.context.settings().version);
    expect(JSON.parse(decisions[0]?.detail ?? '')).toEqual([
      { target: 'p/m', reason: 'breaker', detail: 'its breaker is open' },
    ]);
  });

  test('of which the entry is stale changes nothing', async () => {
    const job = await worker.addJob(targets);
    expect(await toNext({ ...job, seq: job.seq + 1 })).toEqual(stale);
    expect(await askFirst({ ...job, seq: job.seq + 1 })).toEqual(stale);
    expect(await worker.readJob(job.id)).toEqual(job);
    expect(await readDecisions(worker.database, job.id)).toEqual([]);
  });

  test.for(['in_progress', 'awaiting_approval', 'cancelled'])('leaves a job that is %s alone', async (status) => {
    const job = await worker.addJob(targets);
    await query('update waybill.jobs set status = $2 where id = $1', [job.id, status]);
    expect(await toNext(job)).toEqual(stale);
    expect(await askFirst(job)).toEqual(stale);
    expect(await worker.readJob(job.id)).toMatchObject({ status, target: 'p/m', seq: job.seq });
  });

  test('leaves a job alone that was paused meanwhile', async () => {
    const job = await worker.addJob(targets);
    await query('update waybill.jobs set paused_at = now() where id = $1', [job.id]);
    expect([await toNext(job), await askFirst(job)]).toEqual([stale, stale]);
    expect(await worker.readJob(job.id)).toMatchObject({ status: 'queued', target: 'p/m', seq: job.seq });
  });

  test('that is told twice happens once', async () => {
    const job = await worker.addJob(targets);
    const outcomes = await Promise.all([toNext(job), toNext(job)]);
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['done', 'failed']);
    expect(await readDecisions(worker.database, job.id)).toHaveLength(1);
  });

  test.for([
    ['a moment', 1_000, 'backoff'],
    ['its target to come back', 10_000, 'recovery'],
  ] as const)('that waits for %s is a delayed entry', async ([, delayMs, reason]) => {
    const job = await worker.addJob(targets);
    await toNext(job, delayMs);
    expect(await entryStateOf(job, job.seq + 1)).toBe('delayed');
    const { waiting_until, ...row } = await worker.readJob(job.id);
    expect(row).toMatchObject({ waiting_reason: reason, dispatched_at: expect.any(Date), available_at: waiting_until });
  });

  test('that waits longer goes to the backlog', async () => {
    const job = await worker.addJob(targets);
    const signals = await signalsOf(() => toNext(job, 10_001));
    expect(await entryStateOf(job, job.seq + 1)).toBe('missing');
    expect(await worker.readJob(job.id)).toMatchObject({ dispatched_at: null, waiting_reason: 'recovery' });
    expect(await worker.coordination.takeCharges()).toEqual([]);
    expect(signals).toEqual([{ type: 'work' }]);
  });

  test('into a window that is full waits in the backlog, ahead of its class', async () => {
    await worker.addJobs(4, ['q/m']);
    const job = await worker.addJob(targets);
    const signals = await signalsOf(() => toNext(job));
    expect(await entryStateOf(job, job.seq + 1)).toBe('missing');
    expect(await worker.readJob(job.id)).toMatchObject({ target: 'q/m', dispatched_at: null, precedence: 0 });
    expect(signals).toEqual([{ type: 'work' }]);
  });
});

test('a job that somebody is asked about waits for the answer until its deadline', async () => {
  const job = await worker.addJob(targets);
  expect(await askFirst(job)).toEqual({ kind: 'failed', note: 'awaits approval for q/m: breaker' });
  expect(await worker.readJob(job.id)).toMatchObject({
    ...{ status: 'awaiting_approval', target: 'q/m', provider: 'q', seq: job.seq + 1, dispatched_at: null },
    ...{ waiting_reason: 'approval', waiting_until: job.deadline_at },
  });
  expect(await entryStateOf(job, job.seq + 1)).toBe('missing');
  expect(await readDecisions(worker.database, job.id)).toMatchObject([
    { kind: 'park', target: 'p/m', next_target: 'q/m', why: 'breaker', seq: job.seq + 1 },
  ]);
});

describe('a receiver', () => {
  const both = ['job.fallback', 'job.awaiting_approval'];
  test.for([
    ['job.fallback', 'queued'],
    ['job.awaiting_approval', 'awaiting_approval'],
  ] as const)('that asked for it is told of %s', async ([type, status]) => {
    const more: MoreOfJob = { webhookEndpointId: endpointId, webhookEvents: both, metadata: { team: 'search' } };
    const job = await worker.addJob(targets, more);
    const nowMs = Date.UTC(2026, 0, 2);
    const context = { ...worker.context, now: () => nowMs };
    await (type === 'job.fallback' ? toNext(job, 0, context) : askFirst(job, context));
    const [delivery, ...others] = await deliveriesOf(job);
    expect(others).toEqual([]);
    expect(delivery).toMatchObject({ type });
    expect(JSON.parse(String(delivery?.payload))).toEqual({
      ...{ type, timestamp: '2026-01-02T00:00:00.000Z' },
      data: {
        ...{ id: job.id, custom_id: null, batch_id: null, status, target: 'p/m', next_target: 'q/m' },
        ...{ reason: 'breaker', metadata: { team: 'search' } },
      },
    });
  });

  test('that asked for other events is told nothing', async () => {
    const more: MoreOfJob = { webhookEndpointId: endpointId, webhookEvents: ['job.awaiting_approval'] };
    const job = await worker.addJob(targets, more);
    await toNext(job);
    expect(await deliveriesOf(job)).toEqual([]);
  });
});

test('a step that cannot be told is taken all the same', async () => {
  const job = await worker.addJob(targets);
  const broken = {
    ...worker.context,
    settings: () => Object.defineProperty({ ...worker.context.settings() }, 'version', { get: fail }),
  };
  expect(await toNext(job, 0, broken)).toMatchObject({ kind: 'failed' });
  expect(await worker.readJob(job.id)).toMatchObject({ target: 'q/m', seq: job.seq + 1 });
  expect(await readDecisions(worker.database, job.id)).toEqual([]);
  const [line] = worker.log.filter((each) => each.includes(job.id));
  expect(JSON.parse(line ?? '')).toMatchObject({ level: 'warn', msg: 'a step of a job could not be told' });
});

function fail(): never {
  throw new Error('the store is down');
}
