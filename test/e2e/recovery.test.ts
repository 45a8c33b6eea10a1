/** One step at a time: stale entries, dead workers, lost entries, late answers, poison, paused and vanished targets. */
import { randomUUID } from 'node:crypto';
import { entryId } from '@waybill/shared/domain/ids.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { addJobEntries } from '@waybill/shared/queue/job-entries.ts';
import { claimJobs } from '@waybill/shared/store/claim.ts';
import { swapEpoch } from '@waybill/shared/store/epochs.ts';
import { cancelJob } from '@waybill/shared/store/job-end.ts';
import { type Settlement, settleAttempts } from '@waybill/shared/store/settle.ts';
import { takeOverAlone } from '@waybill/shared/store/workers.ts';
import { runEntry } from '@waybill/workers/attempt/run.ts';
import { createDispatchState, dispatchRound } from '@waybill/workers/dispatch/dispatcher.ts';
import { sweep } from '@waybill/workers/upkeep/sweep.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { plainClaim } from '../support/claims.ts';
import { callEnd } from '../support/coordination-under-test.ts';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { keepAlive, startTestWorker, type TestWorker } from '../support/worker-context.ts';

let raw = '';
let worker: TestWorker;
let provider: ScriptedProvider;

beforeAll(async () => {
  provider = await startScriptedProvider((request) => {
    if (request.body.model === 'raw') return { kind: 'raw', body: raw };
    return request.body.model === 'broken' ? refuse(401) : say('hello');
  });
  const each = { preset: 'openai', base_url: `${provider.url}/v1`, api_key: 'test' };
  worker = await startTestWorker({
    providers: { p: each, q: { ...each, labels: ['eu'] }, off: { ...each, enabled: false } },
  });
});

afterAll(async () => {
  await worker.close();
  await provider.stop();
});

const entryOf = (job: { id: string; seq: number; target: string }) => ({
  job: job.id,
  seq: job.seq,
  target: job.target,
  tenant: 'ten_default',
  chain: null,
  estimate: 10,
  attempt: 1,
  reason: 'submitted',
  traceparent: null,
});
const run = (job: Parameters<typeof entryOf>[0]) =>
  runEntry(entryOf(job), entryId(job.id, job.seq), new AbortController().signal, worker.context);
const claimAs = async (job: { id: string; seq: number; target: string }, workerId: string) => {
  const epoch = await worker.context.epochs.of(splitTarget(job.target).provider);
  const request = { ...plainClaim, jobId: job.id, seq: job.seq, target: job.target, workerId };
  const claims = await claimJobs(worker.database, [{ ...request, permit: randomUUID(), epoch }], []);
  return claims[0] as (typeof claims)[number];
};
const dispatch = () => dispatchRound(worker.context, createDispatchState(worker.context));
/** Forgets pauses in the store and in what was read of it. */
const forgetPauses = async () => {
  await worker.coordination.reset();
  worker.context.fleet.forget();
};
const attemptsOf = async (id: string) =>
  (
    await worker.database.pool.query(
      'select n, target, status, cost_nano, cost_basis from waybill.attempts where job_id = $1 order by n',
      [id],
    )
  ).rows;

test('an entry that comes twice runs once', async () => {
  const job = await worker.addJob(['p/m']);
  const calls = provider.requests.length;
  expect(await run(job)).toEqual({ kind: 'done', note: 'succeeded' });
  expect(await run(job)).toMatchObject({ kind: 'done', note: expect.stringContaining('stale') });
  expect(provider.requests.length - calls).toBe(1);
});

test('two workers that claim at once: one gets the job', async () => {
  const job = await worker.addJob(['p/m']);
  const other = await worker.otherWorker();
  const claims = await Promise.all([claimAs(job, worker.context.lease.id()), claimAs(job, other.id)]);
  expect(claims.map((claim) => claim.kind).toSorted()).toEqual(['claimed', 'stale']);
});

