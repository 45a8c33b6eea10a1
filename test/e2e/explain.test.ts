/** Why a job went where it went: over HTTP, on the command line, and in the headers of a call that was waited for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import type { JobExplanationJson } from '@waybill/producer/explain-json.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { addApiKey, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Reply, refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';
import { runCli } from '../support/waybill-process.ts';

let provider: ScriptedProvider;
let waybill: TestWaybill;
let quiet: TestWaybill;
let other: Client;
const gate = Promise.withResolvers<Reply>();

beforeAll(async () => {
  provider = await startScriptedProvider(({ prompt, body }) => {
    if (prompt === 'blocker') return gate.promise;
    return prompt.startsWith('fail') && (body.model === 'first' || prompt === 'fail all') ? refuse(400) : say('done');
  });
  const entry = { preset: 'openai-compatible', endpoints: [`${provider.url}/v1`] };
  const config = {
    providers: {
      one: { ...entry, models: { first: { input_usd_per_million: '1', output_usd_per_million: '2' } } },
      two: { ...entry, labels: ['eu'] },
      blind: { ...entry, models: { b: { capabilities: [] } } },
    },
    chains: {
      default: {
        targets: ['one/first', 'two/second', 'blind/b'],
        on: { invalid_request: 'fallback' },
        backoff: { initial: '1ms' },
      },
      kind: { targets: ['one/first'], on: { invalid_request: 'fallback' }, last_resort: { content: 'Sorry.' } },
    },
    budgets: [{ per: 'tenant', period: 'month', limit_usd: '1', on_unknown_price: 'allow' }],
  };
  waybill = await startWaybill({ config });
  quiet = await startWaybill({ config: { ...config, api: { route_headers: false } } });
  const { database } = waybill.server;
  const sealer = createSealer(Buffer.from(readFileSync(join(waybill.directory, 'master-key'), 'utf8'), 'base64'));
  await ensureTenant(database, sealer, 'ten_other', 'other');
  const key = await addApiKey(database, { tenantId: 'ten_other', name: 'test', scopes: ['jobs:write', 'jobs:read'] });
  other = createClient({ url: waybill.url, apiKey: key.text });
});
afterAll(async () => {
  gate.resolve(say('late'));
  await Promise.all([waybill.stop(), quiet.stop()]);
  await provider.stop();
});

const explain = (id: string): Promise<JobExplanationJson> => waybill.client.explain(id);
const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }];
const asking = (prompt: string) => ({
  body: { model: 'default', messages: [{ role: 'user', content: prompt }], tools },
});
const documented = [
  ...['object', 'id', 'status', 'model', 'chain', 'config_version', 'config_version_now', 'require', 'detected'],
  ...['targets', 'waiting', 'decisions', 'attempts', 'costs', 'answer', 'summary'],
];
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

test('a fallback is told with what stood against the others, what it cost, and how all of it stands now', async () => {
  const { id } = await waybill.client.submit({ ...asking('fail one'), max_cost_usd: '5' });
  const job = await whenFinal(waybill.client, id);
  const found = await explain(id);
  expect(Object.keys(found)).toEqual(documented);
  expect(found).toMatchObject({
    ...{ object: 'job_explanation', id, status: 'succeeded', model: 'default', chain: 'default', answer: 'target' },
    ...{ config_version: waybill.settings.version, config_version_now: waybill.settings.version, waiting: null },
    targets: [
      { target: 'one/first', status: 'tried', reason: 'invalid_request', attempts: 1, last_failure: 'invalid_request' },
      { target: 'two/second', status: 'eligible', attempts: 1, last_failure: null },
      { target: 'blind/b', status: 'skipped', reason: 'capability', detail: 'cannot do "tools"', attempts: 0 },
    ],
    decisions: [
      {
        ...{ kind: 'routed', run: 1, from: null, to: 'one/first', config_version: waybill.settings.version },
        skipped: [{ target: 'blind/b', reason: 'capability', detail: 'cannot do "tools"' }],
      },
      { kind: 'fall_back', from: 'one/first', to: 'two/second', why: 'invalid_request (HTTP 400)', skipped: [] },
    ],
    attempts: job.attempts,
    costs: {
      ...{ cost_usd: job.cost_usd, unknown_attempts: 1, max_cost_usd: '5.00' },
      budgets: [{ budget: 'tenant/month', subject: 'default', limit_usd: '1.00' }],
    },
  });
  expect(found.summary).toEqual([
    expect.stringMatching(/^Accepted at .* for the chain "default", under configuration /),
    'It began at one/first; left out: blind/b (cannot do "tools").',
    expect.stringMatching(/^Attempt 1 at one\/first failed after \d+ ms: invalid_request \(HTTP 400\)\.$/),
    'It went on from one/first to two/second: invalid_request (HTTP 400).',
    expect.stringMatching(/^Attempt 2 at two\/second was answered after \d+ ms, at an unknown cost\.$/),
    expect.stringMatching(/^It succeeded at .* with the answer of two\/second\. Cost: /),
  ]);
});

test('a job that waits, is paused, runs, fails and is tried again is explained at each step', async () => {
  const scheduled = await waybill.client.submit({ ...asking('later'), run_at: inAnHour() });
  expect(await explain(scheduled.id)).toMatchObject({
    ...{ status: 'queued', answer: null, attempts: [] },
    waiting: { reason: 'schedule', since: scheduled.created_at, until: scheduled.run_at },
  });
  await waybill.client.act({ action: 'pause', filter: { ids: [scheduled.id] } });
  const paused = await explain(scheduled.id);
  expect(paused.waiting?.reason).toBe('paused');
  expect(paused.summary.slice(-2)).toEqual(['It was paused, on request.', 'It waits for somebody to resume it.']);
  await waybill.client.cancel(scheduled.id);
  expect((await explain(scheduled.id)).summary.at(-1)).toMatch(/^It was cancelled at /);

  const running = await waybill.client.submit({ model: 'two/second', prompt: 'blocker' });
  const started = await eventually(
    () => explain(running.id),
    ({ status }) => status === 'in_progress',
  );
  expect(started).toMatchObject({
    chain: null,
    waiting: null,
    targets: [{ target: 'two/second', status: 'eligible' }],
  });
  expect(started.summary.at(-1)).toBe('Attempt 1 at two/second is under way.');
  gate.resolve(say('done'));
  await whenFinal(waybill.client, running.id);

  const failing = await waybill.client.submit({ ...asking('fail all') });
  await whenFinal(waybill.client, failing.id);
  await waybill.client.retry(failing.id, { model: 'two/second' });
  await whenFinal(waybill.client, failing.id);
  const twice = await explain(failing.id);
  expect(twice).toMatchObject({ status: 'failed', model: 'two/second', chain: null });
  expect(twice.decisions.map(({ run, kind }) => `${run} ${kind}`)).toEqual(
    expect.arrayContaining(['1 routed', '1 fall_back', '1 fail', '2 retry']),
  );
  expect(twice.summary).toContain('It was started again at two/second, on request.');
  expect(twice.summary.at(-1)).toMatch(/^It failed at /);
});

test('a last resort is told as what it is, in the explanation and in the headers', async () => {
  const { id } = await waybill.client.submit({ model: 'kind', prompt: 'fail kindly' });
  await whenFinal(waybill.client, id);
  expect(await explain(id)).toMatchObject({ status: 'succeeded', answer: 'last_resort' });
  expect((await explain(id)).summary.at(-1)).toContain("the chain's last resort did");
  expect(await headersOf(waybill, id, '?wait=1s')).toMatchObject({ 'x-waybill-target': 'waybill/last_resort' });
});

async function headersOf({ url, adminKey }: TestWaybill, id: string, query: string): Promise<Record<string, string>> {
  const response = await fetch(`${url}/v1/jobs/${id}${query}`, { headers: { authorization: `Bearer ${adminKey}` } });
  expect(response.status).toBe(200);
  await response.text();
  return Object.fromEntries([...response.headers].filter(([name]) => name.startsWith('x-waybill')));
}

test('a call that was waited for names target, attempts and cost as headers, unless the settings say no', async () => {
  const { id } = await waybill.client.submit({ body: { ...asking('hello').body, max_tokens: 5 } });
  const { cost_usd: cost } = await whenFinal(waybill.client, id);
  expect(await headersOf(waybill, id, '?wait=30s')).toEqual({
    ...{ 'x-waybill-target': 'one/first', 'x-waybill-attempts': '1', 'x-waybill-cost-usd': cost },
  });
  expect(await headersOf(waybill, id, '')).toEqual({});
  const strange = await waybill.client.submit({ model: 'one/模型%1', prompt: 'hello' });
  await whenFinal(waybill.client, strange.id);
  expect(await headersOf(waybill, strange.id, '?wait=1s')).toEqual({
    ...{ 'x-waybill-target': 'one/%E6%A8%A1%E5%9E%8B%251', 'x-waybill-attempts': '1', 'x-waybill-cost-usd': '0.00' },
    'x-waybill-cost-unknown-attempts': '1',
  });
  const waiting = await waybill.client.submit({ ...asking('later'), run_at: inAnHour() });
  expect(await headersOf(waybill, waiting.id, '?wait=10ms'), 'not final').toEqual({});
  const unsaid = await quiet.client.submit({ model: 'default', prompt: 'hello' });
  await whenFinal(quiet.client, unsaid.id);
  expect(await headersOf(quiet, unsaid.id, '?wait=1s')).toEqual({});
});

test('the job of another tenant is not found, nor is an id that is none', async () => {
  const { id } = await waybill.client.submit({ ...asking('later'), run_at: inAnHour() });
  for (const [client, each] of [
    [other, id],
    [waybill.client, 'job_nothing'],
  ] as const)
    await expect(client.explain(each)).rejects.toMatchObject({ status: 404, code: 'not_found' });
});

test('waybill jobs explain tells the story, the targets and the attempts; --json is the answer of the server', async () => {
  const { id } = await waybill.client.submit(asking('fail cli'));
  await whenFinal(waybill.client, id);
  const environment = { WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey };
  const shown = await runCli(['jobs', 'explain', id], { environment });
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  for (const part of [
    `${id}  succeeded`,
    '  2. It began at one/first; left out: blind/b',
    'Its targets',
    'tenant/month',
  ])
    expect(shown.stdout).toContain(part);
  const asJson = await runCli(['jobs', 'explain', id, '--json'], { environment });
  expect(JSON.parse(asJson.stdout)).toMatchObject({ object: 'job_explanation', id });
  const none = await runCli(['jobs', 'explain', 'job_nothing'], { environment });
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('not_found') });
});
