/** What happens to a job between its claim and its call, and between the end of its lease and the sweep. */
import { randomUUID } from 'node:crypto';
import { entryId } from '@waybill/shared/domain/ids.ts';
import { claimJobs } from '@waybill/shared/store/claim.ts';
import { type Settlement, settleAttempts } from '@waybill/shared/store/settle.ts';
import { closeLostAttempts } from '@waybill/shared/store/sweep.ts';
import { registerWorker } from '@waybill/shared/store/workers.ts';
import { runEntry } from '@waybill/workers/attempt/run.ts';
import { sweep } from '@waybill/workers/upkeep/sweep.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { plainClaim, settlementOf } from '../support/claims.ts';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { startTestWorker, type TestWorker } from '../support/worker-context.ts';

let worker: TestWorker;
let provider: ScriptedProvider;

beforeAll(async () => {
  provider = await startScriptedProvider(() => say('hello'));
  worker = await startTestWorker({
    providers: { p: { preset: 'openai', base_url: `${provider.url}/v1`, api_key: 'test' } },
  });
});
afterAll(async () => {
  await worker.close();
  await provider.stop();
});

const entryOf = (job: { id: string; seq: number; target: string }) => ({
  ...{ job: job.id, seq: job.seq, target: job.target, tenant: 'ten_default', chain: null },
  ...{ estimate: 10, attempt: 1, reason: 'submitted', traceparent: null },
});
const run = (job: Parameters<typeof entryOf>[0], context: TestWorker['context']) =>
  runEntry(entryOf(job), entryId(job.id, job.seq), new AbortController().signal, context);
const attemptsOf = async (id: string) =>
  (await worker.database.pool.query('select * from waybill.attempts where job_id = $1 order by n', [id])).rows;

test('a lease that was lost between claim and call makes no call, and costs nothing', async () => {
  const job = await worker.addJob(['p/m']);
  const ids = [worker.context.lease.id(), 'wrk_other'];
  const calls = provider.requests.length;
  const lost = { ...worker.context, lease: { ...worker.context.lease, id: () => ids.shift() ?? 'wrk_other' } };
  expect(await run(job, lost)).toMatchObject({ kind: 'failed' });
  expect(provider.requests.length).toBe(calls);
  expect(await attemptsOf(job.id)).toMatchObject([{ status: 'aborted', cost_nano: '0', cost_basis: 'none' }]);
  expect(await worker.readJob(job.id)).toMatchObject({ status: 'queued', seq: job.seq + 1 });
});

test('an answer that comes when its attempt was given up for lost ends nothing, and is paid for', async () => {
  const job = await worker.addJob(['p/m']);
  const lost = 'wrk_00000000000000000000000000000001';
  await registerWorker(worker.database, lost, 'test');
  const epoch = await worker.context.epochs.of('p');
  const request = { ...plainClaim, jobId: job.id, seq: job.seq, target: job.target, workerId: lost };
  const [claim] = await claimJobs(worker.database, [{ ...request, permit: randomUUID(), epoch }], []);
  if (claim?.kind !== 'claimed') throw new Error(`the claim was ${claim?.kind}`);
  await worker.database.pool.query('update waybill.workers set lease_until = now() where id = $1', [lost]);
  expect(await closeLostAttempts(worker.database, 100)).toBe(1);
  expect(await worker.readJob(job.id), 'not sent back yet').toMatchObject({ status: 'in_progress', attempt: 1 });
  const late: Settlement = settlementOf(claim.job, 41n);
  expect(await settleAttempts(worker.database, [late], [])).toEqual([{ kind: 'fence_lost' }]);
  expect(await worker.readJob(job.id)).toMatchObject({ status: 'in_progress', attempt: 1 });
  expect(await attemptsOf(job.id)).toMatchObject([{ cost_nano: '41', cost_basis: 'computed' }]);
  await sweep(worker.context);
  expect(await worker.readJob(job.id)).toMatchObject({ status: 'queued', attempt: 1 });
});

test('a cancel reaches a job while the turns of its conversation are read', async () => {
  const job = await worker.addJob(['p/m'], { conversation: 'slow to read' });
  const calls = provider.requests.length;
  const { kysely } = worker.database;
  const database = {
    ...worker.database,
    get kysely() {
      // Whoever reads now is between the claim and the call.
      if (worker.context.calls.size > 0) worker.context.calls.stop(job.id, 'cancelled');
      return kysely;
    },
  };
  await run(job, { ...worker.context, database });
  expect(provider.requests.length).toBe(calls);
  expect(await attemptsOf(job.id)).toMatchObject([{ status: 'aborted', cost_basis: 'none' }]);
});
