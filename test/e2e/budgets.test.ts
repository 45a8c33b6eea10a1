/** Budgets on a whole Waybill: what is spent is refused, what is reserved is waited for, and an operator sees all of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '@waybill/producer/client/client.ts';
import type { JobJson } from '@waybill/producer/job-json.ts';
import type { BudgetJson, BudgetList } from '@waybill/producer/routes/admin/budget-json.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { addApiKey, defaultTenantId, ensureConfiguredTenants } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectRefusal } from '../support/bad-input.ts';
import { listEvents } from '../support/events.ts';
import { exchange } from '../support/http-exchange.ts';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';
import { runCli } from '../support/waybill-process.ts';

/** A token of output costs $0.001, and input costs nothing: costs are read off the answers. */
const priced = { input_usd_per_million: '0', output_usd_per_million: '1000' };
const cheap = { input_usd_per_million: '0', output_usd_per_million: '1' };
const gates = new Map<string, PromiseWithResolvers<void>>();
let provider: ScriptedProvider;
let waybill: TestWaybill;
/** With budgets that every job of a key or a tenant counts for. */
let strict: TestWaybill;

beforeAll(async () => {
  // The prompt says how many tokens are answered, and behind which gate.
  provider = await startScriptedProvider(async ({ prompt }) => {
    const [tokens, gate = ''] = prompt.split(' ');
    await gates.get(gate)?.promise;
    return say('word'.repeat(Number(tokens)));
  });
  const entry = { preset: 'openai-compatible', base_url: `${provider.url}/v1` };
  const metadata = { per: 'metadata', period: 'month', limit_usd: '0.10' };
  waybill = await startWaybill({
    config: {
      providers: {
        paid: { ...entry, models: { a: priced, limited: priced, other: priced } },
        scarce: { ...entry, models: { s: priced } },
        cheap: { ...entry, models: { c: cheap } },
        unpriced: entry,
        local: { ...entry, labels: ['local'] },
      },
      chains: {
        default: { targets: ['paid/a'] },
        'to-local': { targets: ['paid/a', 'local/l'] },
        'to-other': { targets: ['paid/limited', 'paid/other'] },
        'to-paid': { targets: ['scarce/s', 'paid/a'] },
        'to-cheap': { targets: ['paid/a', 'cheap/c'] },
        'from-unpriced': { targets: ['unpriced/u', 'paid/a'] },
      },
      budgets: [
        { ...metadata, field: 'team', alert_at: [0.5, 1] },
        { ...metadata, field: 'blocked', on_unknown_price: 'block' },
        { ...metadata, field: 'allowed', on_unknown_price: 'allow' },
        { ...metadata, field: 'reserved', limit_usd: '1000000', on_unknown_price: 'reserve_max' },
        { ...metadata, field: 'largest', reserve: 'max' },
        { per: 'end_user', period: 'month', limit_usd: '0.05', on_exceeded: 'local_only' },
        { per: 'model', only: ['paid/limited'], period: 'month', limit_usd: '0.01' },
        { per: 'provider', only: ['scarce'], period: 'month', limit_usd: '0.01' },
      ],
    },
  });
  strict = await startWaybill({
    config: {
      providers: { paid: { ...entry, models: { a: priced } } },
      chains: { default: { targets: ['paid/a'] } },
      budgets: [
        { per: 'api_key', period: 'day', limit_usd: '0.02' },
        { per: 'tenant', only: ['small'], period: 'month', limit_usd: '0.03' },
      ],
      tenants: { small: { weight: 3 }, default: { weight: 2 } },
    },
  });
});
afterAll(async () => {
  for (const gate of gates.values()) gate.resolve();
  await Promise.all([waybill?.stop(), strict?.stop()]);
  await provider?.stop();
});

/** A job that is expected to cost as many tokens as it may have. */
const job = (tokens: number, more: Record<string, unknown> = {}, answered: string = `${tokens}`) => {
  const { model = 'default', user, ...rest } = more;
  const body = { model, messages: [{ role: 'user', content: answered }], max_tokens: tokens };
  return { body: user === undefined ? body : { ...body, user }, ...rest };
};
async function run(tokens: number, more: Record<string, unknown> = {}, answered?: string): Promise<JobJson> {
  const { id } = await waybill.client.submit(job(tokens, more, answered));
  return whenFinal(waybill.client, id);
}
const budgetsOf = async (subject: string): Promise<readonly BudgetJson[]> =>
  (await waybill.client.budgets({ subject })).data;
