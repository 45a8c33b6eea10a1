/** Claims and settles on a store of its own, for suites that take them one at a time. */
import { newId } from '@waybill/shared/domain/ids.ts';
import type { BudgetRule } from '@waybill/shared/routing/budgets.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { type Claim, type ClaimRequest, claimJobs } from '@waybill/shared/store/claim.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { insertJobs } from '@waybill/shared/store/insert-jobs.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { type AttemptEnd, type NextStep, type Settlement, settleAttempts } from '@waybill/shared/store/settle.ts';
import { defaultTenantId, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { registerWorker } from '@waybill/shared/store/workers.ts';
import { afterAll, beforeAll } from 'vitest';
import type { StoreUnderTest } from './stores.ts';
import { keepAlive, type MoreOfJob, newJob } from './worker-context.ts';

export const target = 'p/m';

const nothing = { inputPerMillion: 0n, outputPerMillion: 0n };
/** What a claim needs besides its job and its permit, in tests of other things: nothing is required, nothing costs. */
export const plainClaim: Pick<ClaimRequest, 'labels' | 'require' | 'credential' | 'place' | 'prices'> = {
  labels: [],
  require: [],
  credential: null,
  place: 'default',
  prices: { expected: nothing, largest: nothing, dearest: nothing, maxOutputTokens: null },
};

export const answered: Extract<NextStep, { kind: 'succeed' }> = { kind: 'succeed', output: '{}' };
/** A nano-USD for each token, four at most, ten for a model that nobody knows. */
export const prices: ClaimRequest['prices'] = {
  expected: { inputPerMillion: 1_000_000n, outputPerMillion: 1_000_000n },
  largest: { inputPerMillion: 4_000_000n, outputPerMillion: 4_000_000n },
  dearest: { inputPerMillion: 10_000_000n, outputPerMillion: 10_000_000n },
  maxOutputTokens: null,
};
export const unpriced = { ...prices, expected: null, largest: null };

export interface Claims {
  readonly database: Database;
  readonly workerId: string;
  addJob(more?: MoreOfJob, targets?: readonly string[]): Promise<JobRow>;
  readJob(id: string): Promise<JobRow>;
  tenant(): Promise<string>;
  requestFor(job: JobRow, change?: Partial<ClaimRequest>): ClaimRequest;
  claim(job: JobRow, budgets?: readonly BudgetRule[], change?: Partial<ClaimRequest>): Promise<Claim>;
  claimed(job: JobRow, budgets?: readonly BudgetRule[], change?: Partial<ClaimRequest>): Promise<JobRow>;
  settle(
    job: JobRow,
    cost: bigint | null,
    budgets?: readonly BudgetRule[],
    more?: Partial<Settlement>,
  ): ReturnType<typeof settleOne>;
}

/** For a whole suite, whose store is there once its tests run and gone after them. */
export function useClaims(start: () => Promise<StoreUnderTest>): Claims {
  const sealer = createSealer(Buffer.alloc(32, 7));
  const workerId = newId('wrk');
  let store: StoreUnderTest | undefined;
  let database: Database;
  beforeAll(async () => {
    store = await start();
    database = store.database;
    await migrate(database);
    await ensureTenant(database, sealer, defaultTenantId, 'default');
    await database.pool.query(`insert into waybill.epochs (provider, epoch) values ('p', 'e'), ('q', 'e')`);
    await registerWorker(database, workerId, 'test');
    await keepAlive(database, workerId);
  }, 120_000);
  afterAll(() => store?.stop());
  const requestFor: Claims['requestFor'] = (job, change = {}) => ({
    ...{ ...plainClaim, prices, jobId: job.id, seq: job.seq, target: job.target, workerId },
    ...{ permit: newId('job'), epoch: 'e', ...change },
  });
  const claim: Claims['claim'] = async (job, budgets = [], change = {}) => {
    const [one] = await claimJobs(database, [requestFor(job, change)], budgets);
    if (!one) throw new Error('the claim was not answered');
    return one;
  };
  return {
    get database() {
      return database;
    },
    workerId,
    requestFor,
    claim,
    async addJob(more = {}, targets = [target]) {
      const [row] = await insertJobs(database.kysely, [newJob(targets, more)], new Map([[targets[0] ?? '', 1_000]]));
      if (!row) throw new Error('the job was not stored');
      return row;
    },
    readJob: (id) =>
      database.kysely.selectFrom('waybill.jobs').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
    async tenant() {
      const id = newId('ten');
      await ensureTenant(database, sealer, id, id);
      return id;
    },
    async claimed(job, budgets, change) {
      const one = await claim(job, budgets, change);
      if (one.kind !== 'claimed') throw new Error(`the claim was ${JSON.stringify(one.kind)}`);
      return one.job;
    },
    settle: (job, cost, budgets = [], more = {}) => settleOne(database, settlementOf(job, cost, more), budgets),
  };
}

async function settleOne(database: Database, settlement: Settlement, budgets: readonly BudgetRule[]) {
  const [settled] = await settleAttempts(database, [settlement], budgets);
  if (!settled) throw new Error('the settle was not answered');
  return settled;
}

/** @param cost in nano-USD; null: nobody knows */
export function settlementOf(job: JobRow, cost: bigint | null, more: Partial<Settlement> = {}): Settlement {
  const end: AttemptEnd = {
    ...{ jobId: job.id, attempt: job.attempt, tenantId: job.tenant_id, target: job.target, status: 'succeeded' },
    ...{ failure: null, httpStatus: 200, durationMs: 5, firstByteMs: 1, retryAtMs: null, requestId: null },
    ...{ responseModel: null, usage: null, warnings: [], isPart: false, hadCarried: false },
    cost:
      cost === null
        ? { nano: null, basis: 'unknown', reason: 'no_usage', price: null }
        : { nano: cost, basis: 'computed', reason: null, price: null },
  };
  return { end, next: answered, telling: null, decided: null, ...more };
}
