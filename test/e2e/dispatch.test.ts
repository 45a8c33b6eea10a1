/** Where the backlog of a target goes that can be called little or not at all: on as far as there is room, or it waits. */
import { wholeProvider } from '@waybill/shared/routing/target-facts.ts';
import { readDecisions } from '@waybill/shared/store/decisions.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import {
  createDispatchState,
  type DispatchContext,
  type DispatchState,
  dispatchRound,
  startDispatcher,
} from '@waybill/workers/dispatch/dispatcher.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '../support/waybill.ts';
import { type MoreOfJob, startTestWorker, type TestWorker } from '../support/worker-context.ts';

const hour = 3_600_000;
/** Two entries for each of five calls at once; one of the ten is for interactive jobs. */
const window = 10;
const [interactive, normal, bulk] = [0, 1, 2];

let worker: TestWorker;
let state: DispatchState;

beforeAll(async () => {
  const each = { preset: 'openai', base_url: 'http://127.0.0.1:1/v1', api_key: 'test', limits: { concurrency: 5 } };
  worker = await startTestWorker({
    providers: { p: each, q: each },
    chains: {
      asks: { targets: ['p/m', 'q/m'], mode: 'manual' },
      hurries: { targets: ['p/m', 'q/m'], mode: 'immediate' },
      patient: { targets: ['p/m', 'q/m'], on_limit: { normal: '10m' } },
    },
  });
});
beforeEach(async () => {
  await worker.database.pool.query('truncate waybill.jobs cascade');
  await worker.coordination.reset();
  worker.context.fleet.forget();
  state = createDispatchState(worker.context);
});
afterAll(() => worker.close());

const waits = (count: number, targets: readonly string[], more: MoreOfJob = {}): Promise<JobRow[]> =>
  worker.addJobs(count, targets, { isDispatched: false, ...more });
const waitsAlone = async (targets: readonly string[], more: MoreOfJob = {}): Promise<JobRow> => {
  const [job] = await waits(1, targets, more);
  if (!job) throw new Error('the job was not stored');
  return job;
};
const round = (context: DispatchContext = worker.context) => dispatchRound(context, state);
const anyTime = () => state.closedUntil.clear();
/** Jobs that a test of more than one round looks at are due again. */
const release = () => {
  state.releaseAfter = '';
  anyTime();
};

async function setBreaker(target: string, kind: 'open' | 'half_open', untilMs: number | null = Date.now() + hour) {
  const outage = { cooldownMs: 60_000, why: 'consecutive_failures', sinceMs: Date.now() } as const;
  const next = kind === 'open' ? { kind, untilMs, ...outage } : { kind, successes: 0, ...outage };
  const seen = await worker.coordination.readBreaker(target, 60_000);
  expect(await worker.coordination.swapBreaker(seen, next, null)).toBe(true);
  worker.context.fleet.forget();
}
async function closeBreaker(target: string) {
  await worker.coordination.resetBreaker(target);
  worker.context.fleet.forget();
}

interface Seen {
  readonly id: string;
  readonly target: string;
  readonly seq: number;
  readonly isDispatched: boolean;
  readonly isDue: boolean;
  readonly reason: string | null;
  /** Of the row: another one is another version of it. */
  readonly version: string;
}
async function look(): Promise<Seen[]> {
  const { rows } = await worker.database.pool.query(
    `select id, target, seq, dispatched_at is not null as "isDispatched", available_at <= clock_timestamp() as "isDue",
       waiting_reason as reason, xmin::text || ' ' || ctid::text as version
     from waybill.jobs where status = 'queued' order by id`,
  );
  return rows as unknown as Seen[];
}
const lookAt = async (target: string) => (await look()).filter((job) => job.target === target);
const count = <Of>(all: readonly Of[], is: (one: Of) => boolean) => all.filter(is).length;
/** What is in the queue of a target is done at once. */
const finish = (target: string) =>
  worker.database.pool.query(
    `update waybill.jobs set status = 'succeeded', dispatched_at = null where status = 'queued' and dispatched_at is not null and target = $1`,
    [target],
  );

