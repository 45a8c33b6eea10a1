/** Bull Board: who may open it, what it tells, and that it changes nothing. */
import { addApiKey, defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { type ScriptedReceiver, startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

interface BoardEntry {
  readonly id: string;
  readonly data: Record<string, unknown>;
  readonly failedReason?: string;
  readonly returnValue?: unknown;
  readonly externalUrl?: { href: string };
}
interface BoardQueue {
  readonly name: string;
  readonly description: string;
  readonly readOnlyMode: boolean;
  readonly allowRetries: boolean;
  readonly counts: Record<string, number>;
  readonly jobs: readonly BoardEntry[];
}

let waybill: TestWaybill;
let providers: ScriptedProvider[];
let receiver: ScriptedReceiver;
let jobId: string;

beforeAll(async () => {
  providers = [
    await startScriptedProvider(() => refuse(529, { error: { type: 'overloaded_error' } })),
    await startScriptedProvider(() => say('delivered by the second')),
    await startScriptedProvider(() => ({ kind: 'hang' })),
  ];
  receiver = await startScriptedReceiver();
  waybill = await startWaybill({
    config: {
      providers: {
        first: { preset: 'openai-compatible', base_url: `${providers[0]?.url}/v1` },
        second: { preset: 'openai-compatible', base_url: `${providers[1]?.url}/v1` },
        slow: { preset: 'openai-compatible', base_url: `${providers[2]?.url}/v1`, limits: { concurrency: 1 } },
      },
      chains: { default: { targets: ['first/m', 'second/m'], mode: 'immediate' } },
    },
  });
  const job = await waybill.client.submit({ model: 'default', prompt: 'hello', webhook_url: receiver.url });
  jobId = job.id;
  await whenFinal(waybill.client, jobId);
  await eventually(
    () => receiver.received.length,
    (count) => count === 1,
  );
});

afterAll(async () => {
  await waybill?.stop();
  await receiver?.stop();
  await Promise.all((providers ?? []).map((provider) => provider.stop()));
});

const basic = (password: string) => `Basic ${Buffer.from(`anyone:${password}`).toString('base64')}`;

function open(path: string, options: { key?: string | null; method?: string } = {}): Promise<Response> {
  const { key = waybill.adminKey, method = 'GET' } = options;
  return fetch(`${waybill.url}${path}`, { method, headers: key === null ? {} : { authorization: basic(key) } });
}

async function queues(query = ''): Promise<BoardQueue[]> {
  const response = await open(`/admin/queues/api/queues${query}`);
  expect(response.status).toBe(200);
  return ((await response.json()) as { queues: BoardQueue[] }).queues;
}

async function entriesOf(name: string, status: string): Promise<readonly BoardEntry[]> {
  const all = await queues(`?activeQueue=${name}&status=${status}&jobsPerPage=100`);
  return all.find((queue) => queue.name === name)?.jobs ?? [];
}

const paths = ['/admin/queues', '/admin/queues/', '/admin/queues/api/queues', '/admin/queues/static/favicon-32x32.png'];

test.for(paths)('%s asks a browser without a key to sign in', async (path) => {
  const response = await open(path, { key: null });
  expect(response.status).toBe(401);
  expect(response.headers.get('www-authenticate')).toMatch(/^Basic realm="/);
  expect(await response.json()).toMatchObject({
    error: { code: 'missing_api_key', request_id: expect.stringMatching(/^req_/) },
  });
});

test('a wrong password is asked for again, and never repeated', async () => {
  const response = await open('/admin/queues/', { key: 'guessed-password' });
  expect(response.status).toBe(401);
  expect(response.headers.get('www-authenticate')).toMatch(/^Basic /);
  const text = await response.text();
  expect(text).toContain('invalid_api_key');
  expect(text).not.toContain('guessed-password');
});

test('a job link asks to sign in too', async () => {
  const response = await open(`/admin/jobs/${jobId}`, { key: null });
  expect(response.status).toBe(401);
  expect(response.headers.get('www-authenticate')).toMatch(/^Basic /);
});

test('a key without the scope admin is refused', async () => {
  const { text } = await addApiKey(waybill.server.database, {
    tenantId: defaultTenantId,
    name: 'reader',
    scopes: ['jobs:read', 'jobs:write', 'webhooks:read'],
  });
  for (const path of ['/admin/queues/', '/admin/queues/api/queues', `/admin/jobs/${jobId}`]) {
    const response = await open(path, { key: text });
    expect(response.status, path).toBe(403);
    expect(await response.json()).toMatchObject({ error: { code: 'insufficient_scope' } });
  }
});

test('an admin key as password opens the page', async () => {
  const response = await open('/admin/queues/');
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/html/);
  const page = await response.text();
  expect(page).toContain('Waybill queues');
  const script = /(?:src|href)="([^"]*static\/[^"]+\.(?:js|css))"/.exec(page)?.[1] ?? '';
  expect(script).not.toBe('');
  expect((await open(new URL(script, `${waybill.url}/admin/queues/`).pathname)).status).toBe(200);
});

test("every provider's queue and the webhooks' queue are listed, read-only", async () => {
  const all = await queues();
  expect(all.map((queue) => queue.name).toSorted()).toEqual(['first', 'second', 'slow', 'waybill-webhooks']);
  for (const queue of all) expect(queue).toMatchObject({ readOnlyMode: true, allowRetries: false });
});

test('the entry of a fallback tells where its job went, and why', async () => {
  const [entry] = await entriesOf('first', 'failed');
  expect(entry?.failedReason).toBe('fallback -> second/m: overloaded (HTTP 529)');
  expect(entry?.id).toBe(`${jobId}-1`);
  expect(entry?.data).toMatchObject({
    job: jobId,
    tenant: defaultTenantId,
    chain: 'default',
    target: 'first/m',
    attempt: 1,
    reason: 'submitted',
  });
  expect(entry?.externalUrl?.href).toBe(`/admin/jobs/${jobId}`);
});

test('the entry after a fallback says that it is one', async () => {
  const [entry] = await entriesOf('second', 'completed');
  expect(entry?.returnValue).toBe('succeeded');
  expect(entry?.data).toMatchObject({
    job: jobId,
    target: 'second/m',
    attempt: 2,
    reason: 'fallback: overloaded (HTTP 529)',
  });
});

test('the entry of a webhook names event, job and answer, and links to the job', async () => {
  const [entry] = await eventually(
    () => entriesOf('waybill-webhooks', 'completed'),
    (entries) => entries.length > 0,
  );
  expect(entry?.data).toMatchObject({ event: 'job.succeeded', job: jobId, tenant: defaultTenantId });
  expect(entry?.returnValue).toBe('delivered: HTTP 204');
  expect(entry?.externalUrl?.href).toBe(`/admin/jobs/${jobId}`);
});

test('the link of an entry answers the job', async () => {
  const response = await open(`/admin/jobs/${jobId}`);
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ id: jobId, object: 'job', status: 'succeeded', target: 'second/m' });
  expect((await open('/admin/jobs/job_nothing')).status).toBe(404);
});

