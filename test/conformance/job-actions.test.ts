/** Actions on many jobs, on both stores: exactly the jobs that fit, each once, of one tenant, in bounded pages. */
import { newId } from '@waybill/shared/domain/ids.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import {
  actOnPage,
  type JobAction,
  type JobChange,
  jobActions,
  type NextRun,
  type PageOutcome,
  startAgain,
} from '@waybill/shared/store/job-actions.ts';
import {
  type ActionScope,
  beginAction,
  countMissing,
  type JobSelection,
  type PageSize,
  readActionPage,
} from '@waybill/shared/store/job-selection.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { staleEntries } from '@waybill/shared/store/sweep.ts';
import { ensureTenant } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StoreUnderTest, storesUnderTest } from '../support/stores.ts';

const everything: JobSelection = {
  ...{ ids: null, batchId: null, status: null, target: null, provider: null, model: null, chain: null },
  ...{ priority: null, metadata: {}, createdAfter: null, createdBefore: null, errorKind: null },
};
const usual: PageSize = { jobs: 500, rows: 5_000 };
const next: NextRun = {
  ...{ targets: ['q/n', 'q/o'], target: 'q/n', provider: 'q', configVersion: 'new', chain: 'default', model: null },
  ...{ require: ['eu'], excludeProviders: ['r'], detected: ['email'] },
};
const changes: Readonly<Record<JobAction, JobChange>> = {
  cancel: { kind: 'cancel' },
  pause: { kind: 'pause' },
  resume: { kind: 'resume' },
  retry: { kind: 'retry', route: () => next },
};
/** The columns of a job that the action changes. */
const ready: Readonly<Record<JobAction, Record<string, unknown>>> = {
  cancel: { status: 'queued' },
  pause: { status: 'queued' },
  resume: { status: 'queued', paused_at: '2026-01-01Z', waiting_reason: 'paused', available_at: '9999-01-01Z' },
  retry: { status: 'failed', error_kind: 'timeout', finished_at: '2026-01-01Z' },
};

