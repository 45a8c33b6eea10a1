/** Jobs in the backlog that their own target will never take, whoever else it takes. */
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { createDispatchState, type DispatchState, dispatchRound } from '@waybill/workers/dispatch/dispatcher.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startTestWorker, type TestWorker } from '../support/worker-context.ts';

/** Two entries for each of five calls at once. */
const window = 10;

let worker: TestWorker;
let state: DispatchState;

beforeAll(async () => {
  const each = { preset: 'openai', base_url: 'http://127.0.0.1:1/v1', api_key: 'test', limits: { concurrency: 5 } };
  worker = await startTestWorker({ providers: { p: each, q: each } });
});
beforeEach(async () => {
  await worker.database.pool.query('truncate waybill.jobs cascade');
  state = createDispatchState(worker.context);
});
afterAll(() => worker.close());

const waits = (count: number, targets: readonly string[]): Promise<JobRow[]> =>
  worker.addJobs(count, targets, { isDispatched: false });
const waitsAlone = async (targets: readonly string[]): Promise<JobRow> => {
  const [job] = await waits(1, targets);
  if (!job) throw new Error('the job was not stored');
  return job;
};
const round = () => dispatchRound(worker.context, state);

test.for([
  ['requires of all what none has', "require = '{nowhere}'"],
  ['excludes them all', "exclude_providers = '{p,q}'"],
] as const)('a job whose tenant %s waits for another configuration', async ([, change]) => {
  const job = await waitsAlone(['p/m', 'q/m']);
  await worker.database.pool.query(`update waybill.jobs set ${change} where id = $1`, [job.id]);
  await round();
  expect(await worker.readJob(job.id)).toMatchObject({ status: 'queued', seq: job.seq, waiting_reason: 'paused' });
});

test('a job that could go where a provider is switched off waits for that', async () => {
  const job = await waitsAlone(['p/m', 'gone/m']);
  await worker.database.pool.query(`update waybill.jobs set exclude_providers = '{p}' where id = $1`, [job.id]);
  await round();
  expect(await worker.readJob(job.id)).toMatchObject({ status: 'queued', waiting_reason: 'paused' });
});

test('jobs that may go elsewhere alone, where there is no room, do not hide those behind them', async () => {
  const others = await worker.addJobs(window, ['q/m']);
  expect(others.every(({ dispatched_at }) => dispatched_at !== null)).toBe(true);
  const stuck = await waits(60, ['p/m', 'q/m']);
  await worker.database.pool.query(`update waybill.jobs set exclude_providers = '{p}' where target = 'p/m'`);
  const [behind] = await waits(1, ['p/m']);
  for (let n = 0; n < 3; n += 1) {
    state.closedUntil.clear();
    await round();
  }
  expect((await worker.readJob(behind?.id ?? '')).dispatched_at).toBeInstanceOf(Date);
  const seen = await worker.readJob(stuck[0]?.id ?? '');
  expect(seen).toMatchObject({ target: 'p/m', dispatched_at: null, waiting_reason: 'recovery' });
  expect((seen.waiting_until?.getTime() ?? 0) - Date.now(), 'for a moment').toBeLessThanOrEqual(5_000);
});