test.for<[string, () => Promise<void>]>([
  ['whose breaker is open', () => setBreaker('p/m', 'open')],
  ['whose breaker is open until somebody closes it', () => setBreaker('p/m', 'open', null)],
  ['of a provider that is open as a whole', () => setBreaker(wholeProvider('p/m'), 'open')],
])(
  'the jobs of a target %s go on as far as the next one has room, and the others stay as they are',
  async ([, fall]) => {
    await fall();
    await waits(25, ['p/m', 'q/m']);
    const before = new Map((await look()).map((job) => [job.id, job]));
    await round();
    const moved = await lookAt('q/m');
    expect(moved).toHaveLength(window);
    for (const job of moved) expect(job).toMatchObject({ isDispatched: true, seq: 2, reason: null });
    const left = await lookAt('p/m');
    expect(left.map((job) => before.get(job.id))).toEqual(left);
    anyTime();
    await round();
    expect(await lookAt('p/m'), 'there is no room').toEqual(left);
    await finish('q/m');
    anyTime();
    await round();
    expect(await lookAt('q/m')).toHaveLength(window);
    await finish('q/m');
    await round();
    expect(await lookAt('q/m')).toHaveLength(5);
    expect(await lookAt('p/m')).toEqual([]);
  },
);

test('a job that goes on says why', async () => {
  await setBreaker('p/m', 'open');
  const job = await waitsAlone(['p/m', 'q/m']);
  await round();
  const [decision, ...more] = await readDecisions(worker.database, job.id);
  expect(more).toEqual([]);
  expect(decision).toMatchObject({
    ...{ kind: 'fall_back', target: 'p/m', next_target: 'q/m', why: 'breaker', run: 1, seq: 2 },
    config_version: worker.context.settings().version,
  });
  expect(JSON.parse(decision?.detail ?? '')).toEqual([
    { target: 'p/m', reason: 'breaker', detail: 'its breaker is open' },
  ]);
});

test('a chain that asks before it goes on parks the job', async () => {
  await setBreaker('p/m', 'open');
  const job = await waitsAlone(['p/m', 'q/m'], { chain: 'asks' });
  await round();
  expect(await worker.readJob(job.id)).toMatchObject({
    ...{ status: 'awaiting_approval', target: 'q/m', provider: 'q', seq: 2, dispatched_at: null },
    waiting_reason: 'approval',
  });
  expect(await readDecisions(worker.database, job.id)).toMatchObject([
    { kind: 'park', target: 'p/m', next_target: 'q/m', why: 'breaker' },
  ]);
});

test.for([
  ['interactive', interactive],
  ['normal', normal],
  ['bulk', bulk],
] as const)('a target that is tried again is given one %s job, and the others go elsewhere', async ([, priority]) => {
  await setBreaker('p/m', 'half_open');
  await waits(6, ['p/m', 'q/m'], { priority });
  await round();
  expect((await lookAt('p/m')).map(({ isDispatched, seq }) => ({ isDispatched, seq }))).toEqual([
    { isDispatched: true, seq: 1 },
  ]);
  expect(await lookAt('q/m')).toHaveLength(5);
});

test('they wait a moment for the one call, however long another target is closed', async () => {
  await setBreaker('p/m', 'half_open');
  await setBreaker('q/m', 'open', Date.now() + 24 * hour);
  await waits(2, ['p/m', 'q/m']);
  await round();
  const [job] = (await look()).filter(({ isDispatched }) => !isDispatched);
  expect(job).toMatchObject({ target: 'p/m', reason: 'breaker' });
  const until = (await worker.readJob(job?.id ?? '')).available_at.getTime();
  expect(until).toBeLessThan(Date.now() + hour);
});

test('an open breaker whose time is over is tried again', async () => {
  await setBreaker('p/m', 'open', Date.now() - 1);
  await waits(3, ['p/m']);
  await round();
  expect(count(await lookAt('p/m'), ({ isDispatched }) => isDispatched)).toBe(1);
});

test('a next target that is tried again is sent one job', async () => {
  await setBreaker('p/m', 'open');
  await setBreaker('q/m', 'half_open');
  await waits(5, ['p/m', 'q/m']);
  await round();
  expect(await lookAt('q/m')).toHaveLength(1);
  expect((await lookAt('p/m')).map(({ seq }) => seq)).toEqual([1, 1, 1, 1]);
});

test('the others wait for the one call where they can go nowhere else, and go when it is well', async () => {
  await setBreaker('p/m', 'half_open');
  await waits(6, ['p/m']);
  await round();
  const waiting = (await look()).filter(({ isDispatched }) => !isDispatched);
  expect(waiting).toHaveLength(5);
  for (const job of waiting) expect(job).toMatchObject({ target: 'p/m', seq: 1, reason: 'breaker' });
  await finish('p/m');
  await closeBreaker('p/m');
  release();
  await round();
  const all = await look();
  expect(all).toHaveLength(5);
  for (const job of all) expect(job).toMatchObject({ isDispatched: true, reason: null, seq: 1 });
});

