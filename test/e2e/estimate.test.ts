/** A dry run: where a job would go, what it would wait for and what it would cost; over HTTP and on the command line. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import type { JobEstimateJson } from '@waybill/producer/estimate-json.ts';
import { addApiKey, defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange } from '../support/http-exchange.ts';
import { type Reply, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';
import { runCli } from '../support/waybill-process.ts';

let provider: ScriptedProvider;
let waybill: TestWaybill;
let directory: string;
let reader: Client;
let writer: Client;
let stranger: Client;
const gate = Promise.withResolvers<Reply>();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waybill-estimate-'));
  provider = await startScriptedProvider(({ prompt }) => (prompt === 'blocker' ? gate.promise : say('done')));
  const entry = { preset: 'openai-compatible', endpoints: [`${provider.url}/v1`] };
  const price = { input_usd_per_million: '1', output_usd_per_million: '2' };
  waybill = await startWaybill({
    config: {
      providers: {
        priced: { ...entry, labels: ['eu'], models: { m: price, blind: { ...price, capabilities: ['tools'] } } },
        plain: { ...entry, models: { n: { limits: { tpm: 2_000 } } } },
        narrow: { ...entry, limits: { concurrency: 1 } },
        paid: { ...entry, models: { p: price } },
      },
      chains: {
        default: { targets: ['priced/m', 'plain/n'] },
        blind: { targets: ['priced/blind'], mode: 'manual' },
        paid: { targets: ['paid/p'] },
      },
      privacy: { detect: ['email'], require: ['eu'] },
      budgets: [
        { per: 'tenant', period: 'month', limit_usd: '0.01', on_unknown_price: 'allow' },
        { per: 'provider', period: 'day', limit_usd: '100', on_unknown_price: 'allow' },
        { per: 'metadata', field: 'team', period: 'day', limit_usd: '0.000001', on_unknown_price: 'allow' },
      ],
    },
  });
  const keyOf = async (scopes: readonly ('jobs:read' | 'jobs:write' | 'webhooks:read')[]) => {
    const key = await addApiKey(waybill.server.database, { tenantId: defaultTenantId, name: 'test', scopes });
    return createClient({ url: waybill.url, apiKey: key.text });
  };
  reader = await keyOf(['jobs:read']);
  writer = await keyOf(['jobs:write']);
  stranger = await keyOf(['webhooks:read']);
});
afterAll(async () => {
  gate.resolve(say('late'));
  await waybill.stop();
  await provider.stop();
  await rm(directory, { recursive: true, force: true });
});

const body = (model: string, more: object = {}) => ({ model, messages: [{ role: 'user', content: 'Hello' }], ...more });
const estimate = (job: object): Promise<JobEstimateJson> => waybill.client.estimate(job);
const rowsIn = async (table: string): Promise<number> => {
  const { rows } = await waybill.server.database.pool.query(`select count(*)::int as n from waybill.${table}`);
  return rows[0]?.n as number;
};

test('an estimate says the chain, the targets in order, tokens, costs and budgets, and stores nothing', async () => {
  const before = await Promise.all(['jobs', 'decisions', 'budget_windows', 'audit'].map(rowsIn));
  const found = await estimate({ body: body('default', { max_tokens: 100 }) });
  const cost = { expected_cost_usd: '0.000205', cost_reason: null, budget: 'fit' };
  expect(found).toMatchObject({
    ...{ object: 'job_estimate', model: 'default', chain: 'default', config_version: waybill.settings.version },
    ...{ input_tokens: 5, output_tokens: 100, output_bound: 100, detected: [], require: [], target: 'priced/m' },
    targets: [
      { ...cost, target: 'priced/m', status: 'eligible', reason: null, is_first: true },
      {
        ...{ target: 'plain/n', status: 'eligible', is_first: false, expected_cost_usd: null, largest_cost_usd: null },
        cost_reason: 'no price is known of "n"',
      },
    ],
    waits: [],
    warnings: [],
  });
  // Whatever tokenizer counts it, it costs no more.
  expect(Number(found.targets[0]?.largest_cost_usd)).toBeGreaterThan(0.000205);
  const month = new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth(), 1)).toISOString();
  expect(found.budgets.find(({ budget }) => budget === 'tenant/month')).toMatchObject({
    ...{ subject: 'default', limit_usd: '0.01', reserved_usd: '0.00', would: 'fit', window_start: month },
  });
  expect(await Promise.all(['jobs', 'decisions', 'budget_windows', 'audit'].map(rowsIn))).toEqual(before);
});

test('what no target can serve is answered, with the reason of each', async () => {
  expect(await estimate({ body: body('default'), require: ['eu'], exclude_providers: ['priced'] })).toMatchObject({
    target: null,
    targets: [
      { target: 'priced/m', status: 'skipped', reason: 'excluded', is_first: false },
      { target: 'plain/n', status: 'skipped', reason: 'label', detail: 'lacks the label "eu"' },
    ],
    waits: [],
    budgets: [],
    warnings: [expect.stringContaining('no_eligible_target')],
  });
  const image = [{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }];
  expect(await estimate({ body: { model: 'blind', messages: [{ role: 'user', content: image }] } })).toMatchObject({
    target: null,
    targets: [{ reason: 'capability', detail: 'cannot do "vision"' }],
  });
});

test('what would change its way is said: a finding, a size, no bound, its own maximum, its time', async () => {
  const at = new Date(Date.now() + 3_600_000).toISOString();
  const found = await estimate({
    body: { model: 'default', messages: [{ role: 'user', content: 'I am ada@example.org' }] },
    run_at: at,
    max_cost_usd: '0.0000001',
  });
  expect(found).toMatchObject({
    ...{ detected: ['email'], require: ['eu'], output_tokens: 1_000, output_bound: null, target: 'priced/m' },
    waits: [{ reason: 'schedule', until: at }],
    warnings: [expect.stringContaining('max_cost_usd (0.0000001)'), expect.stringContaining('Set max_tokens')],
  });
  expect(found.targets[1]).toMatchObject({ target: 'plain/n', reason: 'label' });
  const large = await estimate({ body: body('plain/n', { max_tokens: 2_001 }) });
  expect(large).toMatchObject({ chain: null, target: null, targets: [{ reason: 'exceeds_limit' }] });
  expect((await estimate({ body: body('blind', { max_tokens: 1 }) })).warnings).toEqual([
    expect.stringContaining('approves'),
  ]);
});

test('a budget that is too small says so, and one that is spent says that the job would be refused', async () => {
  const small = await estimate({ body: body('default', { max_tokens: 10 }), metadata: { team: 'a' } });
  expect(small.targets[0]).toMatchObject({ budget: 'exceed' });
  expect(small.budgets.find(({ budget }) => budget === 'metadata.team/day')).toMatchObject({
    ...{ subject: 'a', would: 'exceed', committed_usd: '0.00' },
  });
  expect(small.warnings).toEqual([expect.stringContaining('budget_exceeded')]);
  const day = new Date(new Date().setUTCHours(0, 0, 0, 0));
  await waybill.server.database.pool.query(
    'insert into waybill.budget_windows (key, starts_at, committed_nano) values ($1, $2, 5000)',
    [`metadata.team/day:${defaultTenantId}/b`, day],
  );
  const job = { body: body('paid', { max_tokens: 10 }), metadata: { team: 'b' } };
  expect((await estimate(job)).warnings).toEqual([
    'The budget metadata.team/day of "b" is spent: POST /v1/jobs would refuse it with budget_exceeded',
  ]);
  await expect(waybill.client.submit(job)).rejects.toMatchObject({ status: 402, code: 'budget_exceeded' });
});

test('amounts that several tenants spend are for admins', async () => {
  const ofProvider = ({ budgets }: JobEstimateJson) => budgets.find(({ budget }) => budget === 'provider/day');
  const job = { body: body('default', { max_tokens: 10 }) };
  expect(ofProvider(await estimate(job))).toMatchObject({ subject: 'priced', limit_usd: '100.00' });
  expect(ofProvider(await reader.estimate(job))).toMatchObject({ limit_usd: null, committed_usd: null, would: 'fit' });
});

test('behind others of the tenant, and behind a turn of its conversation, it would wait', async () => {
  const blocker = await waybill.client.submit({ body: body('narrow/x'), conversation: 'talk' });
  const blocked = { model: 'narrow/x', prompt: 'blocker' };
  const { data } = await waybill.client.submitMany(Array.from({ length: 6 }, () => blocked));
  const waits = async (job: object) => (await estimate(job)).waits;
  const seen = await eventually(
    () => waits(blocked),
    (list) => list.some(({ reason, position }) => reason === 'turn' && position !== null && position > 1),
  );
  expect(seen).toMatchObject([{ reason: 'turn', detail: expect.stringContaining('wait for narrow/x before it') }]);
  await whenFinal(waybill.client, blocker.id);
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const turn = await waybill.client.submit({ body: body('default'), conversation: 'slow', run_at: later });
  expect(await waits({ body: body('default'), conversation: 'slow' })).toMatchObject([{ reason: 'conversation' }]);
  gate.resolve(say('done'));
  for (const { id } of data) await whenFinal(waybill.client, id);
  expect(await waits(blocked)).toEqual([]);
  await waybill.client.cancel(turn.id);
});

test('it is refused as a job is, and taken from who may read or send jobs', async () => {
  const job = { body: body('default') };
  expect((await reader.estimate(job)).target).toBe('priced/m');
  expect((await writer.estimate(job)).target).toBe('priced/m');
  const refused: [Promise<unknown>, number, string][] = [
    [stranger.estimate(job), 403, 'insufficient_scope'],
    [createClient({ url: waybill.url, apiKey: 'wb_no' }).estimate(job), 401, 'invalid_api_key'],
    [estimate({ body: body('defualt') }), 404, 'model_not_found'],
    [estimate({ body: { ...body('default'), temprature: 1 } }), 400, 'unknown_field'],
    [estimate({ ...job, webhook_url: 'ftp://example.org' }), 400, 'url_scheme'],
    [estimate({ ...job, webhook_url: `${waybill.url}/hook` }), 400, 'url_self'],
  ];
  for (const [call, status, code] of refused) await expect(call).rejects.toMatchObject({ status, code });
  const path = '/v1/jobs/estimate';
  expect(await exchange(waybill.url, waybill.adminKey, { path })).toMatchObject({ status: 405 });
});

describe('waybill jobs estimate', () => {
  const cli = (...args: string[]) =>
    runCli(['jobs', 'estimate', ...args], {
      environment: { WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey },
      cwd: directory,
    });

  test('shows one prompt as tables, or as the server says it', async () => {
    const shown = await cli('--prompt', 'Hello', '--model', 'blind');
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    for (const part of [
      'first to  priced/blind',
      'about 5 in, 1000 out (assumed)',
      '$0.002005 expected',
      'tenant/month',
      '! ',
    ])
      expect(shown.stdout).toContain(part);
    const asJson = await cli('--prompt', 'Hello', '--model', 'blind', '--json');
    expect(JSON.parse(asJson.stdout)).toMatchObject({ object: 'job_estimate', target: 'priced/blind' });
  });

  test('sums up a file, and names a line that would be refused', async () => {
    const file = join(directory, 'jobs.jsonl');
    const lines = [
      ...Array.from({ length: 9 }, () => ({ body: body('paid', { max_tokens: 100 }) })),
      { body: body('plain/other', { max_tokens: 5 }) },
      { body: body('default'), require: ['mars'] },
    ];
    await writeFile(file, lines.map((line) => JSON.stringify(line)).join('\n'));
    const summed = JSON.parse((await cli(file, '--json')).stdout) as object;
    expect(summed).toMatchObject({
      ...{ object: 'job_estimate_sum', jobs: 11, expected_cost_usd: '0.001845', expected_unknown: 1, unservable: 1 },
      targets: { 'paid/p': 9, 'plain/other': 1 },
    });
    const shown = await cli(file);
    expect(shown.stdout).toContain('expected  $0.001845 + 1 job(s) of unknown cost');
    await writeFile(file, JSON.stringify(lines[0]));
    const ofOne = JSON.parse((await cli(file, '--json')).stdout) as object;
    expect(ofOne, 'the shape does not hang on the lines').toMatchObject({ object: 'job_estimate_sum', jobs: 1 });
    expect((await cli(file)).stdout).toContain('first to  paid/p');
    await writeFile(file, `${JSON.stringify(lines[0])}\n${JSON.stringify({ body: body('nobody') })}\n`);
    expect(await cli(file)).toMatchObject({ code: 1, stderr: expect.stringContaining('Line 2:') });
  });

  test.for([
    { what: 'neither a file nor a prompt', args: [] },
    { what: 'a file and a prompt', args: ['jobs.jsonl', '--prompt', 'Hello'] },
  ])('$what is wrong usage', async ({ args }) => {
    expect(await cli(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining('invalid_usage') });
  });
});