const alertsOf = async (subject: string) =>
  (await listEvents(waybill)).filter(
    ({ type, data }) => type === 'budget.threshold' && data.subject === `ten_default/${subject}`,
  );
const spent = { status: 402, code: 'budget_exceeded' };
const unpayable = { status: 'failed', error: { kind: 'budget_exceeded' }, attempts: [] };

test('what is spent is refused at submit, for the one who spent it alone', async () => {
  const more = { metadata: { team: 'spender' } };
  expect(await run(100, more)).toMatchObject({ status: 'succeeded', cost_usd: '0.10' });
  const refused = waybill.client.submit(job(1, more));
  await expect(refused).rejects.toMatchObject(spent);
  await expect(refused).rejects.toThrow(/the budget metadata\.team\/month of "spender", \$0\.10, is spent until 20/);
  await expect(waybill.client.submitMany([job(1), job(1, more)])).rejects.toMatchObject(spent);
  expect(await run(1, { metadata: { team: 'saver' } })).toMatchObject({ status: 'succeeded' });
  expect(await run(1)).toMatchObject({ status: 'succeeded' });
});

test('what would exceed the budget is not called, and says why', async () => {
  const more = { metadata: { team: 'careful' } };
  expect(await run(90, more)).toMatchObject({ status: 'succeeded' });
  const calls = provider.requests.length;
  expect(await run(11, more, '11 never')).toMatchObject(unpayable);
  expect(provider.requests.slice(calls).map(({ prompt }) => prompt)).not.toContain('11 never');
  expect(await run(10, more), 'what fits is called').toMatchObject({ status: 'succeeded' });
});

test('what others have reserved is waited for, and a settle wakes who waits', async () => {
  const more = { metadata: { team: 'waiters' } };
  const gate = Promise.withResolvers<void>();
  gates.set('waiters', gate);
  const one = await waybill.client.submit(job(60, more, '10 waiters'));
  await eventually(
    () => budgetsOf('waiters'),
    ([budget]) => budget?.reserved_usd === '0.06',
  );
  const two = await waybill.client.submit(job(60, more, '20'));
  const waiting = await eventually(
    () => waybill.client.get(two.id),
    (each) => each.waiting?.reason === 'budget',
  );
  expect(waiting).toMatchObject({ status: 'queued', attempts: [] });
  gate.resolve();
  const ended = await whenFinal(waybill.client, two.id);
  expect(ended).toMatchObject({ status: 'succeeded', cost_usd: '0.02' });
  expect(Date.parse(ended.started_at ?? ''), 'woken before its time').toBeLessThan(
    Date.parse(waiting.waiting?.until ?? ''),
  );
  expect(await whenFinal(waybill.client, one.id)).toMatchObject({ cost_usd: '0.01' });
  expect(await budgetsOf('waiters')).toMatchObject([
    { committed_usd: '0.03', reserved_usd: '0.00', remaining_usd: '0.07' },
  ]);
});

test('a wrong estimate is corrected by what the call cost', async () => {
  const more = { metadata: { team: 'wrong' } };
  expect(await run(10, more, '120')).toMatchObject({ cost_usd: '0.12' });
  expect(await budgetsOf('wrong')).toMatchObject([{ committed_usd: '0.12', remaining_usd: '0.00' }]);
  await expect(waybill.client.submit(job(1, more))).rejects.toMatchObject(spent);
});

test('with "reserve: max" what is reserved is what the call may cost at most', async () => {
  const gate = Promise.withResolvers<void>();
  gates.set('largest', gate);
  const { id } = await waybill.client.submit(job(40, { metadata: { largest: 'large' } }, '5 largest'));
  const [held] = await eventually(
    () => budgetsOf('large'),
    ([budget]) => budget?.reserved_usd !== undefined && budget.reserved_usd !== '0.00',
  );
  expect(held).toMatchObject({ reserved_usd: '0.04', committed_usd: '0.00', remaining_usd: '0.06' });
  gate.resolve();
  expect(await whenFinal(waybill.client, id)).toMatchObject({ cost_usd: '0.005' });
  expect(await budgetsOf('large')).toMatchObject([{ committed_usd: '0.005', reserved_usd: '0.00' }]);
});