test.for([
  ['for as long as it is known', Date.now() + 24 * hour],
  ['where nobody knows how long', null],
] as const)('jobs that can go nowhere wait for the breaker %s, until something has changed', async ([, untilMs]) => {
  await setBreaker('p/m', 'open', untilMs);
  await waits(3, ['p/m']);
  await round();
  for (const job of await look())
    expect(job).toMatchObject({ isDispatched: false, isDue: false, reason: 'breaker', seq: 1 });
  await closeBreaker('p/m');
  anyTime();
  state.isBudgetFreed = true;
  await round();
  expect(
    count(await look(), ({ isDispatched }) => isDispatched),
    'they are not due',
  ).toBe(0);
  release();
  await round();
  expect(count(await look(), ({ isDispatched }) => isDispatched)).toBe(3);
});

test('a job whose other target has failed it for good is held for what its own lacks', async () => {
  const job = await waitsAlone(['gone/m', 'q/m']);
  await worker.database.pool.query(
    `insert into waybill.attempts (job_id, n, run, target, status, failure_kind, worker_id) values ($1, 1, 1, 'q/m', 'failed', 'auth', 'gone')`,
    [job.id],
  );
  await worker.database.pool.query('update waybill.jobs set attempt = 1 where id = $1', [job.id]);
  await round();
  expect(await worker.readJob(job.id)).toMatchObject({ target: 'gone/m', seq: 1, waiting_reason: 'paused' });
});

test('a target whose jobs can go nowhere is not read again within a second', async () => {
  await setBreaker('p/m', 'open');
  await waits(1, ['p/m']);
  const from = performance.now();
  await round();
  const until = state.closedUntil.get('p/m') ?? 0;
  expect(until).toBeGreaterThanOrEqual(from + 1_000);
  expect(until).toBeLessThanOrEqual(performance.now() + 1_000);
  // That second, however slow this machine is.
  state.closedUntil.set('p/m', Number.POSITIVE_INFINITY);
  await closeBreaker('p/m');
  const job = await waitsAlone(['p/m']);
  const elsewhere = await waitsAlone(['q/m']);
  await round();
  expect((await worker.readJob(job.id)).dispatched_at).toBeNull();
  expect((await worker.readJob(elsewhere.id)).dispatched_at, 'the others are served').toBeInstanceOf(Date);
  state.closedUntil.set('p/m', performance.now());
  await round();
  expect((await worker.readJob(job.id)).dispatched_at).toBeInstanceOf(Date);
  expect(state.closedUntil.has('p/m')).toBe(false);
});

/** As settles, or the dispatcher, have left them. */
const hold = (reason: string) =>
  worker.database.pool.query(
    `update waybill.jobs set waiting_reason = $1, waiting_since = now(), available_at = now() + interval '1 hour', waiting_until = now() + interval '1 hour'`,
    [reason],
  );

test('jobs that wait for a budget are woken a few at a time, each time something of it is free', async () => {
  await waits(50, ['p/m']);
  await hold('budget');
  await round();
  expect(count(await look(), ({ isDue }) => isDue)).toBe(0);
  for (const due of [20, 40, 50]) {
    state.isBudgetFreed = true;
    await round();
    expect(state.isBudgetFreed).toBe(false);
    expect(count(await look(), ({ isDue }) => isDue)).toBe(due);
    await round();
    expect(count(await look(), ({ isDue }) => isDue)).toBe(due);
  }
});

test('a change of anything else wakes them all', async () => {
  await waits(50, ['p/m']);
  await hold('budget');
  release();
  await round();
  expect(count(await look(), ({ isDue }) => isDue)).toBe(50);
  expect(state.releaseAfter).toBeNull();
});

test('more jobs than are woken in one round are woken in the next ones', async () => {
  await waits(1_200, ['p/m']);
  await hold('recovery');
  release();
  await round();
  expect(count(await look(), ({ isDue }) => isDue)).toBe(1_000);
  expect(state.releaseAfter).not.toBeNull();
  await round();
  expect(count(await look(), ({ isDue }) => isDue)).toBe(1_200);
});

test('a job that somebody has paused neither goes nor is woken', async () => {
  const [paused, asleep] = [await waitsAlone(['p/m']), await waitsAlone(['p/m'])];
  const pause = (id: string, until: string) =>
    worker.database.pool.query(
      `update waybill.jobs set paused_at = now(), waiting_reason = 'paused', waiting_since = now(), available_at = $2 where id = $1`,
      [id, until],
    );
  // The first as it is between the dispatcher's read and its mark.
  await pause(paused.id, '2026-01-01T00:00:00Z');
  await pause(asleep.id, '9999-01-01T00:00:00Z');
  const other = await waitsAlone(['p/m']);
  release();
  state.isBudgetFreed = true;
  await round();
  const after = { dispatched_at: null, waiting_reason: 'paused', seq: 1 };
  expect(await worker.readJob(paused.id)).toMatchObject({ ...after, available_at: new Date('2026-01-01T00:00:00Z') });
  expect(await worker.readJob(asleep.id)).toMatchObject({ ...after, available_at: new Date('9999-01-01T00:00:00Z') });
  expect((await worker.readJob(other.id)).dispatched_at).toBeInstanceOf(Date);
});

