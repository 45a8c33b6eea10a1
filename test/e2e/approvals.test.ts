/** Chains in `manual` mode: a job asks before each fallback, and goes on, ends or expires; steps are told by webhook. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { addApiKey, defaultTenantId, ensureTenant } from '@waybill/shared/store/tenants.ts';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectRefusal } from '../support/bad-input.ts';
import { type Answer, exchange, type WireRequest } from '../support/http-exchange.ts';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { type Received, type ScriptedReceiver, startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';
import { runCli } from '../support/waybill-process.ts';

let ill: ScriptedProvider;
let well: ScriptedProvider;
let waybill: TestWaybill;
let other: Client;
let readerKey: string;
const receivers: ScriptedReceiver[] = [];

beforeAll(async () => {
  ill = await startScriptedProvider(() => refuse(500));
  well = await startScriptedProvider(({ prompt }) => (prompt === 'fail' ? refuse(400) : say('from the second')));
  const preset = 'openai-compatible';
  waybill = await startWaybill({
    config: {
      providers: {
        ill: { preset, base_url: `${ill.url}/v1` },
        well: { preset, base_url: `${well.url}/v1` },
      },
      chains: {
        default: { targets: ['ill/a', 'well/b'], mode: 'manual', same_target_retries: 0 },
        long: { targets: ['ill/a', 'ill/b', 'well/b'], mode: 'manual', same_target_retries: 0 },
        graceful: { targets: ['ill/a', 'well/b'], same_target_retries: 0 },
      },
    },
  });
  const { database } = waybill.server;
  const sealer = createSealer(Buffer.from(readFileSync(join(waybill.directory, 'master-key'), 'utf8'), 'base64'));
  await ensureTenant(database, sealer, 'ten_other', 'other');
  const key = await addApiKey(database, { tenantId: 'ten_other', name: 'test', scopes: ['jobs:write', 'jobs:read'] });
  other = createClient({ url: waybill.url, apiKey: key.text });
  readerKey = (await addApiKey(database, { tenantId: defaultTenantId, name: 'reader', scopes: ['jobs:read'] })).text;
});
afterAll(async () => {
  await waybill?.stop();
  await Promise.all([ill, well, ...receivers].map((server) => server?.stop()));
});

async function receive(): Promise<ScriptedReceiver> {
  const receiver = await startScriptedReceiver();
  receivers.push(receiver);
  return receiver;
}
const received = (receiver: ScriptedReceiver, count: number): Promise<Received[]> =>
  eventually(
    () => [...receiver.received],
    (all) => all.length >= count,
  );
const asked = (id: string, target = 'well/b'): Promise<JobJson> =>
  eventually(
    () => waybill.client.get(id),
    (job) => job.status === 'awaiting_approval' && job.target === target,
  );
const letDeadlinePass = (id: string) =>
  waybill.server.database.pool.query(
    `update waybill.jobs set deadline_at = now() - interval '1 second' where id = $1`,
    [id],
  );
async function submitAsked(more: object = {}): Promise<JobJson> {
  const { id } = await waybill.client.submit({ model: 'default', prompt: 'hello', ...more });
  return asked(id);
}
const send = (request: WireRequest, key = waybill.adminKey): Promise<Answer> => exchange(waybill.url, key, request);
const post = (id: string, action: string, body?: unknown) =>
  send({ method: 'POST', path: `/v1/jobs/${id}/${action}`, body });
const decisionsOf = async (id: string) =>
  (
    await waybill.server.database.pool.query(
      'select kind, target, next_target, why from waybill.decisions where job_id = $1 order by at, seq',
      [id],
    )
  ).rows;

test('a failed job asks before it goes on, and goes on once it is approved', async () => {
  const before = await submitAsked();
  expect(before).toMatchObject({ status: 'awaiting_approval', target: 'well/b', waiting: { reason: 'approval' } });
  expect(before.attempts).toMatchObject([{ target: 'ill/a', status: 'failed' }]);
  const approved = await waybill.client.approve(before.id);
  expect(approved).toMatchObject({ status: 'queued', target: 'well/b' });
  const job = await whenFinal(waybill.client, before.id);
  expect(job).toMatchObject({ status: 'succeeded', target: 'well/b', output_text: 'from the second' });
  expect(job.attempts.map(({ target }) => target)).toEqual(['ill/a', 'well/b']);
  expect(await decisionsOf(job.id)).toMatchObject([
    { kind: 'park', target: 'ill/a', next_target: 'well/b' },
    { kind: 'approve', target: 'ill/a', next_target: 'well/b', why: 'approved by key_admin' },
  ]);
  const { data } = await waybill.client.audit({ job_id: job.id });
  expect(data).toMatchObject([
    {
      ...{ object: 'audit_entry', actor: 'key_admin', action: 'job.approve', tenant_id: defaultTenantId },
      ...{ job_id: job.id, detail: { from: 'ill/a', to: 'well/b' } },
    },
  ]);
});

test('each fallback asks anew', async () => {
  const { id } = await waybill.client.submit({ model: 'long', prompt: 'hello' });
  await asked(id, 'ill/b');
  await waybill.client.approve(id);
  await asked(id, 'well/b');
  await waybill.client.approve(id);
  expect(await whenFinal(waybill.client, id)).toMatchObject({ status: 'succeeded', attempts: [{}, {}, {}] });
});

test('an approved job that has nowhere else to go on to fails as it would have without asking', async () => {
  const { id } = await submitAsked({ prompt: 'fail' });
  await waybill.client.approve(id);
  expect(await whenFinal(waybill.client, id)).toMatchObject({ status: 'failed', error: { kind: 'invalid_request' } });
});

test('a refused job ends with the reason that was given, and its end is told', async () => {
  const receiver = await receive();
  const before = await submitAsked({ webhook_url: receiver.url });
  const calls = well.requests.length;
  const job = await waybill.client.refuse(before.id, { reason: 'not to the cloud' });
  expect(job).toMatchObject({
    status: 'failed',
    error: { kind: 'refused_approval', message: 'going on to well/b was refused: not to the cloud' },
    waiting: null,
  });
  expect(job.finished_at).not.toBeNull();
  const [told] = await received(receiver, 1);
  expect(told?.event).toMatchObject({
    type: 'job.failed',
    data: { id: job.id, status: 'failed', target: null, error: { kind: 'refused_approval' } },
  });
  expect(await decisionsOf(job.id)).toMatchObject([
    { kind: 'park' },
    { kind: 'refuse', target: 'ill/a', next_target: 'well/b', why: 'refused by key_admin: not to the cloud' },
  ]);
  const { data } = await waybill.client.audit({ job_id: job.id });
  expect(data).toMatchObject([{ action: 'job.refuse', actor: 'key_admin' }]);
  expect(JSON.stringify(data)).not.toContain('cloud');
  expect(well.requests.length, 'nothing was called').toBe(calls);
  // A new run asks again.
  await waybill.client.retry(job.id);
  await waybill.client.cancel((await asked(job.id)).id);
});

test('a job that nobody answers for expires at its deadline', async () => {
  const receiver = await receive();
  const { id, deadline_at: deadline, waiting } = await submitAsked({ webhook_url: receiver.url });
  expect(waiting?.until, 'it waits until then, and no longer').toBe(deadline);
  await letDeadlinePass(id);
  const job = await whenFinal(waybill.client, id);
  expect(job).toMatchObject({ status: 'expired', error: { kind: 'expired' } });
  const [told] = await received(receiver, 1);
  expect(told?.event.type).toBe('job.expired');
  expectRefusal(await post(id, 'approve'), 409, 'not_awaiting_approval');
});

test('past its deadline a job cannot be approved, though nobody has ended it yet', async () => {
  const { id } = await submitAsked();
  await letDeadlinePass(id);
  expectRefusal(await post(id, 'approve'), 409, 'not_awaiting_approval');
  expect(await whenFinal(waybill.client, id)).toMatchObject({ status: 'expired' });
});

test('of two answers at once one counts', async () => {
  const { id } = await submitAsked();
  const answers = await Promise.all([post(id, 'approve'), post(id, 'refuse'), post(id, 'approve')]);
  expect(answers.filter(({ status }) => status < 300)).toHaveLength(1);
  for (const answer of answers.filter(({ status }) => status >= 300))
    expectRefusal(answer, 409, 'not_awaiting_approval');
  expect((await waybill.client.audit({ job_id: id })).data).toHaveLength(1);
});

test('a job that awaits approval can be cancelled', async () => {
  const { id } = await submitAsked();
  expect(await waybill.client.cancel(id)).toMatchObject({ status: 'cancelled' });
});

describe('what is refused', () => {
  test.for(['approve', 'refuse'])('%s of a job that awaits nothing', async (action) => {
    const { id } = await waybill.client.submit({ model: 'well/b', prompt: 'hello' });
    await whenFinal(waybill.client, id);
    const answer = await post(id, action);
    expectRefusal(answer, 409, 'not_awaiting_approval');
    expect(answer.text).toContain('succeeded');
    expectRefusal(await post(`job_${'0'.repeat(32)}`, action), 404, 'not_found');
    expectRefusal(await post('nothing', action), 404, 'not_found');
  });

  test.for<[string, unknown, string]>([
    ['approve', { reason: 'x' }, 'unknown_field'],
    ['approve', [], 'body_must_be_object'],
    ['refuse', { why: 'x' }, 'unknown_field'],
    ['refuse', { reason: 1 }, 'invalid_type'],
    ['refuse', { reason: '' }, 'out_of_range'],
    ['refuse', { reason: 'x'.repeat(301) }, 'out_of_range'],
    ['refuse', { reason: 'a\u0000b' }, 'control_character'],
  ])('%s with %j', async ([action, body, code]) => {
    const { id } = await submitAsked();
    expectRefusal(await post(id, action, body), 400, code);
    expectRefusal(await send({ method: 'POST', path: `/v1/jobs/${id}/${action}?x=1` }), 400, 'invalid_query');
    expect(await waybill.client.cancel(id)).toMatchObject({ status: 'cancelled' });
  });

  test('another tenant, a key that may only read, and another method', async () => {
    const { id } = await submitAsked();
    for (const action of ['approve', 'refuse'] as const) {
      await expect(other[action](id)).rejects.toMatchObject({ status: 404, code: 'not_found' });
      const path = `/v1/jobs/${id}/${action}`;
      expectRefusal(await send({ method: 'POST', path }, readerKey), 403, 'insufficient_scope');
      expect(await send({ path })).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    }
    expect(await waybill.client.cancel(id)).toMatchObject({ status: 'cancelled' });
  });
});

describe('steps told by webhook', () => {
  const verify = async ({ body, headers }: Received): Promise<unknown> =>
    new Webhook(await waybill.client.webhookSecret()).verify(body, headers as Record<string, string>);
  const events = ['job.awaiting_approval', 'job.fallback'];

  test('who asks for it is told that a job awaits approval, and that it went on', async () => {
    const receiver = await receive();
    const more = {
      webhook_url: receiver.url,
      webhook_events: events,
      custom_id: 'doc-1',
      metadata: { team: 'search' },
    };
    const { id } = await submitAsked(more);
    const [told] = await received(receiver, 1);
    if (!told) throw new Error('nothing was received');
    expect(await verify(told)).toEqual({
      type: 'job.awaiting_approval',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      data: {
        ...{
          id,
          custom_id: 'doc-1',
          batch_id: null,
          status: 'awaiting_approval',
          target: 'ill/a',
          next_target: 'well/b',
        },
        ...{ reason: expect.stringContaining('server_error'), metadata: { team: 'search' } },
      },
    });
    expect(told.headers['webhook-id']).toMatch(/^evt_[0-9a-f]{32}_1_awaiting_approval_\d+$/);
    await waybill.client.approve(id);
    await whenFinal(waybill.client, id);
    const all = await received(receiver, 3);
    for (const each of all) await verify(each);
    expect(all.map(({ event }) => event.type).toSorted()).toEqual([
      'job.awaiting_approval',
      'job.fallback',
      'job.succeeded',
    ]);
    expect(all.find(({ event }) => event.type === 'job.fallback')?.event.data).toMatchObject({
      ...{ id, status: 'queued', target: 'ill/a', next_target: 'well/b', reason: 'approved by key_admin' },
    });
    expect(new Set(all.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
  });

  test('a fallback that asks nobody is told too, once', async () => {
    const receiver = await receive();
    const { id } = await waybill.client.submit({
      ...{ model: 'graceful', prompt: 'hello', webhook_url: receiver.url, webhook_events: ['job.fallback'] },
    });
    await whenFinal(waybill.client, id);
    const all = await received(receiver, 2);
    const step = all.find(({ event }) => event.type === 'job.fallback');
    if (!step) throw new Error('no fallback was told');
    expect(await verify(step)).toMatchObject({
      data: {
        id,
        status: 'queued',
        target: 'ill/a',
        next_target: 'well/b',
        reason: expect.stringContaining('server_error'),
      },
    });
    await expect(verify({ ...step, body: step.body.replace('well/b', 'well/c') })).rejects.toThrow();
    const { rows } = await waybill.server.database.pool.query(
      'select type, status from waybill.webhook_deliveries where job_id = $1 order by type',
      [id],
    );
    expect(rows.map(({ type }) => type)).toEqual(['job.fallback', 'job.succeeded']);
  });

  test('who asks for none is told of the end alone', async () => {
    const receiver = await receive();
    const { id } = await submitAsked({ webhook_url: receiver.url });
    await waybill.client.approve(id);
    await whenFinal(waybill.client, id);
    await received(receiver, 1);
    const { rows } = await waybill.server.database.pool.query(
      'select type from waybill.webhook_deliveries where job_id = $1',
      [id],
    );
    expect(rows).toEqual([{ type: 'job.succeeded' }]);
  });
});

describe('the command line', () => {
  const cli = (...args: readonly string[]) =>
    runCli(args, { environment: { WAYBILL_URL: waybill.url, WAYBILL_API_KEY: waybill.adminKey } });

  test('lists what waits, and for what; approves and refuses by id', async () => {
    const one = await submitAsked({ metadata: { mark: 'cli' } });
    const two = await submitAsked({ metadata: { mark: 'cli' } });
    const filter = ['jobs', 'list', '--status', 'awaiting_approval', '--metadata', 'mark=cli'];
    const listed = await cli(...filter);
    expect(listed.code).toBe(0);
    expect(listed.stdout.split('\n')[0]).toMatch(/waits for$/);
    expect(listed.stdout).toContain('approval to go to well/b, after ill/a: server_error, until 20');
    expect(await cli('jobs', 'approve', one.id)).toMatchObject({ code: 0, stdout: `${one.id}  queued  well/b\n` });
    const refused = await cli('jobs', 'refuse', two.id, '--reason', 'no', '--json');
    expect(JSON.parse(refused.stdout)).toMatchObject({ data: [{ id: two.id, error: { kind: 'refused_approval' } }] });
    const again = await cli('jobs', 'refuse', two.id);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('not_awaiting_approval');
    const three = await submitAsked();
    const half = await cli('jobs', 'approve', three.id, two.id, one.id, '--json');
    expect(half).toMatchObject({ code: 1, stderr: '' });
    expect(JSON.parse(half.stdout)).toMatchObject({
      ...{ object: 'list', data: [{ id: three.id, status: 'queued' }] },
      error: { code: 'not_awaiting_approval', request_id: expect.any(String) },
    });
    expect(await whenFinal(waybill.client, one.id)).toMatchObject({ status: 'succeeded' });
  });

  test.for(['approve', 'refuse'])('"waybill jobs %s --help" shows examples', async (action) => {
    expect((await cli('jobs', action, '--help')).stdout).toContain(`waybill jobs ${action} job_`);
  });
});