test('with "on_exceeded: local_only" what costs nothing still runs', async () => {
  const more = { model: 'to-local', user: 'alice' };
  expect(await run(50, more)).toMatchObject({ status: 'succeeded', target: 'paid/a' });
  expect(await run(10, more)).toMatchObject({
    ...{ status: 'succeeded', target: 'local/l', cost_usd: '0.00' },
    attempts: [{ n: 1, target: 'local/l' }],
  });
  expect(await run(10, { user: 'alice' }), 'without such a target').toMatchObject(unpayable);
  expect(await run(10, { ...more, user: 'bob' }), 'another user').toMatchObject({ target: 'paid/a' });
});

test('the budget of a model or of a provider leaves the others to serve', async () => {
  const ofModel = { model: 'to-other' };
  const ofProvider = { model: 'to-paid' };
  for (const [more, first, then] of [
    [ofModel, 'paid/limited', 'paid/other'],
    [ofProvider, 'scarce/s', 'paid/a'],
  ] as const) {
    expect(await run(10, more)).toMatchObject({ target: first });
    expect(await run(10, more)).toMatchObject({ status: 'succeeded', target: then, attempts: [{ target: then }] });
  }
  expect(await run(1, { model: 'paid/limited' })).toMatchObject(unpayable);
});

describe('a price that nobody knows', () => {
  const model = 'from-unpriced';

  test('block: the target is left for one whose price is known', async () => {
    const more = { model, metadata: { blocked: 'one' } };
    expect(await run(10, more)).toMatchObject({ target: 'paid/a', attempts: [{ target: 'paid/a' }] });
    expect(await run(10, { ...more, model: 'unpriced/u' })).toMatchObject(unpayable);
  });

  test('allow: it is called, and counted as unknown instead of as nothing', async () => {
    expect(await run(10, { model, metadata: { allowed: 'two' } })).toMatchObject({ target: 'unpriced/u' });
    expect(await budgetsOf('two')).toMatchObject([
      { committed_usd: '0.00', reserved_usd: '0.00', unknown: { count: 1, usd: '0.00' } },
    ]);
  });

  test('reserve_max: it is taken for as dear as the dearest known one, and stays so', async () => {
    const ended = await run(10, { model, metadata: { reserved: 'three' } });
    expect(ended).toMatchObject({ target: 'unpriced/u', cost_usd: '0.00', cost_unknown_attempts: 1 });
    const [budget] = await budgetsOf('three');
    expect(budget).toMatchObject({ reserved_usd: '0.00', unknown: { count: 1 } });
    expect(Number(budget?.unknown.usd)).toBeGreaterThan(0);
    expect(budget?.committed_usd).toBe(budget?.unknown.usd);
  });
});

test('each threshold is told of once, whoever crosses it', async () => {
  const more = { metadata: { team: 'alerted' } };
  await run(49, more);
  expect(await alertsOf('alerted')).toEqual([]);
  // Together they cross it, and the last ones are beyond it already.
  await Promise.all([1, 2, 3].map((tokens) => run(tokens, more)));
  expect(await alertsOf('alerted')).toMatchObject([
    {
      data: {
        ...{ budget: 'metadata.team/month', period: 'month', threshold: 0.5, limit_usd: '0.10' },
        committed_usd: expect.stringMatching(/^0\.05\d*$/),
      },
    },
  ]);
  await run(45, more);
  expect((await alertsOf('alerted')).map(({ data }) => data.threshold)).toEqual([0.5, 1]);
  expect(await budgetsOf('alerted')).toMatchObject([
    { alerts: [0.5, 1].map((at) => ({ at, told_at: expect.stringMatching(/^20/) })) },
  ]);
});