const changes = [
  ['PUT', 'first/retry/failed'],
  ['PUT', 'first/clean/failed'],
  ['PUT', 'first/clean/completed'],
  ['PUT', 'first/pause'],
  ['PUT', 'first/resume'],
  ['PUT', 'first/empty'],
  ['PUT', 'first/obliterate'],
  ['PUT', 'first/promote'],
  ['PUT', 'first/concurrency'],
  ['PUT', 'first/rate-limit'],
  ['POST', 'first/add'],
  ['PUT', 'first/<entry>/retry'],
  ['PUT', 'first/<entry>/clean'],
  ['PUT', 'first/<entry>/promote'],
  ['PATCH', 'first/<entry>/update-data'],
  ['PATCH', 'first/<entry>/priority'],
] as const;

test.for(changes)('%s %s is refused', async ([method, path]) => {
  const response = await fetch(
    `${waybill.url}/admin/queues/api/queues/${path.replace('<entry>', `${encodeURIComponent(jobId)}-1`)}`,
    {
      method,
      headers: { authorization: basic(waybill.adminKey), 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'x', data: {}, jobData: {}, concurrency: 1, priority: 1, max: 1, duration: 1 }),
    },
  );
  expect(response.status).toBe(405);
  expect(await entriesOf('first', 'failed')).not.toEqual([]);
});

test('pausing all queues at once pauses none', async () => {
  await open('/admin/queues/api/queues/pause', { method: 'PUT' });
  const paused = (await queues()).filter((queue) => (queue as unknown as { isPaused: boolean }).isPaused);
  expect(paused).toEqual([]);
});

test('the description says how many jobs wait in the backlog', async () => {
  await waybill.client.submitMany(Array.from({ length: 10 }, () => ({ model: 'slow/m', prompt: 'wait' })));
  // One runs. Of the two places in the window of such a target one is for interactive jobs, so one more is in the
  // queue; the others wait in the database.
  await eventually(
    async () => (await queues()).find((queue) => queue.name === 'slow')?.description,
    (text) => text === '8 jobs wait in the backlog',
  );
  const second = (await queues()).find((queue) => queue.name === 'second');
  expect(second?.description).toBe('0 jobs wait in the backlog');
});
