/** Tenants: nobody sees, changes or learns of what belongs to another one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { addApiKey, ensureTenant, type Scope, scopes } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectRefusal } from '../support/bad-input.ts';
import { type Answer, exchange, type WireRequest } from '../support/http-exchange.ts';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let provider: ScriptedProvider;
let waybill: TestWaybill;
const tenantIds = { a: 'ten_a', b: 'ten_b' } as const;
type Name = keyof typeof tenantIds;
const keys = {} as Record<Name, string>;
const clients = {} as Record<Name, Client>;

beforeAll(async () => {
  provider = await startScriptedProvider(({ prompt }) => {
    if (prompt.startsWith('hang')) return { kind: 'hang' };
    return prompt.startsWith('fail') ? refuse(400) : say('done');
  });
  waybill = await startWaybill({
    config: {
      providers: { scripted: { preset: 'openai-compatible', endpoints: [`${provider.url}/v1`] } },
      chains: { default: { targets: ['scripted/model-a'] } },
    },
  });
  const sealer = createSealer(Buffer.from(readFileSync(join(waybill.directory, 'master-key'), 'utf8'), 'base64'));
  for (const name of ['a', 'b'] as const) {
    await ensureTenant(waybill.server.database, sealer, tenantIds[name], `tenant ${name}`);
    keys[name] = await addKey(name, ['jobs:write', 'jobs:read', 'webhooks:read']);
    clients[name] = createClient({ url: waybill.url, apiKey: keys[name] });
  }
});
afterAll(async () => {
  await waybill.stop();
  await provider.stop();
});

const addKey = async (name: Name, held: readonly Scope[], expiresAt?: Date): Promise<string> =>
  (await addApiKey(waybill.server.database, { ...ownerOf(name), scopes: held, ...(expiresAt ? { expiresAt } : {}) }))
    .text;
const ownerOf = (name: Name) => ({ tenantId: tenantIds[name], name: 'test' });
const send = (apiKey: string, request: WireRequest): Promise<Answer> => exchange(waybill.url, apiKey, request);
const job = (prompt: string, more: object = {}) => ({ model: 'default', prompt, ...more });
/** An error without what differs in every answer. */
const shapeOf = (answer: Answer, id: string): string =>
  answer.text.replaceAll(id, '<id>').replaceAll(/req_[0-9a-f]{32}/g, '<request>');

const nobody = `job_${'0'.repeat(32)}`;
const routes: readonly (readonly [name: string, request: (id: string) => WireRequest])[] = [
  ['read', (id) => ({ path: `/v1/jobs/${id}` })],
  ['wait', (id) => ({ path: `/v1/jobs/${id}?wait=1s` })],
  ['cancel', (id) => ({ path: `/v1/jobs/${id}/cancel`, method: 'POST' })],
  ['retry', (id) => ({ path: `/v1/jobs/${id}/retry`, method: 'POST' })],
  ['approve', (id) => ({ path: `/v1/jobs/${id}/approve`, method: 'POST' })],
  ['refuse', (id) => ({ path: `/v1/jobs/${id}/refuse`, method: 'POST' })],
  ['explain', (id) => ({ path: `/v1/jobs/${id}/explain` })],
  ['stream', (id) => ({ path: `/v1/jobs/${id}/stream` })],
];
const states = ['scheduled', 'running', 'succeeded', 'failed', 'cancelled'] as const;

/** A job of tenant a in one state. */
async function jobIn(state: (typeof states)[number]): Promise<JobJson> {
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  if (state === 'scheduled') return clients.a.submit(job('later', { run_at: inAnHour }));
  if (state === 'cancelled') return clients.a.cancel((await clients.a.submit(job('later', { run_at: inAnHour }))).id);
  if (state === 'running') {
    const { id } = await clients.a.submit(job('hang'));
    return eventually(
      () => clients.a.get(id),
      ({ status }) => status === 'in_progress',
    );
  }
  return whenFinal(clients.a, (await clients.a.submit(job(state === 'failed' ? 'fail' : 'work'))).id);
}