test.for<[string, { priority?: number; chain?: string; forMs: number; sinceMs: number | null }, 'waits' | 'goes on']>([
  ['an interactive job', { priority: interactive, forMs: 4_000, sinceMs: null }, 'waits'],
  ['an interactive job', { priority: interactive, forMs: 6_000, sinceMs: null }, 'goes on'],
  ['an interactive job that has waited', { priority: interactive, forMs: 4_000, sinceMs: 2_000 }, 'goes on'],
  ['a normal job', { forMs: 50_000, sinceMs: null }, 'waits'],
  ['a normal job', { forMs: 70_000, sinceMs: null }, 'goes on'],
  ['a normal job that has waited', { forMs: 50_000, sinceMs: 9_000 }, 'waits'],
  ['a normal job that has waited', { forMs: 50_000, sinceMs: 11_000 }, 'goes on'],
  ['a normal job of a patient chain', { chain: 'patient', forMs: 500_000, sinceMs: 90_000 }, 'waits'],
  ['a normal job of a patient chain', { chain: 'patient', forMs: 500_000, sinceMs: 110_000 }, 'goes on'],
  ['a job of a chain that hurries', { chain: 'hurries', forMs: 1_000, sinceMs: null }, 'goes on'],
  ['a bulk job', { priority: bulk, forMs: hour, sinceMs: hour }, 'waits'],
])('a limit: %s (%o) %s', async ([, { forMs, sinceMs, ...more }, expected]) => {
  // A clock that stands still, far enough ahead that the pause is not over in this run.
  const nowMs = Date.now() + hour;
  await worker.coordination.pause('model:p/m', 'rate_limit', nowMs + forMs);
  worker.context.fleet.forget();
  const job = await waitsAlone(['p/m', 'q/m'], more);
  if (sinceMs !== null)
    await worker.database.pool.query('update waybill.jobs set limited_since = $2 where id = $1', [
      job.id,
      new Date(nowMs - sinceMs),
    ]);
  await round({ ...worker.context, now: () => nowMs });
  const after = await worker.readJob(job.id);
  if (expected === 'goes on') {
    expect(after).toMatchObject({ target: 'q/m', seq: 2, limited_since: null });
    expect(await readDecisions(worker.database, job.id)).toMatchObject([{ kind: 'fall_back', why: 'limited' }]);
  } else {
    const until = new Date(nowMs + forMs);
    expect(after).toMatchObject({
      ...{ target: 'p/m', seq: 1, dispatched_at: null, waiting_reason: 'rate_limit', waiting_until: until },
      available_at: until,
      limited_since: sinceMs === null ? expect.any(Date) : new Date(nowMs - sinceMs),
    });
  }
});

test('a limit that is left in vain is waited for', async () => {
  const nowMs = Date.now() + hour;
  await worker.coordination.pause('model:p/m', 'rate_limit', nowMs + 3 * hour);
  await setBreaker('q/m', 'open', nowMs + 2 * hour);
  const job = await waitsAlone(['p/m', 'q/m']);
  await round({ ...worker.context, now: () => nowMs });
  expect(await worker.readJob(job.id)).toMatchObject({
    ...{ target: 'p/m', seq: 1, waiting_reason: 'recovery', available_at: new Date(nowMs + 2 * hour) },
  });
});

test('the dispatcher that runs by itself wakes jobs when it is told to', async () => {
  await setBreaker('p/m', 'open', Date.now() + 24 * hour);
  const held = await waitsAlone(['p/m']);
  await round();
  const unpaid = await waitsAlone(['q/m']);
  await worker.database.pool.query(
    `update waybill.jobs set waiting_reason = 'budget', available_at = now() + interval '1 hour' where id = $1`,
    [unpaid.id],
  );
  await closeBreaker('p/m');
  const isDispatched = ({ dispatched_at }: JobRow) => dispatched_at !== null;
  const dispatcher = startDispatcher(worker.context);
  try {
    dispatcher.releaseBudget();
    await eventually(() => worker.readJob(unpaid.id), isDispatched);
    expect(await worker.readJob(held.id)).toMatchObject({ dispatched_at: null, waiting_reason: 'breaker' });
    dispatcher.release();
    await eventually(() => worker.readJob(held.id), isDispatched);
  } finally {
    await dispatcher.stop();
  }
});
