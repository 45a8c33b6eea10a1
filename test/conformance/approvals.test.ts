/** Approvals, the audit, windows of budgets and configured tenants, on both stores. */
import { newId } from '@waybill/shared/domain/ids.ts';
import type { BudgetRule } from '@waybill/shared/routing/budgets.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { approveJob, refuseJob } from '@waybill/shared/store/approvals.ts';
import { readAudit } from '@waybill/shared/store/audit.ts';
import { readBudgetWindows } from '@waybill/shared/store/budgets.ts';
import { readDecisions } from '@waybill/shared/store/decisions.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { parkQueuedJob } from '@waybill/shared/store/settle.ts';
import { ensureConfiguredTenants, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StoreUnderTest, storesUnderTest } from '../support/stores.ts';

const sealer = createSealer(Buffer.alloc(32, 7));
const tenantId = 'ten_approvals';

describe.each(storesUnderTest)('on the $name store', ({ start }) => {
  let store: StoreUnderTest;
  beforeAll(async () => {
    store = await start();
    await migrate(store.database);
    await ensureTenant(store.database, sealer, tenantId, 'approvals');
  });
  afterAll(() => store?.stop());
  const query = async (text: string, values: unknown[] = []) => (await store.database.pool.query(text, values)).rows;

  async function addAsked(): Promise<JobRow> {
    const id = newId('job');
    await query(
      `insert into waybill.jobs (id, tenant_id, endpoint, status, priority, requested_model, targets, target, provider,
         config_version, require, exclude_providers, estimated_tokens, expires_in_ms, metadata, deadline_at)
       values ($1, $2, '/v1/chat/completions', 'queued', 1, 'm', '{p/m,q/n}', 'p/m', 'p', 'v', '{}', '{}', 1, 60000, '{}', now() + interval '1 hour')`,
      [id, tenantId],
    );
    const parked = await parkQueuedJob(store.database, id, await seqOf(id), 'q/n');
    if (parked === null) throw new Error('not parked');
    return parked;
  }
  const seqOf = async (id: string): Promise<number> =>
    (await query('select seq from waybill.jobs where id = $1', [id]))[0]?.seq as number;
  const verdict = (id: string, more: object = {}) => ({ tenantId, id, actor: 'key_x', configVersion: 'v2', ...more });

  it('an approved job is queued where it was parked to, under a new number', async () => {
    const before = await addAsked();
    expect(await approveJob(store.database, verdict(before.id, { tenantId: 'ten_other' }), new Date())).toBeNull();
    expect(await approveJob(store.database, verdict(before.id), new Date())).toMatchObject({
      ...{ status: 'queued', target: 'q/n', provider: 'q', seq: before.seq + 1, dispatched_at: null },
      ...{ waiting_reason: null, waiting_since: null, waiting_until: null, precedence: 0 },
    });
    expect(await approveJob(store.database, verdict(before.id), new Date()), 'once').toBeNull();
    expect(await refuseJob(store.database, verdict(before.id), null)).toBeNull();
    expect(await readDecisions(store.database, before.id)).toMatchObject([
      { kind: 'approve', seq: before.seq + 1, next_target: 'q/n', why: 'approved by key_x', config_version: 'v2' },
    ]);
  });

  it('a refused job is final, and its entry in the audit can be found by it', async () => {
    const before = await addAsked();
    const ended = await refuseJob(store.database, verdict(before.id), 'because');
    expect(ended).toMatchObject({
      deliveryId: null,
      job: { status: 'failed', seq: before.seq + 1, error_kind: 'refused_approval', waiting_reason: null },
    });
    const [entry, ...others] = await readAudit(store.database, { after: 0, jobId: before.id, limit: 10 });
    expect(entry).toMatchObject({ actor: 'key_x', action: 'job.refuse', tenantId, detail: { to: 'q/n' } });
    expect(others).toEqual([]);
    expect(await readAudit(store.database, { after: entry?.ord ?? 0, jobId: before.id, limit: 10 })).toEqual([]);
  });

  it('of many answers at once one counts', async () => {
    const { id } = await addAsked();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        n % 2 === 0
          ? approveJob(store.database, verdict(id), new Date())
          : refuseJob(store.database, verdict(id), null),
      ),
    );
    expect(answers.filter((each) => each !== null)).toHaveLength(1);
    expect(await readAudit(store.database, { after: 0, jobId: id, limit: 10 })).toHaveLength(1);
  });

  it('windows of budgets are read with what is unknown of them, by the rule that is about the subject', async () => {
    const rule = (only: readonly string[] | null, limitNano: bigint): BudgetRule => ({
      ...{ id: 'metadata.team/day', per: 'metadata', field: 'team', only, period: 'day', limitNano, alertAt: [0.5] },
      ...{ reserve: 'expected', onExceeded: 'reject', onUnknownPrice: 'reserve_max' },
    });
    const startsAt = new Date('2026-03-01T00:00:00Z');
    const keys = ['one', 'two/three'].map((name) => `metadata.team/day:${tenantId}/${name}`);
    for (const [n, key] of keys.entries()) {
      await query('insert into waybill.budget_windows values ($1, $2, $3, 7)', [key, startsAt, 100 * (n + 1)]);
      await query(`insert into waybill.budget_reservations values ('job_x', 1, $1, $2, 40, $3)`, [
        key,
        startsAt,
        n === 1,
      ]);
    }
    const rules = [rule(['one'], 1_000n), rule(null, 9_000n)].map((each) => ({ rule: each, startsAt }));
    const read = (more: object = {}) =>
      readBudgetWindows(store.database, { rules, subject: null, after: '', limit: 10, ...more });
    expect(await read()).toMatchObject({
      windows: [
        {
          key: keys[0],
          subject: 'one',
          tenantId,
          committedNano: 100n,
          reservedNano: 7n,
          unknown: { count: 0, nano: 0n },
          rule: { limitNano: 1_000n },
        },
        {
          key: keys[1],
          subject: 'two/three',
          committedNano: 200n,
          unknown: { count: 1, nano: 40n },
          rule: { limitNano: 9_000n },
        },
      ],
      nextAfter: null,
    });
    expect(await read({ limit: 1 })).toMatchObject({ windows: [{ key: keys[0] }], nextAfter: keys[0] });
    expect(await read({ after: keys[0], limit: 1 })).toMatchObject({ windows: [{ key: keys[1] }], nextAfter: null });
    expect((await read({ subject: 'two/three' })).windows).toHaveLength(1);
    expect((await read({ rules: [] })).windows).toEqual([]);
    expect((await read({ rules: rules.map((each) => ({ ...each, startsAt: new Date(0) })) })).windows).toEqual([]);
  });

  it('configured tenants are made by several processes at once, and take the weight that is configured', async () => {
    const ensure = (weight: number) => ensureConfiguredTenants(store.database, sealer, { made: { weight } });
    await Promise.all([ensure(3), ensure(3), ensure(3)]);
    const made = async () => query(`select id, name, weight from waybill.tenants where id = 'ten_made'`);
    expect(await made()).toEqual([{ id: 'ten_made', name: 'made', weight: 3 }]);
    await ensure(5);
    expect(await made()).toMatchObject([{ weight: 5 }]);
  });
});
