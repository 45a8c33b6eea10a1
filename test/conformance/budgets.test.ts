/** Budgets as the claim reserves them and the settle corrects them. The same on both stores. */
import { newId } from '@waybill/shared/domain/ids.ts';
import { type BudgetRule, budgetRuleId } from '@waybill/shared/routing/budgets.ts';
import { type Claim, claimJobs } from '@waybill/shared/store/claim.ts';
import { cancelJob } from '@waybill/shared/store/job-end.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { settleAttempts } from '@waybill/shared/store/settle.ts';
import { closeLostAttempts, commitLostReservations } from '@waybill/shared/store/sweep.ts';
import { registerWorker } from '@waybill/shared/store/workers.ts';
import { describe, expect, it } from 'vitest';
import { prices, settlementOf, unpriced, useClaims } from '../support/claims.ts';
import { storesUnderTest } from '../support/stores.ts';
import { keepAlive } from '../support/worker-context.ts';

/** 60 tokens of input and 40 of output: 100 nano-USD as expected, 560 at most, 1,400 where nobody knows the price. */
const size = { estimatedTokens: 100, estimatedOutput: 40 };
const mostNano = 560;

function rule(limit: number, more: Partial<BudgetRule> = {}): BudgetRule {
  const of = { per: 'tenant', field: null, period: 'day', ...more } as const;
  return {
    ...{ id: budgetRuleId(of), only: null, limitNano: BigInt(limit), alertAt: [0.5, 1], reserve: 'expected' },
    ...{ onExceeded: 'reject', onUnknownPrice: 'reserve_max', ...of },
  };
}

