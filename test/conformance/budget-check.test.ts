/** What is known of budgets and conversations when a job is accepted. The same on both stores. */

import { createBudgetCheck } from '@waybill/producer/budget-check.ts';
import { createHistorySizes, withTurn } from '@waybill/producer/history-sizes.ts';
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import { defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { describe, expect, it } from 'vitest';
import { useClaims } from '../support/claims.ts';
import { storesUnderTest } from '../support/stores.ts';
import { type MoreOfJob, newJob } from '../support/worker-context.ts';

const cloud = { preset: 'openai', base_url: 'http://127.0.0.1:1/v1', api_key: 'test' };
const price = { input_usd_per_million: '1', output_usd_per_million: '1' };
function settingsWith(budget: object) {
  const parsed = parseEnvironment({});
  if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
  const budgets = [{ period: 'month', limit_usd: '0.000000050', ...budget }];
  const providers = { p: { ...cloud, models: { m: price } }, home: { ...cloud, labels: ['local'] } };
  return settingsOf({ providers, budgets }, parsed.environment, 'the test');
}

describe.each(storesUnderTest)('accepting jobs on the $name store', ({ start }) => {
  const claims = useClaims(start);

  /** Spends 60 nano-USD of a budget of 50, and asks for another job. */
  const askAfter = async (budget: object, more: MoreOfJob, targets: readonly string[] = ['p/m']): Promise<void> => {
    const settings = settingsWith(budget);
    const tenantId = await claims.tenant();
    const job = await claims.addJob({ ...more, tenantId });
    await claims.settle(await claims.claimed(job, settings.budgets), 60n, settings.budgets);
    await createBudgetCheck(settings, claims.database)(newJob(targets, { ...more, tenantId }));
  };
  const spent = expect.objectContaining({ code: 'budget_exceeded' });

  it.each<[string, object, MoreOfJob]>([
    ['its tenant', { per: 'tenant' }, {}],
    ['its API key', { per: 'api_key' }, { apiKeyId: newId('key') }],
    ['its user', { per: 'end_user' }, { endUser: 'ann' }],
    ['its team', { per: 'metadata', field: 'team', only: ['search'] }, { metadata: { team: 'search' } }],
  ])('a job is refused when the budget of %s is spent', async (_, budget, more) => {
    await expect(askAfter(budget, more)).rejects.toEqual(spent);
  });

  it('a job is refused where only a later target costs nothing: it would be refused at its first', async () => {
    await expect(askAfter({ per: 'tenant' }, {}, ['p/m', 'home/m'])).rejects.toEqual(spent);
  });

  it.each<[string, object, MoreOfJob, string[]]>([
    ['it is about another', { per: 'tenant', only: ['another'] }, {}, ['p/m']],
    ['its target costs nothing', { per: 'tenant' }, {}, ['home/m', 'p/m']],
    ['it may wait for what is local', { per: 'tenant', on_exceeded: 'local_only' }, {}, ['p/m']],
    ['it is about a provider, and leaves others', { per: 'provider', only: ['q'] }, {}, ['p/m']],
  ])('a job is accepted when %s', async (_, budget, more, targets) => {
    await expect(askAfter(budget, more, targets)).resolves.toBeUndefined();
  });

  it('a conversation has the tokens and the labels of its latest turn, of its own tenant', async () => {
    const conversation = newId('job');
    const sizeFor = (tenant: string) => createHistorySizes(claims.database, tenant)(conversation);
    await claims.addJob({ conversation, conversationTokens: 10 });
    // What is estimated of the turn itself may be less: no more than fits a window.
    await claims.addJob({ conversation, conversationTokens: 70, estimatedTokens: 40, require: ['local'] });
    expect(await sizeFor(defaultTenantId)).toEqual({ tokens: 70, require: ['local'] });
    expect(await sizeFor(await claims.tenant())).toEqual({ tokens: 0, require: [] });
    expect(withTurn({ tokens: 70, require: [] }, 30)).toBe(100);
    expect(withTurn({ tokens: 1_999_999, require: [] }, 30), 'no window is larger').toBe(2_000_000);
  });
});