test('subjects that begin alike for long are told apart, and each threshold of theirs', async () => {
  const long = 'x'.repeat(400);
  for (const end of ['one', 'two']) await run(100, { metadata: { team: `${long}${end}` } });
  for (const end of ['one', 'two'])
    expect((await alertsOf(`${long}${end}`)).map(({ data }) => data.threshold)).toEqual([0.5, 1]);
});

test('a job’s own bound leaves what is too dear for what is cheaper, or ends it', async () => {
  const more = { model: 'to-cheap', max_cost_usd: '0.005' };
  expect(await run(10, more)).toMatchObject({
    ...{ status: 'succeeded', target: 'cheap/c', cost_usd: '0.00001' },
    attempts: [{ n: 1, target: 'cheap/c' }],
  });
  expect(await run(5, more), 'what it just pays for').toMatchObject({ target: 'paid/a', cost_usd: '0.005' });
  expect(await run(10, { ...more, max_cost_usd: '0.000001' })).toMatchObject(unpayable);
});

describe('the list', () => {
  const idOf = (team: string) => ({ id: 'metadata.team/month', subject: team });

  test('shows rules, windows and what is left; by subject, by kind, page by page', async () => {
    for (const team of ['list-a', 'list-b']) await run(30, { metadata: { team } });
    const [budget] = await budgetsOf('list-a');
    expect(budget).toEqual({
      ...{ object: 'budget', ...idOf('list-a'), per: 'metadata', field: 'team', tenant_id: defaultTenantId },
      window_start: expect.stringMatching(/^\d{4}-\d\d-01T00:00:00\.000Z$/),
      window_end: expect.stringMatching(/^\d{4}-\d\d-01T00:00:00\.000Z$/),
      ...{ limit_usd: '0.10', committed_usd: '0.03', reserved_usd: '0.00', remaining_usd: '0.07' },
      ...{ unknown: { count: 0, usd: '0.00' }, alerts: [], on_exceeded: 'reject' },
    });
    const all = await waybill.client.budgets();
    expect(all.rules).toHaveLength(8);
    expect(all.rules.find(({ id }) => id === 'model/month')).toMatchObject({
      only: ['paid/limited'],
      reserve: 'expected',
    });
    const { data, rules } = await waybill.client.budgets({ per: 'end_user' });
    expect(rules).toMatchObject([{ id: 'end_user/month', on_exceeded: 'local_only' }]);
    expect(data.every(({ per }) => per === 'end_user')).toBe(true);
    const paged: string[] = [];
    let page: BudgetList = await waybill.client.budgets({ per: 'metadata', limit: '1' });
    for (;;) {
      paged.push(...page.data.map(({ subject }) => subject));
      if (page.next_after === null) break;
      page = await waybill.client.budgets({ per: 'metadata', limit: '1', after: page.next_after });
    }
    expect(new Set(paged).size).toBe(paged.length);
    for (const team of ['list-a', 'list-b']) expect(paged).toContain(team);
  });

  test('shows the window before', async () => {
    await waybill.server.database.pool.query(
      `insert into waybill.budget_windows (key, starts_at, committed_nano) values ('metadata.team/month:ten_default/before',
        (date_trunc('month', now() at time zone 'UTC') - interval '1 month') at time zone 'UTC', 20000000)`,
    );
    expect(await budgetsOf('before')).toEqual([]);
    const { data, rules } = await waybill.client.budgets({ subject: 'before', window: 'previous' });
    expect(data).toMatchObject([{ ...idOf('before'), committed_usd: '0.02', remaining_usd: '0.08' }]);
    expect(data[0]?.window_start).toBe(rules[0]?.window_start);
    expect(data[0]?.window_end).toBe((await waybill.client.budgets()).rules[0]?.window_start);
  });

  test.for<[string, string]>([
    ['per=team', 'invalid_value'],
    ['window=next', 'invalid_value'],
    ['limit=0', 'invalid_limit'],
    ['subjct=x', 'invalid_query'],
  ])('refuses ?%s', async ([query, code]) => {
    const path = `/admin/v1/budgets?${query}`;
    expectRefusal(await exchange(waybill.url, waybill.adminKey, { path }), 400, code);
  });

  test('is for admins', async () => {
    const key = await addApiKey(waybill.server.database, {
      tenantId: defaultTenantId,
      name: 'r',
      scopes: ['jobs:read'],
    });
    expectRefusal(await exchange(waybill.url, key.text, { path: '/admin/v1/budgets' }), 403, 'insufficient_scope');
    const answer = await exchange(waybill.url, waybill.adminKey, { method: 'POST', path: '/admin/v1/budgets' });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET']);
  });

  test('is shown on the command line, with a bar', async () => {
    await run(50, { metadata: { team: 'cli' } });
    const cli = (...args: readonly string[]) =>
      runCli(['budgets', ...args], { environment: { WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey } });
    const { code, stdout } = await cli('--per', 'metadata', '--subject', 'cli');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^metadata\.team\/month +ten_default\/cli +\[########--------\] +50% +0\.05 +0\.00 +0\.05 +0\.10 +20\S+ +50% +reject$/m,
    );
    expect(stdout).toContain('metadata.blocked/month: nothing yet of $0.10');
    const json = JSON.parse((await cli('--subject', 'cli', '--json')).stdout) as BudgetList;
    expect(json.data).toMatchObject([idOf('cli')]);
    const wrong = await cli('--window', 'next');
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('expected one of current, previous')]);
    expect((await cli('--help')).stdout).toContain('Examples:');
  });
});