describe.each(storesUnderTest)('budgets on the $name store', ({ start }) => {
  const claims = useClaims(start);

  /** A job of a tenant that no other case has. */
  const job = async (more: object = {}): Promise<JobRow> =>
    claims.addJob({ ...size, tenantId: await claims.tenant(), ...more });
  const tenantKey = ({ tenant_id }: JobRow, id = 'tenant/day'): string => `${id}:${tenant_id.replace(/^ten_/, '')}`;
  const windowOf = async (key: string): Promise<{ committed: number; reserved: number }> => {
    const { rows } = await claims.database.pool.query(
      `select committed_nano::float8 as committed, reserved_nano::float8 as reserved from waybill.budget_windows where key = $1`,
      [key],
    );
    const [only] = rows as { committed: number; reserved: number }[];
    expect(rows.length).toBeLessThan(2);
    return only ?? { committed: 0, reserved: 0 };
  };
  const spend = async (of: JobRow, nano: bigint, budgets: readonly BudgetRule[]): Promise<void> =>
    void (await claims.settle(await claims.claimed(of, budgets), nano, budgets));
  const reservationsOf = async ({ id }: JobRow) =>
    (
      await claims.database.pool.query(
        'select nano::float8 as nano, is_committed from waybill.budget_reservations where job_id = $1',
        [id],
      )
    ).rows;
  const alertsOf = async (key: string): Promise<{ threshold: number; committed_usd: string }[]> => {
    const { rows } = await claims.database.pool.query(
      `select data from waybill.events where type = 'budget.threshold' and (data::json->>'budget') || ':' || (data::json->>'subject') = $1 order by ord`,
      [key],
    );
    return rows.map((row) => JSON.parse(row.data as string));
  };

  it('what a call may cost is reserved, and gives way to what it cost', async () => {
    const of = await job();
    const running = await claims.claimed(of, [rule(1_000)]);
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 0, reserved: 100 });
    expect(await claims.settle(running, 70n, [rule(1_000)])).toMatchObject({ kind: 'settled', isBudgetFreed: true });
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 70, reserved: 0 });
    expect(await reservationsOf(of)).toEqual([]);
  });

  it('a settle that is repeated, because its answer was lost, is booked once', async () => {
    const of = await job();
    const running = await claims.claimed(of, [rule(1_000)]);
    for (const cost of [70n, 70n]) await claims.settle(running, cost, [rule(1_000)]);
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 70, reserved: 0 });
  });

  it('a claim that is asked again under its permit reserves nothing more', async () => {
    const of = await job();
    const permit = newId('job');
    for (let times = 0; times < 2; times++) await claims.claimed(of, [rule(1_000)], { permit });
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 0, reserved: 100 });
  });

  it('a budget that is spent refuses, and reserves nothing', async () => {
    const of = await job();
    const budgets = [rule(150)];
    await spend(of, 60n, budgets);
    const next = await claims.addJob({ ...size, tenantId: of.tenant_id });
    expect(await claims.claim(next, budgets)).toMatchObject({
      kind: 'refused',
      refusal: 'budget_exceeded',
      budget: { key: tenantKey(of), per: 'tenant', onExceeded: 'reject' },
      job: { status: 'queued', attempt: 0 },
    });
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 60, reserved: 0 });
  });

  it('what is only reserved is waited for, and comes free with a settle', async () => {
    const of = await job();
    const budgets = [rule(150)];
    const running = await claims.claimed(of, budgets);
    const next = await claims.addJob({ ...size, tenantId: of.tenant_id });
    expect(await claims.claim(next, budgets)).toMatchObject({
      kind: 'budget_wait',
      budget: { key: tenantKey(of), per: 'tenant' },
      job: { id: next.id, attempt: 0 },
    });
    await claims.settle(running, 50n, budgets);
    expect(await claims.claim(next, budgets)).toMatchObject({ kind: 'claimed' });
  });

  it('of several jobs in one statement each sees what those before it reserved', async () => {
    const of = await job();
    const more = await Promise.all([1, 2].map(() => claims.addJob({ ...size, tenantId: of.tenant_id })));
    const requests = [of, ...more].map((each) => claims.requestFor(each));
    const kinds = (await claimJobs(claims.database, requests, [rule(250)])).map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(['budget_wait', 'claimed', 'claimed']);
  });

  it.each<[string, Partial<BudgetRule>, object, number | string]>([
    ['as expected', {}, {}, 100],
    ['at most', { reserve: 'max' }, {}, 560],
    ['at the dearest rates where nobody knows the price', {}, { prices: unpriced }, 1_400],
    ['nothing where nobody knows the price and that is allowed', { onUnknownPrice: 'allow' }, { prices: unpriced }, 0],
    ['or not at all', { onUnknownPrice: 'block' }, { prices: unpriced }, 'budget_unpriced'],
    [
      'or not at all, where only the most is not known',
      { reserve: 'max', onUnknownPrice: 'block' },
      { prices: { ...prices, largest: null } },
      'budget_unpriced',
    ],
  ])('a call is reserved for %s', async (_, more, change, expected) => {
    const of = await job();
    const claim = await claims.claim(of, [rule(10_000, more)], change);
    if (typeof expected === 'string') expect(claim).toMatchObject({ kind: 'refused', refusal: expected });
    else expect([claim.kind, (await windowOf(tenantKey(of))).reserved]).toEqual(['claimed', expected]);
  });

  it.each([
    ['what the model can say', 1_000, 4_240],
    ['nothing that is known, so at the dearest rates of what is expected', null, 1_000],
  ])('an answer without a bound is taken for %s', async (_, maxOutputTokens, expected) => {
    const of = await job();
    await claims.database.pool.query('update waybill.jobs set output_bound = null, input_bound = 60 where id = $1', [
      of.id,
    ]);
    await claims.claimed(of, [rule(10_000, { reserve: 'max' })], { prices: { ...prices, maxOutputTokens } });
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 0, reserved: expected });
  });

  it('what costs nothing runs though all is spent', async () => {
    const of = await job();
    const budgets = [rule(60, { onExceeded: 'local_only' })];
    await spend(of, 60n, [rule(1_000)]);
    const next = await claims.addJob({ ...size, tenantId: of.tenant_id });
    expect(await claims.claim(next, budgets)).toMatchObject({ kind: 'refused', budget: { onExceeded: 'local_only' } });
    const free = { inputPerMillion: 0n, outputPerMillion: 0n };
    const claim = await claims.claim(next, budgets, { prices: { ...prices, expected: free } });
    expect(claim.kind).toBe('claimed');
    expect(await reservationsOf(next)).toEqual([]);
  });

  const user = newId('job');
  it.each<[string, BudgetRule, object, (of: JobRow) => string]>([
    ['each tenant', rule(1_000), {}, (of) => tenantKey(of)],
    ['a month', rule(1_000, { period: 'month' }), {}, (of) => tenantKey(of, 'tenant/month')],
    ['each API key', rule(1_000, { per: 'api_key' }), { apiKeyId: user }, () => `api_key/day:${user}`],
    [
      'each user of a tenant',
      rule(1_000, { per: 'end_user' }),
      { endUser: 'a:b/c' },
      (of) => `end_user/day:${of.tenant_id}/a:b/c`,
    ],
    [
      'each value of a field of the metadata',
      rule(1_000, { per: 'metadata', field: 'team' }),
      { metadata: { team: 'search' } },
      (of) => `metadata.team/day:${of.tenant_id}/search`,
    ],
    [
      'those that are named',
      rule(1_000, { per: 'end_user', only: ['ann', 'bob'] }),
      { endUser: 'bob' },
      (of) => `end_user/day:${of.tenant_id}/bob`,
    ],
  ])('a budget counts for %s', async (_, budget, more, keyOf) => {
    const of = await job(more);
    const running = await claims.claimed(of, [budget]);
    expect(await windowOf(keyOf(of))).toEqual({ committed: 0, reserved: 100 });
    await claims.settle(running, 600n, [budget]);
    expect(await alertsOf(keyOf(of))).toMatchObject([{ threshold: 0.5, committed_usd: '0.0000006' }]);
  });

  it.each<[string, BudgetRule]>([
    ['who has no such name', rule(1, { per: 'end_user' })],
    ['who is not named', rule(1, { only: ['another'] })],
    ['whose field is not set', rule(1, { per: 'metadata', field: 'team' })],
  ])('a budget is not about jobs of those %s', async (_, budget) => {
    const of = await job();
    await claims.claimed(of, [budget]);
    expect(await reservationsOf(of)).toEqual([]);
  });

  it('budgets of providers and models count where the job is', async () => {
    const of = await claims.addJob({ ...size, tenantId: await claims.tenant() }, ['q/m-of-its-own']);
    const budgets = [rule(100_000, { per: 'provider', only: ['q'] }), rule(1_000, { per: 'model' })];
    await spend(of, 70n, budgets);
    expect((await windowOf('model/day:q/m-of-its-own')).committed).toBe(70);
    expect((await windowOf('provider/day:q')).committed).toBe(70);
  });

  it('of two rules that count the same the first holds', async () => {
    const of = await job();
    const name = of.tenant_id.replace(/^ten_/, '');
    const budgets = [rule(1_000, { only: [name], alertAt: [0.1] }), rule(10)];
    await spend(of, 150n, budgets);
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 150, reserved: 0 });
    expect(await alertsOf(tenantKey(of))).toMatchObject([{ threshold: 0.1 }]);
  });

  it('a job is not paid for beyond its own most, with what earlier attempts cost', async () => {
    const of = await job({ maxCostNano: 600n });
    const poor = await job({ maxCostNano: 559n });
    expect(await claims.claim(poor)).toMatchObject({ kind: 'refused', refusal: 'max_cost', budget: null });
    const next = { kind: 'requeue', target: 'p/m', delayMs: 0, waiting: null, window: 100, carried: null } as const;
    await claims.settle(await claims.claimed(of), 41n, [], { next });
    expect(await claims.claim(await claims.readJob(of.id))).toMatchObject({ kind: 'refused', refusal: 'max_cost' });
  });

  it.each([
    [1_119n, 'refused'],
    [1_120n, 'claimed'],
  ] as const)(
    'an attempt of unknown cost may have been as dear as the next: of a most of %d it is %s',
    async (most, kind) => {
      const of = await job({ maxCostNano: most });
      const next = { kind: 'requeue', target: 'p/m', delayMs: 0, waiting: null, window: 100, carried: null } as const;
      await claims.settle(await claims.claimed(of), null, [], { next });
      expect(await claims.claim(await claims.readJob(of.id))).toMatchObject({ kind });
    },
  );

  it('a cost that nobody knows stays committed, until somebody knows better', async () => {
    const of = await job();
    const other = `wrk_${of.id}`;
    await registerWorker(claims.database, other, 'test');
    await keepAlive(claims.database, other);
    const running = await claims.claimed(of, [rule(1_000)], { workerId: other });
    await claims.database.pool.query('update waybill.workers set lease_until = now() where id = $1', [other]);
    await closeLostAttempts(claims.database, 100);
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 0, reserved: 100 });
    await commitLostReservations(claims.database, [rule(1_000)], 100);
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 100, reserved: 0 });
    expect(await reservationsOf(of)).toEqual([{ nano: 100, is_committed: true }]);
    expect(await commitLostReservations(claims.database, [rule(1_000)], 100), 'a second look finds nothing').toBe(0);
    // Its answer came after all.
    await claims.database.pool.query(`update waybill.jobs set status = 'cancelled', seq = seq + 1 where id = $1`, [
      of.id,
    ]);
    expect(await claims.settle(running, 30n, [rule(1_000)])).toEqual({ kind: 'fence_lost' });
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 30, reserved: 0 });
    expect(await reservationsOf(of)).toEqual([]);
  });

  it('a call whose cost was not told is taken for what was reserved', async () => {
    const of = await job();
    const running = await claims.claimed(of, [rule(1_000)]);
    for (let times = 0; times < 2; times++) await claims.settle(running, null, [rule(1_000)]);
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 100, reserved: 0 });
  });

  it('a job that was cancelled under way pays for what it used', async () => {
    const of = await job();
    const running = await claims.claimed(of, [rule(1_000)]);
    await cancelJob(claims.database, of.tenant_id, of.id);
    const { end } = settlementOf(running, 20n);
    const settled = await claims.settle(running, 20n, [rule(1_000)], { end: { ...end, status: 'aborted' } });
    expect(settled.kind).toBe('fence_lost');
    expect(await windowOf(tenantKey(of))).toEqual({ committed: 20, reserved: 0 });
  });

  it('a threshold is told once, by whichever settle crosses it', async () => {
    const tenantId = await claims.tenant();
    const budgets = [rule(1_000)];
    const jobs = await Promise.all(Array.from({ length: 10 }, () => claims.addJob({ ...size, tenantId })));
    const running: JobRow[] = [];
    for (const each of jobs) running.push(await claims.claimed(each, budgets));
    await Promise.all(running.map((each) => claims.settle(each, 100n, budgets)));
    const key = tenantKey(jobs[0] as JobRow);
    expect((await alertsOf(key)).map(({ threshold }) => threshold)).toEqual([0.5, 1]);
    expect(await windowOf(key)).toEqual({ committed: 1_000, reserved: 0 });
  });

  describe.each(['max', 'expected'] as const)('16 at once that reserve what is %s', (reserve) => {
    it('spend no more than the budget and what was under-estimated, and leave nothing behind', async () => {
      const tenantId = await claims.tenant();
      const limit = 20_000;
      const budgets = [
        rule(limit, { reserve }),
        rule(10_000_000, { reserve, per: 'metadata', field: 'team' }),
        rule(10_000_000, { reserve, per: 'model', period: 'month' }),
      ];
      const waiting: JobRow[] = [];
      for (let n = 0; n < 120; n++) {
        const metadata = { team: `${reserve}-${n % 3}` };
        waiting.push(await claims.addJob({ ...size, tenantId, metadata }, [n % 2 ? 'p/m' : 'q/m']));
      }
      const key = tenantKey(waiting[0] as JobRow);
      let most = 0;
      let refused = 0;
      const look = async () => {
        const { committed, reserved } = await windowOf(key);
        most = Math.max(most, committed);
        if (reserve === 'max') expect(committed + reserved).toBeLessThanOrEqual(limit);
      };
      const oneByOne = async (seed: number): Promise<void> => {
        for (let turn = 0; waiting.length > 0; turn++) {
          // Two in a statement, as they come: two statements may want the same windows in another order.
          const taken = waiting.splice(0, 2);
          const found = await claimJobs(
            claims.database,
            taken.map((each) => claims.requestFor(each)),
            budgets,
          );
          const under = found.flatMap((claim) => (claim.kind === 'claimed' ? [claim.job] : []));
          refused += found.filter(({ kind }) => kind === 'refused').length;
          waiting.push(...taken.filter((_, index) => found[index]?.kind === 'budget_wait'));
          await look();
          const costs = under.map((_, index) => BigInt(((seed * 7 + turn * 13 + index * 5) % mostNano) + 1));
          const ends = under.map((each, index) => settlementOf(each, costs[index] ?? 0n));
          await settleAttempts(claims.database, ends, budgets);
          await look();
        }
      };
      await Promise.all(Array.from({ length: 16 }, (_, seed) => oneByOne(seed * 31)));
      const { committed, reserved } = await windowOf(key);
      // In flight at once: 16 workers, two calls each.
      const slack = reserve === 'max' ? 0 : 32 * mostNano;
      expect(most).toBeLessThanOrEqual(limit + slack);
      expect([reserved, committed]).toEqual([0, await bookedFor(tenantId)]);
      expect(refused, 'the budget was too small for all of them').toBeGreaterThan(0);
      const { rows } = await claims.database.pool.query(
        `select count(*)::int as n from waybill.budget_reservations r join waybill.jobs j on j.id = r.job_id where j.tenant_id = $1`,
        [tenantId],
      );
      expect(rows).toEqual([{ n: 0 }]);
      expect((await alertsOf(key)).map(({ threshold }) => threshold)).toEqual(committed >= limit ? [0.5, 1] : [0.5]);
    }, 120_000);
  });

  const bookedFor = async (tenantId: string): Promise<number> => {
    const { rows } = await claims.database.pool.query(
      'select coalesce(sum(cost_nano), 0)::float8 as nano from waybill.ledger where tenant_id = $1',
      [tenantId],
    );
    return (rows as { nano: number }[])[0]?.nano ?? Number.NaN;
  };

  const kindOf = ({ kind }: Claim): string => kind;
  it.each([
    ['what the configuration requires of all', { require: ['local'], labels: ['eu'] }, [], 'refused'],
    ['what the job requires', { labels: ['local'] }, ['eu'], 'refused'],
    ['both', { require: ['local'], labels: ['local', 'eu'] }, ['eu'], 'claimed'],
  ])('a target needs the labels of %s', async (_, change, require, expected) => {
    const of = await job({ require });
    const claim = await claims.claim(of, [], change);
    expect(kindOf(claim)).toBe(expected);
    if (claim.kind === 'refused') expect(claim.refusal).toBe('label');
  });
});
