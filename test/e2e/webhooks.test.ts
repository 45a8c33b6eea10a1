/** Webhooks to real receivers: signed, thin, told once under one id, tried again on the schedule, and never followed. */
import type { JobJson } from '@waybill/producer/job-json.ts';
import { defaultTenantId, webhookSecretOf } from '@waybill/shared/store/tenants.ts';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { answer, type Received, type ScriptedReceiver, startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

const prompt = 'canary-prompt-0b7d';
const output = `canary-output-31aa ${'long '.repeat(20_000)}`;

let waybill: TestWaybill;
let provider: ScriptedProvider;
const receivers: ScriptedReceiver[] = [];

beforeAll(async () => {
  provider = await startScriptedProvider((request) => {
    if (request.body.model === 'fail') return refuse(400);
    return request.body.model === 'hang' ? { kind: 'hang' } : say(output);
  });
  waybill = await startWaybill({
    config: {
      providers: { one: { preset: 'openai-compatible', base_url: `${provider.url}/v1` } },
      chains: { default: { targets: ['one/m'] } },
      webhooks: { timeout: '3s' },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await Promise.all([...receivers, ...(provider ? [provider] : [])].map((server) => server.stop()));
});

async function receive(script?: Parameters<typeof startScriptedReceiver>[0]): Promise<ScriptedReceiver> {
  const receiver = await startScriptedReceiver(script);
  receivers.push(receiver);
  return receiver;
}

async function run(receiver: { readonly url: string }, job: Record<string, unknown> = {}): Promise<JobJson> {
  const { id } = await waybill.client.submit({ model: 'default', prompt, webhook_url: receiver.url, ...job });
  return whenFinal(waybill.client, id);
}

const received = (receiver: ScriptedReceiver, count: number): Promise<Received[]> =>
  eventually(
    () => [...receiver.received],
    (all) => all.length >= count,
  );

interface Delivery {
  readonly id: string;
  readonly status: string;
  readonly attempts: number;
  readonly last_status: number | null;
  readonly last_error: string | null;
  /** Until the next try, by the database's clock. */
  readonly wait_ms: number;
  /** From the end of the job to the next try. */
  readonly planned_ms: number;
}

async function deliveries(jobId: string): Promise<Delivery[]> {
  const { rows } = await waybill.server.database.pool.query(
    `select *, (extract(epoch from next_at - clock_timestamp()) * 1000)::int as wait_ms,
       (extract(epoch from next_at - created_at) * 1000)::int as planned_ms
     from waybill.webhook_deliveries where job_id = $1`,
    [jobId],
  );
  return rows as unknown as Delivery[];
}

async function delivery(jobId: string, isMet: (delivery: Delivery) => boolean): Promise<Delivery> {
  const [found] = await eventually(
    () => deliveries(jobId),
    ([first]) => first !== undefined && isMet(first),
  );
  if (!found) throw new Error('no delivery');
  return found;
}

/** The schedule counts in hours: the next try is made due. */
const makeDue = (jobId: string) =>
  waybill.server.database.pool.query(
    `update waybill.webhook_deliveries set next_at = now() where job_id = $1 and status = 'pending'`,
    [jobId],
  );

const verify = async ({ body, headers }: Received): Promise<unknown> =>
  new Webhook(await waybill.client.webhookSecret()).verify(body, headers as Record<string, string>);

test('a webhook is signed as Standard Webhooks says, with the secret the API shows', async () => {
  const receiver = await receive();
  const job = await run(receiver);
  const [told] = await received(receiver, 1);
  if (!told) throw new Error('nothing was received');
  expect(await verify(told)).toMatchObject({ type: 'job.succeeded', data: { id: job.id } });
  expect(told.headers).toMatchObject({
    'content-type': 'application/json',
    'webhook-id': expect.stringMatching(/^evt_[0-9a-f]{32}_1_succeeded$/),
    'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
    'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
  });
  await expect(verify({ ...told, body: told.body.replace('succeeded', 'failed') })).rejects.toThrow();
  const later = { ...told.headers, 'webhook-timestamp': String(Number(told.headers['webhook-timestamp']) + 1) };
  await expect(verify({ ...told, headers: later })).rejects.toThrow();
});

test('the body holds what is documented and nothing else: no prompt, no output', async () => {
  const receiver = await receive();
  const job = await run(receiver, { custom_id: 'doc-17', metadata: { team: 'search' } });
  const [told] = await received(receiver, 1);
  expect(told?.event).toEqual({
    type: 'job.succeeded',
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    data: {
      id: job.id,
      custom_id: 'doc-17',
      batch_id: null,
      status: 'succeeded',
      target: 'one/m',
      usage: job.usage,
      cost_usd: job.cost_usd,
      cost_unknown_attempts: job.cost_unknown_attempts,
      error: null,
      metadata: { team: 'search' },
    },
  });
  // Written just before the job ends, so that both are one statement.
  const timestamp = Date.parse(told?.event.timestamp ?? '');
  expect(timestamp).toBeGreaterThanOrEqual(Date.parse(job.started_at ?? ''));
  expect(timestamp).toBeLessThanOrEqual(Date.parse(job.finished_at ?? ''));
  expect(told?.body).not.toContain('canary');
  expect(job.output_text).toBe(output);
});

test('the body stays under 20 KB, with the longest names and metadata a job may have', async () => {
  const receiver = await receive();
  const metadata = Object.fromEntries(
    Array.from({ length: 16 }, (_, index) => [`${'k'.repeat(60)}${index}`, 'é'.repeat(340)]),
  );
  await run(receiver, { custom_id: 'c'.repeat(512), metadata });
  const [told] = await received(receiver, 1);
  expect(Buffer.byteLength(told?.body ?? '')).toBeLessThan(20_000);
});

test('each end of a job is told exactly once', async () => {
  const receiver = await receive();
  const { client } = waybill;
  await run(receiver);
  await run(receiver, { model: 'one/fail' });
  await run(receiver, { model: 'one/hang', expires_in: '1s' });
  const { id } = await client.submit({ model: 'one/hang', prompt, webhook_url: receiver.url });
  await eventually(
    () => client.get(id),
    (job) => job.status === 'in_progress',
  );
  await client.cancel(id);
  await client.cancel(id);
  await received(receiver, 4);
  const told = receiver.received.map(({ event }) => [event.type, event.data.status, event.data.target]);
  expect(told.toSorted()).toEqual([
    ['job.cancelled', 'cancelled', null],
    ['job.expired', 'expired', null],
    ['job.failed', 'failed', null],
    ['job.succeeded', 'succeeded', 'one/m'],
  ]);
  const failed = receiver.received.find(({ event }) => event.type === 'job.failed');
  expect(failed?.event.data.error).toEqual({
    kind: 'invalid_request',
    message: 'one/fail: HTTP 400 test (invalid_request)',
  });
  for (const one of receiver.received) await verify(one);
  for (const { event } of receiver.received)
    expect((await deliveries(event.data.id)).map(({ status, attempts }) => [status, attempts])).toEqual([
      ['delivered', 1],
    ]);
});

test('a job that runs again tells of its second end under another id', async () => {
  const receiver = await receive();
  const job = await run(receiver, { model: 'one/fail' });
  await received(receiver, 1);
  await waybill.client.retry(job.id);
  await whenFinal(waybill.client, job.id);
  const told = await received(receiver, 2);
  expect(told.map(({ headers }) => String(headers['webhook-id']).replace(/^evt_[0-9a-f]+/, ''))).toEqual([
    '_1_failed',
    '_2_failed',
  ]);
});

test('a receiver that fails is tried again after about 5 s, under the same id, with a new timestamp', async () => {
  const receiver = await receive((_, n) => answer(n === 1 ? 500 : 200));
  const job = await run(receiver);
  const first = await delivery(job.id, ({ attempts }) => attempts === 1);
  expect(first).toMatchObject({ status: 'pending', last_status: 500, last_error: 'HTTP 500' });
  // 5 s after the try, give or take a fifth; the try came a moment after the end of the job.
  expect(first.planned_ms).toBeGreaterThanOrEqual(4_000);
  expect(first.wait_ms).toBeLessThanOrEqual(6_000);
  const settledAtMs = Date.now();
  // The timestamp counts whole seconds: the next try is let go in another one.
  await eventually(
    () => Math.floor(Date.now() / 1_000),
    (second) => second > Math.floor(settledAtMs / 1_000),
  );
  await makeDue(job.id);
  const [one, two] = await received(receiver, 2);
  expect(two?.headers['webhook-id']).toBe(one?.headers['webhook-id']);
  expect(two?.body).toBe(one?.body);
  expect(Number(two?.headers['webhook-timestamp'])).toBeGreaterThan(Number(one?.headers['webhook-timestamp']));
  if (one && two) await Promise.all([verify(one), verify(two)]);
  expect(await delivery(job.id, ({ status }) => status === 'delivered')).toMatchObject({
    attempts: 2,
    last_status: 200,
    last_error: null,
  });
});

test.for([301, 302, 307, 308])('a redirect (%i) is a failure, and is not followed', async (status) => {
  const target = await receive();
  const receiver = await receive(() => answer(status, { location: target.url }));
  const job = await run(receiver);
  const failed = await delivery(job.id, ({ attempts }) => attempts === 1);
  expect(failed).toMatchObject({ status: 'pending', last_status: status, last_error: `HTTP ${status}` });
  expect([target.received.length, target.connections()]).toEqual([0, 0]);
});

test('410 disables the receiver: this delivery fails for good, and later jobs write none', async () => {
  const receiver = await receive(() => answer(410));
  const job = await run(receiver);
  const gone = await delivery(job.id, ({ status }) => status === 'failed');
  expect(gone).toMatchObject({ attempts: 1, last_status: 410 });
  const { rows } = await waybill.server.database.pool.query(
    `select disabled_at is not null as is_disabled, disabled_reason from waybill.webhook_endpoints where url = $1`,
    [receiver.url],
  );
  expect(rows).toEqual([{ is_disabled: true, disabled_reason: 'the receiver answered 410 Gone' }]);
  const later = await run(receiver);
  expect(later.status).toBe('succeeded');
  expect(await deliveries(later.id)).toEqual([]);
  expect(receiver.received).toHaveLength(1);
});

test('a receiver that never answers is given up after webhooks.timeout, and tried again', async () => {
  const receiver = await receive(() => () => undefined);
  const job = await run(receiver);
  const failed = await delivery(job.id, ({ attempts }) => attempts === 1);
  expect(failed).toMatchObject({
    status: 'pending',
    last_status: null,
    last_error: 'the receiver did not answer in time',
  });
});

test('an answer without an end is cut: a success all the same when it says so', async () => {
  let isCut = false;
  const receiver = await receive(() => (response) => {
    response.writeHead(200);
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(16_384)));
    };
    response.on('drain', more);
    response.on('close', () => {
      isCut = true;
    });
    more();
  });
  const job = await run(receiver);
  expect(await delivery(job.id, ({ status }) => status === 'delivered')).toMatchObject({ attempts: 1 });
  await eventually(
    () => isCut,
    (value) => value,
  );
});

test.for([
  ['seconds are obeyed', '60', 60_000, 60_000],
  ['more than a day is a day', '172800', 86_400_000, 86_400_000],
  ['a shorter wait than planned changes nothing', '1', 4_000, 6_000],
  ['an absurd wait is ignored', '99999999', 4_000, 6_000],
  ['text is ignored', 'soon', 4_000, 6_000],
] as const)('Retry-After: %s', async ([, value, atLeastMs, atMostMs]) => {
  const receiver = await receive(() => answer(503, { 'retry-after': value }));
  const job = await run(receiver);
  const failed = await delivery(job.id, ({ attempts }) => attempts === 1);
  expect(failed).toMatchObject({ status: 'pending', last_status: 503 });
  expect(failed.planned_ms).toBeGreaterThanOrEqual(atLeastMs);
  expect(failed.wait_ms).toBeLessThanOrEqual(atMostMs);
});

test('after ten tries it is given up, and stays so', async () => {
  const receiver = await receive(() => answer(500));
  const job = await run(receiver);
  for (let tries = 1; tries < 10; tries += 1) {
    const { status, wait_ms: waitMs } = await delivery(job.id, ({ attempts }) => attempts === tries);
    expect([tries, status]).toEqual([tries, 'pending']);
    expect(waitMs).toBeGreaterThan(tries === 1 ? 2_000 : 200_000);
    await makeDue(job.id);
  }
  const last = await delivery(job.id, ({ status }) => status === 'failed');
  expect(last).toMatchObject({ attempts: 10, last_status: 500, last_error: 'HTTP 500; given up after 10 tries' });
  expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  await makeDue(job.id);
  expect(receiver.received).toHaveLength(10);
});

test('a receiver that is not there yet is told when it is', async () => {
  const gone = await startScriptedReceiver();
  await gone.stop();
  const job = await run(gone);
  const failed = await delivery(job.id, ({ attempts }) => attempts === 1);
  expect(failed).toMatchObject({ status: 'pending', last_status: null });
  expect(failed.last_error).toBe('the receiver could not be reached (ECONNREFUSED)');
});

test('the secret is sealed in the database, and equals the one the API shows', async () => {
  const { database } = waybill.server;
  const secret = await waybill.client.webhookSecret();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{64}$/);
  const { rows } = await database.pool.query(
    `select t::text as row, default_webhook_secret from waybill.tenants t where id = $1`,
    [defaultTenantId],
  );
  const bytes = rows[0]?.default_webhook_secret as Buffer;
  const plain = Buffer.from(secret.slice('whsec_'.length), 'base64');
  for (const form of [secret, Buffer.from(secret).toString('hex'), plain.toString('hex')])
    expect(String(rows[0]?.row)).not.toContain(form);
  expect(Buffer.from(bytes).includes(plain)).toBe(false);
  const wrongKey = {
    seal: () => Buffer.alloc(0),
    open: (sealed: Uint8Array) => Buffer.from(sealed).toString('latin1'),
  };
  expect(await webhookSecretOf(database, wrongKey, defaultTenantId)).not.toContain('whsec_');
});