describe.each(storesUnderTest)('actions on the $name store', ({ start, isOneSession }) => {
  let store: StoreUnderTest;
  const sealer = createSealer(Buffer.alloc(32, 7));
  beforeAll(async () => {
    store = await start();
    console.info(`The store under test: ${store.source}`);
    await migrate(store.database);
  }, 120_000);
  afterAll(() => store?.stop());

  const query = async <Row = Record<string, unknown>>(text: string, values: unknown[] = []): Promise<Row[]> =>
    (await store.database.pool.query(text, values)).rows as Row[];
  async function newTenant(): Promise<string> {
    const id = newId('ten');
    await ensureTenant(store.database, sealer, id, id);
    return id;
  }
  /** Jobs that are alike but for their ids, in the order of those. */
  async function addJobs(tenantId: string, count: number, columns: Record<string, unknown> = {}): Promise<string[]> {
    const ids = Array.from({ length: count }, () => newId('job'));
    const all = {
      ...{ tenant_id: tenantId, endpoint: '/v1/chat/completions', status: 'queued', priority: 1 },
      ...{ requested_model: 'default', chain: 'default', targets: ['p/m'], target: 'p/m', provider: 'p' },
      ...{ config_version: 'old', estimated_tokens: 10, expires_in_ms: 3_600_000, deadline_at: '2030-01-01Z' },
      ...columns,
    };
    const names = Object.keys(all);
    await query(
      `with stored as (insert into waybill.jobs (id, ${names.join(', ')})
         select id, ${names.map((_, index) => `$${index + 2}`).join(', ')} from unnest($1::text[]) as t (id) returning id)
       select 1 from stored`,
      [ids, ...Object.values(all)],
    );
    await query(
      `insert into waybill.payloads (job_id, request) select id, '{"n":1}' from unnest($1::text[]) as t (id)`,
      [ids],
    );
    return ids;
  }
  async function addBatch(tenantId: string): Promise<string> {
    const id = newId('batch');
    await query('insert into waybill.batches (id, tenant_id, total) values ($1, $2, 1)', [id, tenantId]);
    return id;
  }
  const rowsOf = async (ids: readonly string[]): Promise<JobRow[]> =>
    query<JobRow>('select * from waybill.jobs where id = any($1) order by id', [ids]);
  const rowOf = async (id: string): Promise<JobRow> => (await rowsOf([id]))[0] as JobRow;

  async function scopeOf(tenantId: string, selection: Partial<JobSelection> = {}): Promise<ActionScope> {
    const begun = await beginAction(store.database, tenantId);
    if (begun === null) throw new Error('the tenant has no job');
    return { tenantId, selection: { ...everything, ...selection }, ...begun };
  }
  /** Page by page to the end. */
  async function act(scope: ActionScope, change: JobChange, size = usual, from = '') {
    const pages: PageOutcome[] = [];
    for (let after: string | null = from; after !== null; ) {
      const page = await readActionPage(store.database, scope, after, size);
      pages.push(await actOnPage(store.database, scope, change, page.ids));
      after = page.nextAfter;
    }
    const skipped: Record<string, number> = {};
    for (const [reason, n] of pages.flatMap((page) => [...page.skipped])) skipped[reason] = (skipped[reason] ?? 0) + n;
    return { changed: pages.flatMap((page) => page.changed.map(({ job }) => job.id)), skipped, pages: pages.length };
  }

  const filters: readonly (readonly [
    name: string,
    selection: Partial<JobSelection>,
    fits: Record<string, unknown>,
    differs: Record<string, unknown>,
  ])[] = [
    ['target', { target: 'p/x' }, { target: 'p/x' }, { target: 'p/y' }],
    ['provider', { provider: 'x' }, { provider: 'x' }, { provider: 'y' }],
    ['model', { model: 'wide' }, { requested_model: 'wide' }, { requested_model: 'narrow' }],
    ['chain', { chain: 'wide' }, { chain: 'wide' }, { chain: null }],
    ['priority', { priority: 0 }, { priority: 0 }, { priority: 2 }],
    ['metadata', { metadata: { a: '1', b: '2' } }, { metadata: { a: '1', b: '2', c: '3' } }, { metadata: { a: '1' } }],
    [
      'created_before',
      { createdBefore: new Date('2026-02-01Z') },
      { created_at: '2026-01-31Z' },
      { created_at: '2026-02-01Z' },
    ],
    [
      'created_after',
      { createdAfter: new Date('2026-02-01Z') },
      { created_at: '2026-02-02Z' },
      { created_at: '2026-02-01Z' },
    ],
    ['error_kind', { errorKind: 'timeout' }, { error_kind: 'timeout' }, { error_kind: null }],
  ];

  describe.each(jobActions)('%s', (action) => {
    it.each(filters)(
      'by %s takes exactly the jobs that fit, and none of another tenant',
      async (_, selection, fits, differs) => {
        const [tenant, other] = [await newTenant(), await newTenant()];
        const wanted = await addJobs(tenant, 3, { ...ready[action], ...fits });
        const rest = [
          ...(await addJobs(tenant, 2, { ...ready[action], ...differs })),
          ...(await addJobs(other, 2, { ...ready[action], ...fits })),
        ];
        const before = await rowsOf(rest);
        expect(await act(await scopeOf(tenant, selection), changes[action])).toMatchObject({
          changed: wanted,
          skipped: {},
        });
        expect(await rowsOf(rest)).toEqual(before);
      },
    );

    it('by batch, by status, by ids and by all of them', async () => {
      const [tenant, other] = [await newTenant(), await newTenant()];
      const { status } = ready[action] as { status: JobRow['status'] };
      const batchId = await addBatch(tenant);
      const [first = '', second = ''] = await addJobs(tenant, 2, { ...ready[action], batch_id: batchId });
      const [third = ''] = await addJobs(tenant, 1, ready[action]);
      const [done = ''] = await addJobs(tenant, 1, { status: 'succeeded', batch_id: batchId });
      const [foreign = ''] = await addJobs(other, 1, ready[action]);
      const taken = async (selection: Partial<JobSelection>) => act(await scopeOf(tenant, selection), changes[action]);
      expect(await taken({ ids: [foreign, done] })).toMatchObject({ changed: [], skipped: { succeeded: 1 } });
      expect(await taken({ ids: [first, foreign], batchId, status })).toMatchObject({ changed: [first], skipped: {} });
      const byOther = act(await scopeOf(other, { batchId }), changes[action]);
      expect(await byOther, 'a batch of another tenant').toMatchObject({ changed: [], skipped: {} });
      expect((await taken({ batchId })).changed).toEqual([second]);
      expect((await taken({ status: 'succeeded' })).changed).toEqual([]);
      expect((await taken({ status })).changed).toEqual([third]);
      expect((await taken({})).changed).toEqual([]);
      expect(await countMissing(store.database, tenant, [first, first, done, foreign, newId('job')])).toBe(2);
      expect(await rowOf(foreign)).toMatchObject({ seq: 1, status });
    });

    it('changes nothing twice, also when two do it at once', async () => {
      const tenant = await newTenant();
      const ids = await addJobs(tenant, 40, ready[action]);
      const scope = await scopeOf(tenant);
      const outcomes = await Promise.all([1, 2, 3].map(() => act(scope, changes[action])));
      expect(outcomes.flatMap(({ changed }) => changed).toSorted()).toEqual(ids);
      expect((await rowsOf(ids)).map(({ seq }) => seq)).toEqual(ids.map(() => 2));
      const again = await act(scope, changes[action]);
      const status = { cancel: 'cancelled', pause: 'paused', resume: 'queued', retry: 'queued' }[action];
      expect(again).toMatchObject({ changed: [], skipped: { [status]: 40 } });
      const decisions = await query<{ kind: string; n: number }>(
        'select kind, count(*)::int as n from waybill.decisions where job_id = any($1) group by kind',
        [ids],
      );
      expect(decisions).toEqual(action === 'cancel' ? [] : [{ kind: action, n: 40 }]);
    });
  });

  it('goes through 2,500 jobs page by page, each once, and goes on where another process ended', async () => {
    const tenant = await newTenant();
    const ids = await addJobs(tenant, 2_500);
    const scope = await scopeOf(tenant);
    const first = await readActionPage(store.database, scope, '', usual);
    expect([first.ids.length, first.nextAfter]).toEqual([500, ids[499]]);
    await actOnPage(store.database, scope, changes.pause, first.ids);
    // The second page was done, and nobody heard of it.
    const second = await readActionPage(store.database, scope, first.nextAfter ?? '', usual);
    await actOnPage(store.database, scope, changes.pause, second.ids);
    const late = await addJobs(tenant, 3);
    const rest = await act(scope, changes.pause, usual, first.nextAfter ?? '');
    expect(rest).toMatchObject({ skipped: { paused: 500 }, changed: ids.slice(1_000) });
    expect((await rowsOf(ids)).every(({ seq, paused_at }) => seq === 2 && paused_at !== null)).toBe(true);
    expect(
      (await rowsOf(late)).every(({ paused_at }) => paused_at === null),
      'they came after it began',
    ).toBe(true);
  });

  it('looks at a bounded number of rows at a time, whatever fits', async () => {
    const tenant = await newTenant();
    await addJobs(tenant, 25);
    const [rare = ''] = await addJobs(tenant, 1, { target: 'p/rare' });
    await addJobs(tenant, 9);
    const scope = await scopeOf(tenant, { target: 'p/rare' });
    const page = await readActionPage(store.database, scope, '', { jobs: 5, rows: 10 });
    expect(page).toMatchObject({ ids: [], nextAfter: expect.any(String) });
    expect(await act(scope, changes.cancel, { jobs: 5, rows: 10 })).toMatchObject({ changed: [rare], pages: 4 });
    expect(await beginAction(store.database, await newTenant())).toBeNull();
  });

  it('a paused job leaves the queue and the backlog, and comes back when its time has come', async () => {
    const tenant = await newTenant();
    const soon = { run_at: '2031-01-01Z', available_at: '2031-01-01Z' };
    const [dispatched = ''] = await addJobs(tenant, 1, { dispatched_at: '2026-01-01Z', waiting_reason: 'backoff' });
    const [scheduled = ''] = await addJobs(tenant, 1, soon);
    await act(await scopeOf(tenant), changes.pause);
    expect(await staleEntries(store.database, [`${dispatched}-1`])).toEqual([`${dispatched}-1`]);
    for (const job of await rowsOf([dispatched, scheduled]))
      expect(job).toMatchObject({
        ...{ status: 'queued', seq: 2, dispatched_at: null, waiting_reason: 'paused', waiting_until: null },
        ...{ available_at: new Date('9999-01-01Z'), paused_at: expect.any(Date), waiting_since: expect.any(Date) },
      });
    await act(await scopeOf(tenant), changes.resume);
    const [back, later] = await rowsOf([dispatched, scheduled]);
    expect(back).toMatchObject({ seq: 3, paused_at: null, waiting_reason: null, waiting_since: null });
    expect(back?.available_at.getTime()).toBeLessThan(Date.parse('2030-01-01Z'));
    expect(later?.available_at).toEqual(new Date('2031-01-01Z'));
  });

  it('cancelling writes the webhook of each job with it, and ends a pause', async () => {
    const tenant = await newTenant();
    const endpoint = newId('whe');
    await query(
      `insert into waybill.webhook_endpoints (id, tenant_id, url, kind) values ($1, $2, 'http://127.0.0.1:9/', 'ad_hoc')`,
      [endpoint, tenant],
    );
    const [told = ''] = await addJobs(tenant, 1, { ...ready.resume, webhook_endpoint_id: endpoint });
    const [silent = ''] = await addJobs(tenant, 1, { status: 'in_progress', attempt: 3 });
    const scope = await scopeOf(tenant);
    const { changed } = await actOnPage(store.database, scope, changes.cancel, [told, silent]);
    expect(changed.map(({ before, deliveryId }) => [before.status, deliveryId === null])).toEqual([
      ['queued', false],
      ['in_progress', true],
    ]);
    for (const job of await rowsOf([told, silent]))
      expect(job).toMatchObject({
        ...{ status: 'cancelled', seq: 2, error_kind: 'cancelled', error_message: 'cancelled on request' },
        ...{ paused_at: null, waiting_reason: null, finished_at: expect.any(Date) },
      });
    await actOnPage(store.database, scope, changes.cancel, [told, silent]);
    expect(await query('select job_id, type from waybill.webhook_deliveries where tenant_id = $1', [tenant])).toEqual([
      { job_id: told, type: 'job.cancelled' },
    ]);
  });

  it('a retry is a new run where the configuration sends it now, of another model if asked', async () => {
    const tenant = await newTenant();
    const ended = { run: 2, attempt: 4, started_at: '2026-01-01Z', claimed_by: 'wrk_x', paused_at: '2026-01-01Z' };
    const [same = '', other = ''] = await addJobs(tenant, 2, { ...ready.retry, ...ended });
    const [nowhere = ''] = await addJobs(tenant, 1, ready.retry);
    await query(`update waybill.payloads set carried = 'half' where job_id = $1`, [same]);
    const seen: string[] = [];
    const route = (job: JobRow, request: string): NextRun | string => {
      seen.push(request);
      if (job.id === nowhere) return 'no_eligible_target';
      return job.id === other ? { ...next, model: 'wide', chain: null } : next;
    };
    const outcome = await act(await scopeOf(tenant), { kind: 'retry', route });
    expect(outcome).toMatchObject({ changed: [same, other], skipped: { no_eligible_target: 1 } });
    expect(seen).toEqual(Array.from({ length: 3 }, () => '{"n":1}'));
    const fresh = {
      ...{ status: 'queued', run: 3, seq: 2, attempt: 4, target: 'q/n', provider: 'q', targets: ['q/n', 'q/o'] },
      ...{ config_version: 'new', started_at: null, finished_at: null, claimed_by: null, error_kind: null },
      ...{ paused_at: null, dispatched_at: null, require: ['eu'], exclude_providers: ['r'], detected: ['email'] },
    };
    const [first, second] = await rowsOf([same, other]);
    expect(first).toMatchObject({ ...fresh, requested_model: 'default', chain: 'default' });
    expect(second).toMatchObject({ ...fresh, requested_model: 'wide', chain: null });
    expect((first?.deadline_at.getTime() ?? 0) - (first?.queued_at.getTime() ?? 0)).toBe(3_600_000);
    expect(await query('select carried from waybill.payloads where job_id = $1', [same])).toEqual([{ carried: null }]);
    expect(await rowOf(nowhere)).toMatchObject({ status: 'failed', run: 1, seq: 1 });
    const told = await query(
      'select run, seq, kind, target, next_target, why, detail, config_version from waybill.decisions where job_id = $1',
      [other],
    );
    expect(told).toEqual([
      {
        ...{ run: 3, seq: 2, kind: 'retry', target: 'p/m', next_target: 'q/n', why: 'on request' },
        ...{ detail: '{"model":"wide"}', config_version: 'new' },
      },
    ]);
  });

  it('a page that is sent again does not retry a job that has failed once more', async () => {
    const tenant = await newTenant();
    const [id = ''] = await addJobs(tenant, 1, ready.retry);
    const scope = await scopeOf(tenant);
    expect((await act(scope, changes.retry)).changed).toEqual([id]);
    await query(
      `update waybill.jobs set status = 'failed', finished_at = clock_timestamp() + interval '1 second' where id = $1`,
      [id],
    );
    expect(await act(scope, changes.retry)).toMatchObject({ changed: [], skipped: { ended_since: 1 } });
  });

  it('one job is started again only when it has ended, and only for its tenant', async () => {
    const [tenant, other] = [await newTenant(), await newTenant()];
    const [id = ''] = await addJobs(tenant, 1, { ...ready.retry, status: 'expired' });
    expect(await startAgain(store.database, other, id, next)).toBeNull();
    expect(await startAgain(store.database, tenant, id, next)).toMatchObject({
      id,
      status: 'queued',
      run: 2,
      target: 'q/n',
    });
    expect(await startAgain(store.database, tenant, id, next)).toBeNull();
  });

  it('tries again what the database ended as a deadlock', async () => {
    const tenant = await newTenant();
    const ids = await addJobs(tenant, 2);
    const scope = await scopeOf(tenant);
    let ended = 0;
    const database: Database = {
      ...store.database,
      transaction: async (work) =>
        store.database.transaction(async (trx) => {
          const done = await work(trx);
          ended += 1;
          if (ended > 1) return done;
          throw Object.assign(new Error('as if'), { code: '40P01' });
        }),
    };
    const outcome = await actOnPage(database, scope, changes.pause, ids);
    expect(outcome.changed.map(({ job }) => [job.id, job.seq])).toEqual(ids.map((id) => [id, 2]));
    const broken = { ...database, transaction: () => Promise.reject(new Error('gone')) };
    await expect(actOnPage(broken, scope, changes.pause, ids)).rejects.toThrow('gone');
  });

  // On one session nothing can hold a row while another statement runs.
  if (!isOneSession)
    it('says which rows others hold, and leaves out those that stopped fitting', async () => {
      const tenant = await newTenant();
      const [free = '', held = '', moved = ''] = await addJobs(tenant, 3);
      const scope = await scopeOf(tenant, { target: 'p/m' });
      const client = await store.database.pool.connect();
      await client.query('begin');
      await client.query('select 1 from waybill.jobs where id = $1 for update', [held]);
      await query(`update waybill.jobs set target = 'p/other' where id = $1`, [moved]);
      const outcome = await actOnPage(store.database, scope, changes.pause, [free, held, moved]);
      await client.query('rollback');
      client.release();
      expect([outcome.changed.map(({ job }) => job.id), [...outcome.skipped]]).toEqual([[free], [['busy', 1]]]);
      expect((await act(scope, changes.pause)).changed).toEqual([held]);
    });
});