describe('tenants and API keys', () => {
  const keyOf = async (tenantId: string) => {
    const scopes = ['jobs:write', 'jobs:read'] as const;
    const key = await addApiKey(strict.server.database, { tenantId, name: 'test', scopes });
    return { id: key.id, client: createClient({ url: strict.url, apiKey: key.text }) };
  };
  const tenantsOf = async () => {
    const { rows } = await strict.server.database.pool.query(
      'select id, name, weight from waybill.tenants order by id',
    );
    return rows;
  };

  test('configured tenants are there from the start, with their weights', async () => {
    expect(await tenantsOf()).toEqual([
      { id: 'ten_default', name: 'default', weight: 2 },
      { id: 'ten_small', name: 'small', weight: 3 },
    ]);
    const sealer = createSealer(Buffer.from(readFileSync(join(strict.directory, 'master-key'), 'utf8'), 'base64'));
    const { rows: before } = await strict.server.database.pool.query(
      'select default_webhook_secret as secret from waybill.tenants',
    );
    const configured = { small: { weight: 3 }, default: { weight: 7 } };
    await ensureConfiguredTenants(strict.server.database, sealer, configured);
    expect(await tenantsOf()).toMatchObject([{ weight: 7 }, { weight: 3 }]);
    const { rows: after } = await strict.server.database.pool.query(
      'select default_webhook_secret as secret from waybill.tenants',
    );
    expect(new Set(after.map(({ secret }) => String(secret)))).toEqual(
      new Set(before.map(({ secret }) => String(secret))),
    );
    await ensureConfiguredTenants(strict.server.database, sealer, { default: { weight: 2 } });
  });

  test('a key that has spent its budget is refused, another key of the tenant is not, until the tenant has', async () => {
    const [one, two] = [await keyOf('ten_small'), await keyOf('ten_small')];
    const spend = async ({ client }: typeof one, tokens: number) =>
      whenFinal(client, (await client.submit(job(tokens))).id);
    expect(await spend(one, 20)).toMatchObject({ status: 'succeeded' });
    await expect(one.client.submit(job(1))).rejects.toMatchObject(spent);
    expect(await spend(two, 10)).toMatchObject({ status: 'succeeded' });
    await expect(two.client.submit(job(1))).rejects.toThrow(/tenant\/month of "small"/);
    expect((await strict.client.budgets({ subject: one.id })).data).toMatchObject([
      { id: 'api_key/day', tenant_id: null, committed_usd: '0.02', remaining_usd: '0.00' },
    ]);
    expect((await strict.client.budgets({ subject: 'small' })).data).toMatchObject([
      { id: 'tenant/month', committed_usd: '0.03' },
    ]);
    const outside = await keyOf(defaultTenantId);
    expect(await spend(outside, 10), 'another tenant has no such budget').toMatchObject({ status: 'succeeded' });
  });
});