test.for(states)('a %s job of another tenant is a job that does not exist, on every route', async (state) => {
  const theirs = await jobIn(state);
  for (const [name, request] of routes) {
    const foreign = await send(keys.b, request(theirs.id));
    const missing = await send(keys.b, request(nobody));
    expectRefusal(foreign, 404, 'not_found');
    expect(shapeOf(foreign, theirs.id), name).toBe(shapeOf(missing, nobody));
    expect(Object.keys(foreign.headers).toSorted()).toEqual(Object.keys(missing.headers).toSorted());
  }
  const acted = await send(keys.b, {
    path: '/v1/jobs/actions',
    body: { action: 'cancel', filter: { ids: [theirs.id] } },
  });
  expect(JSON.parse(acted.text)).toMatchObject({ matched: 0, changed: 0, skipped: { not_found: 1 } });
  // The operator's own key has a tenant too: it is no way around.
  expectRefusal(await send(waybill.adminKey, { path: `/v1/jobs/${theirs.id}` }), 404, 'not_found');
  const after = await clients.a.get(theirs.id);
  expect({ ...after, waiting: null }).toEqual({ ...theirs, waiting: null });
  if (state === 'running') await clients.a.cancel(theirs.id);
});

test('lists, filters and counts hold a tenant’s own jobs alone', async () => {
  const mine = { custom_id: 'shared-name', metadata: { team: 'shared' } };
  const theirs = await clients.a.submitMany([job('one', mine), job('two', { metadata: { team: 'shared' } })]);
  const own = await clients.b.submit(job('three', mine));
  const filters = [{}, { custom_id: 'shared-name' }, { 'metadata.team': 'shared' }, { limit: '100' }];
  for (const filter of filters) {
    const { data } = await clients.b.list(filter);
    expect(data.map((each) => each.id)).toContain(own.id);
    for (const each of theirs.data) expect(data.map(({ id }) => id)).not.toContain(each.id);
  }
  const batch = await clients.b.list({ batch_id: theirs.batch_id });
  const missing = await clients.b.list({ batch_id: 'batch_none' });
  expect(batch, 'a batch of another tenant is a batch that does not exist').toEqual(missing);
  expect((await clients.a.list({ batch_id: theirs.batch_id })).data).toHaveLength(2);
});

test('a cursor is of one tenant', async () => {
  await clients.a.submitMany([job('c1'), job('c2'), job('c3')]);
  await clients.b.submitMany([job('c1'), job('c2'), job('c3')]);
  const { next_cursor: cursor } = await clients.a.list({ limit: '1' });
  expect(cursor).not.toBeNull();
  expect((await clients.a.list({ limit: '1', cursor: cursor ?? '' })).data).toHaveLength(1);
  const path = `/v1/jobs?limit=1&cursor=${cursor}`;
  expectRefusal(await send(keys.b, { path }), 400, 'invalid_cursor');
  expectRefusal(await send(waybill.adminKey, { path }), 400, 'invalid_cursor');
});

test('the same Idempotency-Key in two tenants is two keys', async () => {
  const request = (body: object): WireRequest => ({ headers: { 'idempotency-key': 'same' }, body });
  const first = await send(keys.a, request(job('from a')));
  const second = await send(keys.b, request(job('from b')));
  expect([first.status, second.status]).toEqual([202, 202]);
  expect(second.headers['idempotent-replayed']).toBeUndefined();
  const ids = [first, second].map((answer) => (JSON.parse(answer.text) as JobJson).id);
  expect(new Set(ids).size).toBe(2);
  expect((await send(keys.b, request(job('from b')))).text).toBe(second.text);
  expectRefusal(await send(keys.b, request(job('from a'))), 422, 'idempotency_key_reused');
});