test('a dead worker cannot claim, and a live one takes over what it left', async () => {
  const job = await worker.addJob(['p/m']);
  const other = await worker.otherWorker();
  expect((await claimAs(job, other.id)).kind).toBe('claimed');
  expect((await run(job)).kind).toBe('done');
  expect(await attemptsOf(job.id)).toMatchObject([{ status: 'started' }]);
  await other.kill();
  expect(await run(job)).toEqual({ kind: 'done', note: 'succeeded' });
  expect(await attemptsOf(job.id)).toMatchObject([
    { n: 1, status: 'unknown', cost_nano: null, cost_basis: 'unknown' },
    { n: 2, status: 'succeeded' },
  ]);
  expect((await claimAs(await worker.addJob(['p/m']), other.id)).kind).toBe('stale');
});

test('the sweep sends the work of dead workers back, under a new seq', async () => {
  const job = await worker.addJob(['p/m']);
  const other = await worker.otherWorker();
  await claimAs(job, other.id);
  await other.kill();
  await sweep(worker.context);
  expect(await worker.readJob(job.id)).toMatchObject({ status: 'queued', seq: job.seq + 1, dispatched_at: null });
  expect((await run(job)).kind, 'the old entry is stale').toBe('done');
  expect(await attemptsOf(job.id)).toMatchObject([{ status: 'unknown' }]);
});

test('a late answer corrects the ledger, and changes nothing else', async () => {
  const job = await worker.addJob(['p/m']);
  const other = await worker.otherWorker();
  const claim = await claimAs(job, other.id);
  await other.kill();
  await run(job);
  const usage = {
    inputTokens: 10,
    outputTokens: 5,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    cacheWrite1hTokens: 0,
    reasoningTokens: 0,
    audioInputTokens: 0,
    audioOutputTokens: 0,
  };
  const end = {
    jobId: job.id,
    attempt: claim.kind === 'claimed' ? claim.job.attempt : 0,
    tenantId: 'ten_default',
    target: 'p/m',
    status: 'succeeded' as const,
    failure: null,
    httpStatus: 200,
    durationMs: 5,
    firstByteMs: 1,
    retryAtMs: null,
    requestId: null,
    responseModel: 'm',
    usage,
    warnings: [],
    cost: { nano: 77n, basis: 'computed' as const, reason: null, price: null },
    isPart: false,
    hadCarried: false,
  };
  const late: Settlement = { end, next: { kind: 'succeed', output: '{"late":true}' }, telling: null, decided: null };
  expect(await settleAttempts(worker.database, [late], [])).toEqual([{ kind: 'fence_lost' }]);
  expect(await attemptsOf(job.id)).toMatchObject([
    { n: 1, status: 'superseded', cost_nano: '77' },
    { n: 2, status: 'succeeded' },
  ]);
  const { rows } = await worker.database.pool.query(
    'select cost_nano, corrects_id is not null as corrects from waybill.ledger where job_id = $1 and attempt = 1 order by id',
    [job.id],
  );
  expect(rows).toEqual([
    { cost_nano: null, corrects: false },
    { cost_nano: '77', corrects: true },
  ]);
  const output = await worker.database.pool.query('select output from waybill.payloads where job_id = $1', [job.id]);
  expect(output.rows[0]?.output).not.toContain('late');
  // The same settle again, as after a lost connection: nothing more.
  expect(await settleAttempts(worker.database, [late], [])).toEqual([{ kind: 'fence_lost' }]);
  expect(
    (await worker.database.pool.query('select 1 from waybill.ledger where job_id = $1 and attempt = 1', [job.id])).rows,
  ).toHaveLength(2);
});

test('a cancelled job keeps its end, and the call that was running its cost', async () => {
  const job = await worker.addJob(['p/m']);
  await claimAs(job, worker.context.lease.id());
  expect((await cancelJob(worker.database, 'ten_default', job.id))?.job.status).toBe('cancelled');
  expect(await cancelJob(worker.database, 'ten_default', job.id)).toBeNull();
  expect((await worker.readJob(job.id)).seq).toBe(job.seq + 1);
});

