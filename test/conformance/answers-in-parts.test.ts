/** Claims and settles of jobs whose answer comes in parts, and where a call was made. The same on both stores. */
import { newId } from '@waybill/shared/domain/ids.ts';
import type { CallPrices } from '@waybill/shared/pricing/call-prices.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { type Claim, claimJobs } from '@waybill/shared/store/claim.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { openPermits } from '@waybill/shared/store/epochs.ts';
import { insertJobs } from '@waybill/shared/store/insert-jobs.ts';
import { type NextRun, startAgain } from '@waybill/shared/store/job-actions.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { type AttemptEnd, type NextStep, settleAttempts } from '@waybill/shared/store/settle.ts';
import { defaultTenantId, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { registerWorker } from '@waybill/shared/store/workers.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StoreUnderTest, storesUnderTest } from '../support/stores.ts';
import { newJob } from '../support/worker-context.ts';

const target = 'openai/a-model';
const other = 'groq/a-model';
/** Text that `jsonb` refuses; it must never pass through it. */
const carried = JSON.stringify({ text: 'one \u0000 two \ud83d', more: [1] });

const requeue: Extract<NextStep, { kind: 'requeue' }> = {
  kind: 'requeue',
  target,
  delayMs: 0,
  waiting: null,
  window: 100,
  carried: null,
};
const succeed: NextStep = { kind: 'succeed', output: '{"id":"whole"}' };
const noPrices: CallPrices = {
  expected: null,
  largest: null,
  dearest: { inputPerMillion: 0n, outputPerMillion: 0n },
  maxOutputTokens: null,
};
const fail: NextStep = { kind: 'fail', error: 'server_error', message: 'HTTP 500' };

describe.each(storesUnderTest)('on the $name store', ({ start }) => {
  let store: StoreUnderTest;
  let database: Database;
  let workerId: string;

  beforeAll(async () => {
    store = await start();
    database = store.database;
    await migrate(database);
    await ensureTenant(database, createSealer(Buffer.alloc(32, 7)), defaultTenantId, 'default');
    await database.pool.query(`insert into waybill.epochs (provider, epoch) values ('openai', 'e'), ('groq', 'e')`);
    workerId = newId('wrk');
    await registerWorker(database, workerId, 'test');
  }, 120_000);
  afterAll(() => store.stop());

  const addJob = async (): Promise<JobRow> => {
    const [row] = await insertJobs(database.kysely, [newJob([target, other])], new Map([[target, 1_000]]));
    if (!row) throw new Error('the job was not stored');
    return row;
  };
  const requestFor = (job: JobRow, change: object = {}) => ({
    ...{ jobId: job.id, seq: job.seq, target: job.target, workerId, labels: [], require: [], credential: 'KEY#1' },
    ...{ permit: newId('job'), place: 'main@2', epoch: 'e', prices: noPrices, ...change },
  });
  const claim = async (job: JobRow, change: object = {}): Promise<Extract<Claim, { kind: 'claimed' }>> => {
    const [claimed] = await claimJobs(database, [requestFor(job, change)], []);
    if (claimed?.kind !== 'claimed') throw new Error(`the claim was ${claimed?.kind}`);
    return claimed;
  };
  const endOf = ({ id, attempt, target: of }: JobRow, change: Partial<AttemptEnd> = {}): AttemptEnd => ({
    ...{ jobId: id, attempt, tenantId: defaultTenantId, target: of, status: 'failed', failure: null },
    ...{ httpStatus: 200, durationMs: 5, firstByteMs: 1, retryAtMs: null, requestId: null, responseModel: null },
    ...{ usage: null, cost: { nano: 0n, basis: 'none', reason: null, price: null }, warnings: [] },
    ...{ isPart: false, hadCarried: false, ...change },
  });
  const settle = async (job: JobRow, next: NextStep, change: Partial<AttemptEnd> = {}): Promise<JobRow> => {
    const [settled] = await settleAttempts(
      database,
      [{ end: endOf(job, change), next, telling: null, decided: null }],
      [],
    );
    expect(settled?.kind).toBe('settled');
    return readJob(job.id);
  };
  const readJob = (id: string): Promise<JobRow> =>
    database.kysely.selectFrom('waybill.jobs').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const payloadOf = (id: string) =>
    database.kysely
      .selectFrom('waybill.payloads')
      .select(['carried', 'output', 'output_attempt'])
      .where('job_id', '=', id)
      .executeTakeFirstOrThrow();
  const attemptsOf = (id: string) =>
    database.kysely
      .selectFrom('waybill.attempts')
      .select(['n', 'run', 'status', 'place', 'is_part', 'credential'])
      .where('job_id', '=', id)
      .orderBy('n')
      .execute();
  const part = { status: 'succeeded', isPart: true } as const;

  it('an attempt keeps where it was called, and its permit is held there', async () => {
    const job = await addJob();
    const claimed = await claim(job, { permit: `${job.id}-permit` });
    expect(await attemptsOf(job.id)).toMatchObject([{ place: 'main@2', credential: 'KEY#1', is_part: false }]);
    expect(await openPermits(database, 'openai')).toContainEqual({
      token: `${job.id}-permit`,
      target,
      place: 'main@2',
    });
    // An attempt of the version before, which knew no places.
    await database.pool.query('update waybill.attempts set place = null where job_id = $1', [job.id]);
    expect(await openPermits(database, 'openai')).toContainEqual({
      token: `${job.id}-permit`,
      target,
      place: 'default',
    });
    await settle(claimed.job, succeed, { status: 'succeeded' });
    expect((await openPermits(database, 'openai')).map(({ token }) => token)).not.toContain(`${job.id}-permit`);
  });

  it('a claim whose answer was lost stands when it is asked again under its permit, and under no other', async () => {
    const job = await addJob();
    const first = await claim(job, { permit: `${job.id}-permit` });
    const again = await claim(job, { permit: `${job.id}-permit` });
    expect([again.job.attempt, again.request, again.history]).toEqual([1, first.request, first.history]);
    expect((await claimJobs(database, [requestFor(job, { permit: 'another' })], []))[0]?.kind).toBe('stale');
    await settle(again.job, succeed, { status: 'succeeded' });
    expect((await claimJobs(database, [requestFor(job, { permit: `${job.id}-permit` })], []))[0]?.kind).toBe('stale');
  });

  it('the history of a claim tells which credential each attempt used', async () => {
    const job = await addJob();
    const first = await claim(job);
    const again = await settle(first.job, requeue, { failure: { kind: 'auth', message: 'refused' } });
    const second = await claim(again, { credential: null });
    const last = await settle(second.job, requeue, { failure: { kind: 'billing', message: 'refused' } });
    const { history } = await claim(last);
    expect(history.map(({ failure, credential }) => [failure, credential])).toEqual([
      ['auth', 'KEY#1'],
      ['billing', null],
    ]);
  });

  it('what was delivered so far is handed to the next attempt, unchanged, until the job succeeds', async () => {
    const job = await addJob();
    const first = await claim(job);
    expect(first.carried).toBeNull();
    const again = await settle(first.job, { ...requeue, carried }, part);
    const second = await claim(again);
    expect(second.carried).toBe(carried);
    const longer = JSON.stringify({ text: 'longer' });
    const third = await claim(await settle(second.job, { ...requeue, carried: longer }, { ...part, hadCarried: true }));
    expect(third.carried).toBe(longer);
    await settle(third.job, succeed, { status: 'succeeded', hadCarried: true });
    expect(await payloadOf(job.id)).toEqual({ carried: null, output: '{"id":"whole"}', output_attempt: 3 });
    expect((await attemptsOf(job.id)).map(({ status, is_part }) => [status, is_part])).toEqual([
      ['succeeded', true],
      ['succeeded', true],
      ['succeeded', false],
    ]);
  });

  it.each<[string, NextStep, boolean, string | null]>([
    ['kept when it is handed on', { ...requeue, carried }, true, carried],
    ['cleared when the next target cannot go on from it', { ...requeue, target: other }, true, null],
    ['cleared when the job fails', fail, true, null],
    ['left alone by an attempt that did not know of it', fail, false, carried],
  ])('what was carried is %s', async (_, next, hadCarried, expected) => {
    const job = await addJob();
    const second = await claim(await settle((await claim(job)).job, { ...requeue, carried }, part));
    await settle(second.job, next, { hadCarried });
    expect((await payloadOf(job.id)).carried).toBe(expected);
  });

  it('a settle whose fence is lost changes nothing of it, and its attempt is no part', async () => {
    const job = await addJob();
    const { job: running } = await claim(await settle((await claim(job)).job, { ...requeue, carried }, part));
    await database.pool.query(`update waybill.jobs set status = 'cancelled', seq = seq + 1 where id = $1`, [job.id]);
    const next = { ...requeue, carried: '"late"' };
    const end = endOf(running, { ...part, hadCarried: true });
    const [late] = await settleAttempts(database, [{ end, next, telling: null, decided: null }], []);
    expect(late).toEqual({ kind: 'fence_lost' });
    expect((await payloadOf(job.id)).carried).toBe(carried);
    expect((await attemptsOf(job.id)).at(-1)).toMatchObject({ status: 'superseded', is_part: false });
  });

  it('of many settled together, each keeps its own', async () => {
    const jobs = await Promise.all(Array.from({ length: 6 }, addJob));
    const claims = await claimJobs(
      database,
      jobs.map((job) => requestFor(job)),
      [],
    );
    const running = claims.flatMap((each) => (each.kind === 'claimed' ? [each.job] : []));
    const steps = running.map((job, n): NextStep => (n % 2 ? { ...requeue, carried: `"${job.id}"` } : requeue));
    await settleAttempts(
      database,
      running.map((job, n) => ({ end: endOf(job), next: steps[n] as NextStep, telling: null, decided: null })),
      [],
    );
    const kept = await Promise.all(running.map(async ({ id }) => (await payloadOf(id)).carried));
    expect(kept).toEqual(running.map(({ id }, n) => (n % 2 ? `"${id}"` : null)));
  });

  it('a new run begins with nothing, and does not touch what other jobs carry', async () => {
    const [job, bystander] = [await addJob(), await addJob()];
    for (const each of [job, bystander]) {
      const again = await settle((await claim(each)).job, { ...requeue, carried }, part);
      await settle((await claim(again)).job, fail);
    }
    const next: NextRun = {
      ...{ target: other, provider: 'groq', targets: [other], configVersion: 'v2', chain: null, model: null },
      ...{ require: [], excludeProviders: [], detected: [] },
    };
    expect(await startAgain(database, 'ten_of_another', job.id, next)).toBeNull();
    expect((await payloadOf(job.id)).carried).toBe(carried);
    const retried = await startAgain(database, defaultTenantId, job.id, next);
    expect(retried).toMatchObject({ status: 'queued', run: 2, target: other });
    expect((await claim(retried as JobRow)).carried).toBeNull();
    expect((await payloadOf(bystander.id)).carried).toBe(carried);
    // Not of a job that is under way.
    expect(await startAgain(database, defaultTenantId, job.id, next)).toBeNull();
  });

  it('a run has one whole success and no second, however many parts it has', async () => {
    const job = await addJob();
    const { job: running } = await claim(await settle((await claim(job)).job, { ...requeue, carried }, part));
    await settle(running, succeed, { status: 'succeeded', hadCarried: true });
    const insert = (n: number, run: number, isPart: boolean) =>
      database.pool.query(
        `insert into waybill.attempts (job_id, n, run, target, status, worker_id, is_part) values ($1, $2, $3, $4, 'succeeded', 'w', $5)`,
        [job.id, n, run, target, isPart],
      );
    await expect(insert(3, 1, false)).rejects.toMatchObject({ code: '23505', constraint: 'attempts_one_success' });
    await insert(4, 1, true);
    await insert(5, 2, false);
  });

  it('a claim of the version before still holds: it names no place', async () => {
    const job = await addJob();
    const { place: _place, prices: _prices, ...item } = { ord: 1, job: job.id, worker: workerId, ...requestFor(job) };
    const { rows } = await database.pool.query(
      'select ord, outcome, (job).*, request, history, prior_cost_nano, prior_unknown from waybill.claim_jobs($1::jsonb)',
      [JSON.stringify([item])],
    );
    expect(rows).toMatchObject([{ ord: 1, outcome: 'claimed', id: job.id, attempt: 1, history: '[]' }]);
    expect(await attemptsOf(job.id)).toMatchObject([{ status: 'started', place: null }]);
  });

  it('a settle of the version before still holds: the job ends, and what it does not know of stays', async () => {
    const job = await addJob();
    const { job: running } = await claim(await settle((await claim(job)).job, { ...requeue, carried }, part));
    const item = {
      ...{ ord: 1, job: job.id, attempt: running.attempt, status: 'succeeded', next: 'succeed' },
      ...{ final_status: 'succeeded', is_booked: false, duration_ms: 5 },
    };
    const { rows } = await database.pool.query(
      'select ord, is_fenced, (job).status from waybill.settle_attempts($1::jsonb, $2::text[], $3::text[])',
      [JSON.stringify([item]), ['"out"'], [null]],
    );
    expect(rows).toEqual([{ ord: 1, is_fenced: true, status: 'succeeded' }]);
    expect(await payloadOf(job.id)).toMatchObject({ output: '"out"', output_attempt: 2 });
    expect((await attemptsOf(job.id)).at(-1)).toMatchObject({ status: 'succeeded', is_part: false });
  });
});
