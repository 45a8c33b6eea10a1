/** What becomes of jobs that cannot be called where they are, one step at a time on a database in memory. */
import type { Entry } from '@waybill/shared/queue/entry.ts';
import { readDecisions } from '@waybill/shared/store/decisions.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import {
  leaveBreaker,
  leaveMisfit,
  refuse,
  waitForBudget,
  waitForLimit,
} from '@waybill/workers/attempt/turned-away.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type MoreOfJob, startTestWorker, type TestWorker } from '../support/worker-context.ts';

const priced = { m: { input_usd_per_million: '1', output_usd_per_million: '1' } };
const provider = { preset: 'openai', base_url: 'http://127.0.0.1:1/v1', api_key: 'test', models: priced };
const targets = ['a/m', 'b/m'];
const chain = { targets, on_limit: { interactive: '5s', normal: '60s', bulk: 'wait' } };
const [interactive, normal, bulk] = [0, 1, 2];

describe('a job that is turned away', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startTestWorker({
      providers: {
        a: provider,
        b: provider,
        home: { ...provider, labels: ['local'], models: {} },
      },
      chains: {
        graceful: chain,
        immediate: { ...chain, mode: 'immediate' },
        manual: { ...chain, mode: 'manual' },
      },
    });
  });
  beforeEach(async () => {
    await worker.database.pool.query('truncate waybill.jobs, waybill.decisions, waybill.webhook_deliveries cascade');
    await worker.coordination.reset();
    worker.context.fleet.forget();
  });
  afterAll(() => worker.close());

  const add = (more: MoreOfJob = {}, list: readonly string[] = targets) =>
    worker.addJob(list, { chain: 'graceful', ...more });
  const entryOf = ({ id, seq, target, tenant_id }: JobRow): Entry =>
    ({ job: id, seq, target, tenant: tenant_id, estimate: 10, output: 0, traceparent: null }) as Entry;
  const limitedSince = (job: JobRow, ms: number) =>
    worker.database.pool.query(
      `update waybill.jobs set limited_since = now() - $2 * interval '1 millisecond' where id = $1`,
      [job.id, ms],
    );
  const decisionsOf = async (job: JobRow) =>
    (await readDecisions(worker.database, job.id)).map(({ kind, target, next_target: next, why }) => [
      kind,
      target,
      next,
      why,
    ]);

  it.each<[string, MoreOfJob, number, number, 'delay' | 'backlog' | 'b/m' | 'parked']>([
    ['an interactive job waits a moment', { priority: interactive }, 0, 4_000, 'delay'],
    ['an interactive job does not wait long', { priority: interactive }, 0, 6_000, 'b/m'],
    ['nor for what adds up to long', { priority: interactive }, 3_000, 4_000, 'b/m'],
    ['a normal job waits longer, in the backlog', { priority: normal }, 0, 30_000, 'backlog'],
    ['but not for ever', { priority: normal }, 0, 61_000, 'b/m'],
    ['a bulk job waits', { priority: bulk }, 3_000_000, 100_000, 'backlog'],
    ['an immediate one does not wait at all', { priority: bulk, chain: 'immediate' }, 0, 1, 'b/m'],
    ['one that somebody has to approve asks', { priority: interactive, chain: 'manual' }, 0, 6_000, 'parked'],
  ])('by a limit: %s', async (_, more, waitedMs, waitMs, expected) => {
    const job = await add(more);
    if (waitedMs > 0) await limitedSince(job, waitedMs);
    const outcome = await waitForLimit(entryOf(job), waitMs, worker.context);
    const now = await worker.readJob(job.id);
    if (expected === 'delay') {
      expect(outcome).toEqual({ kind: 'delay', delayMs: waitMs });
      expect(now).toMatchObject({ status: 'queued', seq: job.seq, target: 'a/m', waiting_reason: 'rate_limit' });
      expect(now.limited_since).not.toBeNull();
    } else if (expected === 'backlog') {
      expect(outcome).toEqual({ kind: 'done', note: 'returned to the backlog: rate_limit' });
      expect(now).toMatchObject({ target: 'a/m', seq: job.seq + 1, dispatched_at: null, waiting_reason: 'rate_limit' });
      expect(now.limited_since).not.toBeNull();
    } else if (expected === 'parked') {
      expect(outcome).toEqual({ kind: 'failed', note: 'awaits approval for b/m: rate_limit' });
      expect(now).toMatchObject({ status: 'awaiting_approval', target: 'b/m', waiting_reason: 'approval' });
      expect(await decisionsOf(job)).toEqual([['park', 'a/m', 'b/m', 'rate_limit']]);
    } else {
      expect(outcome).toEqual({ kind: 'failed', note: 'fallback -> b/m: rate_limit' });
      expect(now).toMatchObject({ status: 'queued', target: 'b/m', waiting_reason: null, limited_since: null });
      expect(now.dispatched_at).not.toBeNull();
      expect(await decisionsOf(job)).toEqual([['fall_back', 'a/m', 'b/m', 'rate_limit']]);
    }
  });

  it('by an open breaker: it goes elsewhere at once, or waits where there is nowhere', async () => {
    const job = await add();
    expect(await leaveBreaker(entryOf(job), 60_000, worker.context)).toMatchObject({
      note: 'fallback -> b/m: breaker',
    });
    const alone = await add({}, ['a/m']);
    expect(await leaveBreaker(entryOf(alone), 60_000, worker.context)).toMatchObject({ kind: 'done' });
    expect(await worker.readJob(alone.id)).toMatchObject({ waiting_reason: 'breaker', dispatched_at: null });
    const probed = await add({}, ['a/m']);
    expect(await leaveBreaker(entryOf(probed), null, worker.context)).toEqual({ kind: 'delay', delayMs: 1_000 });
    expect(await worker.readJob(probed.id)).toMatchObject({ waiting_reason: 'breaker', seq: probed.seq });
  });

  it('by a request larger than the limit: it goes elsewhere, or ends where it fits nowhere', async () => {
    const job = await add({ estimatedTokens: 5_000 });
    expect(await leaveMisfit(entryOf(job), 'exceeds_limit', worker.context)).toMatchObject({
      note: 'fallback -> b/m: exceeds_limit',
    });
    const alone = await add({ estimatedTokens: 5_000 }, ['a/m']);
    expect(await leaveMisfit(entryOf(alone), 'exceeds_limit', worker.context)).toEqual({
      kind: 'failed',
      note: 'failed: exceeds_limit',
    });
    expect(await worker.readJob(alone.id)).toMatchObject({
      status: 'failed',
      error_kind: 'exceeds_limit',
      error_message: 'about 5000 tokens exceed the limit of every target',
    });
    expect(await decisionsOf(alone)).toEqual([['fail', 'a/m', null, 'exceeds_limit']]);
  });

  type Refused = Parameters<typeof refuse>[0];
  const refused = (
    job: JobRow,
    refusal: Refused['refusal'],
    budget: Partial<Refused['budget'] & object> | null = null,
  ) =>
    refuse(
      {
        kind: 'refused',
        job,
        refusal,
        budget: budget && { key: 'k', per: 'tenant', onExceeded: 'reject', ...budget },
      },
      worker.context,
    );

  it.each<[string, readonly string[], Refused['refusal'], Parameters<typeof refused>[2], string]>([
    ['a label: elsewhere', targets, 'label', null, 'b/m'],
    ['a label, nowhere', ['a/m'], 'label', null, 'requirement_unmet'],
    ['poison: for good', targets, 'poison', null, 'poison_job'],
    ['its own most: elsewhere, where it may be cheaper', targets, 'max_cost', null, 'b/m'],
    ['its own most, nowhere', ['a/m'], 'max_cost', null, 'budget_exceeded'],
    ['a budget of its tenant: for good', targets, 'budget_exceeded', {}, 'budget_exceeded'],
    ['a budget of its tenant: though something is free', ['a/m', 'home/m'], 'budget_exceeded', {}, 'budget_exceeded'],
    [
      'a budget of its tenant: to what is free, where that may run',
      ['a/m', 'b/m', 'home/m'],
      'budget_exceeded',
      { onExceeded: 'local_only' },
      'home/m',
    ],
    ['a budget of its provider: to another', targets, 'budget_exceeded', { per: 'provider' }, 'b/m'],
    [
      'a budget of its provider, of which all are',
      ['a/m', 'a/n'],
      'budget_exceeded',
      { per: 'provider' },
      'budget_exceeded',
    ],
    ['a budget of its model: to another', ['a/m', 'a/n'], 'budget_exceeded', { per: 'model' }, 'a/n'],
    ['a price that nobody knows: elsewhere', targets, 'budget_unpriced', {}, 'b/m'],
  ])('by %s', async (_, list, refusal, budget, expected) => {
    const job = await add({}, list);
    const outcome = await refused(job, refusal, budget);
    const now = await worker.readJob(job.id);
    const why = budget === null ? refusal : `${refusal}: k`;
    if (expected.includes('/')) {
      expect(outcome).toEqual({ kind: 'failed', note: `fallback -> ${expected}: ${why}` });
      expect(await decisionsOf(job)).toEqual([['fall_back', 'a/m', expected, why]]);
    } else {
      expect(outcome).toEqual({ kind: 'failed', note: `failed: ${expected}` });
      expect(now).toMatchObject({ status: 'failed', error_kind: expected });
      expect(await decisionsOf(job)).toEqual([['fail', 'a/m', null, why]]);
    }
  });

  it('by what is reserved of a budget: it waits in the backlog, with its reason', async () => {
    const job = await add();
    const budget = { key: 'tenant/day:default', per: 'tenant', onExceeded: 'reject' } as const;
    expect(await waitForBudget({ kind: 'budget_wait', job, budget }, worker.context)).toEqual({
      kind: 'done',
      note: 'returned to the backlog: budget: tenant/day',
    });
    expect(await worker.readJob(job.id)).toMatchObject({
      ...{ status: 'queued', target: 'a/m', dispatched_at: null, waiting_reason: 'budget', seq: job.seq + 1 },
      waiting_until: expect.any(Date),
    });
  });

  it('by anything, when its entry is stale: nothing happens', async () => {
    const job = await add();
    const old = { ...job, seq: job.seq - 1 };
    const outcomes = [
      await waitForLimit(entryOf(old), 100_000, worker.context),
      await leaveBreaker(entryOf(old), 100, worker.context),
      await leaveMisfit(entryOf(old), 'excluded', worker.context),
      await refused(old, 'budget_exceeded', {}),
      await refused(old, 'label'),
    ];
    expect(new Set(outcomes.map((each) => ('note' in each ? each.note : each.kind)))).toEqual(
      new Set(['stale: the job went on without this entry']),
    );
    expect(await worker.readJob(job.id)).toEqual(job);
    expect(await decisionsOf(job)).toEqual([]);
  });

  it('what stood against the other targets is kept with the decision', async () => {
    const job = await add({ require: [] }, ['a/m', 'gone/m', 'b/m']);
    await leaveBreaker(entryOf(job), 1_000, worker.context);
    const [noted] = await readDecisions(worker.database, job.id);
    expect(JSON.parse(noted?.detail ?? '')).toMatchObject([{ target: 'gone/m', reason: 'not_configured' }]);
    expect(noted?.config_version).toBe(worker.context.settings().version);
  });

  it('an entry that comes twice moves it once', async () => {
    const job = await add();
    await leaveBreaker(entryOf(job), 1_000, worker.context);
    expect(await leaveBreaker(entryOf(job), 1_000, worker.context)).toMatchObject({ kind: 'done' });
    expect(await decisionsOf(job)).toHaveLength(1);
  });
});