test('five unknown attempts in a row fail the job as poison, in the sweep as in the claim', async () => {
  const swept = await worker.addJob(['p/m']);
  const claimed = await worker.addJob(['p/m']);
  for (let n = 1; n <= 5; n += 1) {
    for (const { id } of [swept, claimed]) {
      const other = await worker.otherWorker();
      expect((await claimAs(await worker.readJob(id), other.id)).kind).toBe('claimed');
      await other.kill();
      if (n === 5 && id === claimed.id) continue;
      await sweep(worker.context);
    }
  }
  // The sweep of the last round took both: give one its dead claim back, and let the claim find it.
  expect(await worker.readJob(swept.id)).toMatchObject({ status: 'failed', error_kind: 'poison_job' });
  const last = await worker.readJob(claimed.id);
  expect(last.status).toBe('in_progress');
  expect(await run(last)).toMatchObject({ kind: 'failed', note: 'failed: poison_job' });
  expect(await worker.readJob(claimed.id)).toMatchObject({ status: 'failed', error_kind: 'poison_job' });
});

test('an entry that vanished from the queue is added again under a new seq', async () => {
  const [lost, kept] = [await worker.addJob(['p/m']), await worker.addJob(['p/m'])];
  await addJobEntries(worker.queues, [kept], 'submitted');
  await worker.database.pool.query(
    `update waybill.jobs set dispatched_at = now() - interval '20 seconds', available_at = now() - interval '20 seconds' where id = any($1)`,
    [[lost.id, kept.id]],
  );
  await sweep(worker.context);
  expect(await worker.readJob(lost.id)).toMatchObject({ seq: lost.seq + 1, dispatched_at: null });
  expect(await worker.readJob(kept.id)).toMatchObject({ seq: kept.seq, dispatched_at: expect.any(Date) });
});