test('each tenant has a webhook secret of its own', async () => {
  const secrets = [
    await clients.a.webhookSecret(),
    await clients.b.webhookSecret(),
    await waybill.client.webhookSecret(),
  ];
  expect(new Set(secrets).size).toBe(3);
  const { rows } = await waybill.server.database.pool.query('select default_webhook_secret as s from waybill.tenants');
  for (const { s } of rows as { s: Buffer }[])
    for (const secret of secrets) expect(Buffer.from(s).includes(secret)).toBe(false);
});

test('the same custom_id may stand in two tenants, and in two batches of one', async () => {
  const jobs = [job('x', { custom_id: 'line-1' }), job('y', { custom_id: 'line-2' })];
  const made = await Promise.all([clients.a.submitMany(jobs), clients.a.submitMany(jobs), clients.b.submitMany(jobs)]);
  expect(new Set(made.map((batch) => batch.batch_id)).size).toBe(3);
});

const needs: readonly (readonly [request: WireRequest, scope: Scope])[] = [
  [{ body: job('scoped') }, 'jobs:write'],
  [{ path: '/v1/jobs/bulk', body: { jobs: [job('scoped')] } }, 'jobs:write'],
  [{ path: `/v1/jobs/${nobody}/cancel`, method: 'POST' }, 'jobs:write'],
  [{ path: `/v1/jobs/${nobody}/retry`, method: 'POST' }, 'jobs:write'],
  [{ path: `/v1/jobs/${nobody}/approve`, method: 'POST' }, 'jobs:write'],
  [{ path: `/v1/jobs/${nobody}/refuse`, method: 'POST' }, 'jobs:write'],
  [{ path: '/v1/jobs/actions', body: { action: 'pause', filter: { ids: [nobody] } } }, 'jobs:write'],
  [{ path: '/v1/jobs' }, 'jobs:read'],
  [{ path: `/v1/jobs/${nobody}` }, 'jobs:read'],
  [{ path: `/v1/jobs/${nobody}/explain` }, 'jobs:read'],
  [{ path: `/v1/jobs/${nobody}/stream` }, 'jobs:read'],
  [{ path: '/v1/events' }, 'admin'],
  [{ path: '/v1/webhook-endpoints/default' }, 'webhooks:read'],
];

test.for(scopes)('a key with the scope %s does what the scope says, and nothing else', async (held) => {
  const key = await addKey('a', [held]);
  for (const [request, needed] of needs) {
    const answer = await send(key, request);
    if (held === needed || held === 'admin') expect([200, 202, 404], answer.text).toContain(answer.status);
    else {
      expectRefusal(answer, 403, 'insufficient_scope');
      expect(answer.text, 'the answer names what is missing').toContain(needed);
    }
  }
});

test('a key without any scope may do nothing', async () => {
  const key = await addKey('b', []);
  for (const [request] of needs) expectRefusal(await send(key, request), 403, 'insufficient_scope');
});

test('a key that expires or is revoked stops working at once, on every route; the other keys go on', async () => {
  const expired = await addKey('a', ['admin'], new Date(Date.now() - 1));
  const revoked = await addKey('a', ['admin']);
  expect((await send(revoked, {})).status).toBe(200);
  await waybill.server.database.pool.query(
    `update waybill.api_keys set revoked_at = now() where tenant_id = 'ten_a' and 'admin' = any (scopes) and expires_at is null`,
  );
  // From other addresses: wrong keys slow their address down.
  for (const [n, [request]] of needs.entries()) {
    const from = `127.0.1.${n + 1}`;
    expectRefusal(await send(expired, { ...request, from }), 401, 'api_key_expired');
    expectRefusal(await send(revoked, { ...request, from }), 401, 'api_key_revoked');
  }
  const valid = await addKey('a', ['jobs:read'], new Date(Date.now() + 60_000));
  expect((await send(valid, {})).status).toBe(200);
  expect((await send(keys.a, {})).status).toBe(200);
});