test("an entry that was picked up a while ago without a claim is nobody's: its pick-up was lost on the way", async () => {
  const job = await worker.addJob(['q/m']);
  await addJobEntries(worker.queues, [job], 'submitted');
  const [held, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const pool = worker.queues.queue('q').startWorker(async (_data, id) => {
    if (id !== entryId(job.id, job.seq)) return { kind: 'done', note: 'of another test' };
    held.resolve();
    await release.promise;
    return { kind: 'done', note: 'stale' };
  }, 1);
  await held.promise;
  await worker.database.pool.query(
    `update waybill.jobs set dispatched_at = now() - interval '20 seconds', available_at = now() - interval '20 seconds' where id = $1`,
    [job.id],
  );
  await sweep(worker.context);
  expect(await worker.readJob(job.id), 'it may be waiting for its permit').toMatchObject({ seq: job.seq });
  await sweep({ ...worker.context, now: () => Date.now() + 20_000 });
  expect(await worker.readJob(job.id)).toMatchObject({ status: 'queued', seq: job.seq + 1, dispatched_at: null });
  release.resolve();
  await pool.close();
});

test('a credential that was refused pauses its provider for everyone, and the backlog moves on', async () => {
  const refused = await worker.addJob(['p/broken', 'q/m']);
  expect(await run(refused)).toMatchObject({ kind: 'failed', note: expect.stringMatching(/^fallback -> q\/m: auth/) });
  const waiting = await worker.addJob(['p/m', 'q/m'], { isDispatched: false });
  const alone = await worker.addJob(['p/m'], { isDispatched: false });
  await dispatch();
  expect(await worker.readJob(waiting.id)).toMatchObject({ target: 'q/m', seq: waiting.seq + 1 });
  expect(await worker.readJob(alone.id)).toMatchObject({
    target: 'p/m',
    waiting_reason: 'recovery',
    dispatched_at: null,
  });
  await forgetPauses();
});

test('an entry whose target is paused by the time it is picked up goes back to the backlog without a call', async () => {
  const job = await worker.addJob(['p/m']);
  await worker.coordination.pause('provider:p', 'region', Date.now() + 60_000);
  worker.context.fleet.forget();
  const calls = provider.requests.length;
  expect(await run(job)).toEqual({ kind: 'done', note: expect.stringContaining('returned to the backlog') });
  expect(provider.requests.length).toBe(calls);
  expect(await worker.readJob(job.id)).toMatchObject({ status: 'queued', seq: job.seq + 1, dispatched_at: null });
  expect(await attemptsOf(job.id)).toEqual([]);
  await forgetPauses();
});

test('a permit of an epoch that is over claims nothing; the job is tried again at once', async () => {
  // A first call, so that the store holds the epoch whatever ran before this test.
  expect(await run(await worker.addJob(['p/m']))).toEqual({ kind: 'done', note: 'succeeded' });
  const job = await worker.addJob(['p/m']);
  const before = await worker.context.epochs.of('p');
  expect(await swapEpoch(worker.database, 'p', before, randomUUID())).toBe(true);
  expect(await swapEpoch(worker.database, 'p', before, randomUUID()), 'one process wins').toBe(false);
  expect(await run(job)).toMatchObject({ kind: 'delay' });
  expect(await attemptsOf(job.id)).toEqual([]);
  expect(await run(job)).toEqual({ kind: 'done', note: 'succeeded' });
  expect(await worker.context.epochs.of('p')).not.toBe(before);
});

test('jobs of a provider that is switched off go to the next target, or wait where they are', async () => {
  const moves = await worker.addJob(['off/m', 'p/m']);
  await run(moves);
  expect(await worker.readJob(moves.id)).toMatchObject({ dispatched_at: null, seq: moves.seq + 1 });
  // It is left alone for a moment, so that a dispatcher that knows less does not send it back at once.
  await worker.database.pool.query(`update waybill.jobs set available_at = now() where id = $1`, [moves.id]);
  const stays = await worker.addJob(['off/m'], { isDispatched: false });
  await dispatch();
  expect(await worker.readJob(moves.id)).toMatchObject({ target: 'p/m' });
  expect(await worker.readJob(stays.id)).toMatchObject({ target: 'off/m', waiting_reason: 'paused' });
});

test('a label that a target lost since the job was accepted is missed in the claim', async () => {
  const job = await worker.addJob(['p/m', 'q/m']);
  await worker.database.pool.query(`update waybill.jobs set require = '{eu}' where id = $1`, [job.id]);
  expect(await run(job)).toMatchObject({ kind: 'failed', note: 'fallback -> q/m: label' });
  const nowhere = await worker.addJob(['p/m']);
  await worker.database.pool.query(`update waybill.jobs set require = '{mars}' where id = $1`, [nowhere.id]);
  await run(nowhere);
  expect(await worker.readJob(nowhere.id)).toMatchObject({ status: 'failed', error_kind: 'requirement_unmet' });
  expect(await attemptsOf(nowhere.id), 'no call was made').toEqual([]);
});

test('the window bounds what waits in a queue, whatever the backlog, and keeps places for interactive jobs', async () => {
  const dispatched = async () => {
    const { rows } = await worker.database.pool.query(
      `select priority, count(*)::int as n from waybill.jobs where target = 'q/bounded' and dispatched_at is not null group by priority order by priority`,
    );
    return rows;
  };
  for (let n = 0; n < 200; n += 1) await worker.addJob(['q/bounded'], { isDispatched: false });
  await dispatch();
  // 64 places for 32 calls at once; a tenth of them, rounded up, is for interactive jobs alone.
  expect(await dispatched()).toEqual([{ priority: 1, n: 57 }]);
  await dispatch();
  expect(await dispatched()).toEqual([{ priority: 1, n: 57 }]);
  for (let n = 0; n < 20; n += 1) await worker.addJob(['q/bounded'], { isDispatched: false, priority: 0 });
  await dispatch();
  await dispatch();
  expect(await dispatched()).toEqual([
    { priority: 0, n: 7 },
    { priority: 1, n: 57 },
  ]);
});

test('a start under the lock returns what was dispatched, and knows that the others are dead', async () => {
  const job = await worker.addJob(['p/fresh']);
  const other = await worker.otherWorker();
  await takeOverAlone(worker.database);
  await keepAlive(worker.database, worker.context.lease.id());
  expect(await worker.readJob(job.id)).toMatchObject({ dispatched_at: null, seq: job.seq + 1 });
  const { rows } = await worker.database.pool.query('select waybill.is_alive($1) as is_alive', [other.id]);
  expect(rows[0]?.is_alive).toBe(false);
  await keepAlive(worker.database, worker.context.lease.id());
});

test('usage that does not add up, or no ledger could hold, does not keep an attempt open', async () => {
  for (const usage of [
    { prompt_tokens: 10, completion_tokens: 9e15 },
    { prompt_tokens: 1, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 99 } },
  ]) {
    raw = JSON.stringify({ choices: [{ message: { content: 'paid' }, finish_reason: 'stop' }], usage });
    const job = await worker.addJob(['p/raw']);
    expect(await run(job)).toEqual({ kind: 'done', note: 'succeeded' });
    expect(await attemptsOf(job.id)).toMatchObject([{ status: 'succeeded' }]);
  }
});

test('a permit whose return was lost expires, while those in use are renewed', async () => {
  const epoch = await worker.context.epochs.of('p');
  await worker.coordination.restore('p', epoch, []);
  const held = (token: string) => ({ token, target: 'p/one', place: 'default' });
  const places = [{ id: 'default', concurrency: 1 }];
  const take = (token: string) => worker.coordination.takePermit({ ...held(token), places, epoch });
  expect(await take('lost')).toMatchObject({ kind: 'go', place: 'default' });
  expect(await take('other')).toMatchObject({ kind: 'wait' });
  await worker.coordination.settlePermit({ ...callEnd, ...held('lost'), concurrency: 1 });
  await worker.database.pool.query(
    `insert into coordination.permits (token, target, expires_at) values ('lost', 'p/one', now() - interval '1 second')`,
  );
  expect(await take('used')).toMatchObject({ kind: 'go', place: 'default' });
  await worker.database.pool.query(`update coordination.permits set expires_at = now() + interval '1 second'`);
  await worker.coordination.renewPermits();
  const { rows } = await worker.database.pool.query(
    `select token from coordination.permits where target = 'p/one' and expires_at > now() + interval '20 seconds'`,
  );
  expect(rows).toEqual([{ token: 'used' }]);
  await worker.coordination.givePermitBack(held('used'));
});

test('poison is counted in the present run alone', async () => {
  const job = await worker.addJob(['p/m']);
  await worker.database.pool.query(`update waybill.jobs set run = 2, attempt = 5 where id = $1`, [job.id]);
  await worker.database.pool.query(
    `insert into waybill.attempts (job_id, n, run, target, status, worker_id) select $1, n, 1, 'p/m', 'unknown', 'gone' from generate_series(1, 5) n`,
    [job.id],
  );
  expect(await run(await worker.readJob(job.id))).toEqual({ kind: 'done', note: 'succeeded' });
});

test('a target that was left for a limit is eligible again when the limit is over', async () => {
  const job = await worker.addJob(['p/m', 'q/m'], { isDispatched: false });
  await worker.database.pool.query(
    `insert into waybill.attempts (job_id, n, run, target, status, failure_kind, retry_at, worker_id) values ($1, 1, 1, 'q/m', 'failed', 'rate_limit', now() - interval '1 minute', 'gone')`,
    [job.id],
  );
  await worker.database.pool.query('update waybill.jobs set attempt = 1 where id = $1', [job.id]);
  await worker.coordination.pause('provider:p', 'region', Date.now() + 60_000);
  worker.context.fleet.forget();
  await dispatch();
  expect(await worker.readJob(job.id)).toMatchObject({ target: 'q/m' });
  await forgetPauses();
});
