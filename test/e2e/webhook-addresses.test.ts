/** Where webhooks may go when the server is open to a network: nowhere private, unless the operator says so. */

import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { ApiError } from '@waybill/producer/client/client.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import { defaultTenantId } from '@waybill/shared/store/tenants.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { answer, type ScriptedReceiver, startScriptedReceiver } from '../support/scripted-receiver.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let provider: ScriptedProvider;
let receiver: ScriptedReceiver;

beforeAll(async () => {
  provider = await startScriptedProvider(() => say('done'));
  receiver = await startScriptedReceiver();
});
afterAll(async () => {
  await Promise.all([provider?.stop(), receiver?.stop()]);
});

const config = (webhooks: object) => ({
  providers: { one: { preset: 'openai-compatible', base_url: `${provider.url}/v1` } },
  chains: { default: { targets: ['one/m'] } },
  webhooks,
});
const job = (url: string) => ({ model: 'default', prompt: 'hello', webhook_url: url });

async function jobsStored(waybill: TestWaybill): Promise<number> {
  const { rows } = await waybill.server.database.pool.query('select count(*)::int as n from waybill.jobs');
  return Number(rows[0]?.n);
}

/** A delivery to an address that no job would be accepted with: as if its name had changed its answer meanwhile. */
async function insertDelivery(waybill: TestWaybill, url: string): Promise<string> {
  const { database } = waybill.server;
  const made = await waybill.client.submit({ model: 'default', prompt: 'hello' });
  await whenFinal(waybill.client, made.id);
  const [endpoint, delivery] = [newId('whe'), newId('whd')];
  await database.pool.query(
    `insert into waybill.webhook_endpoints (id, tenant_id, url, kind) values ($1, $2, $3, 'ad_hoc')`,
    [endpoint, defaultTenantId, url],
  );
  await database.pool.query(
    `insert into waybill.webhook_deliveries (id, event_id, tenant_id, endpoint_id, job_id, type, payload)
     values ($1, $2, $3, $4, $5, 'job.succeeded', '{}')`,
    [delivery, `evt_${delivery}`, defaultTenantId, endpoint, made.id],
  );
  return delivery;
}

const deliveryOf = async (waybill: TestWaybill, id: string) =>
  (await waybill.server.database.pool.query('select * from waybill.webhook_deliveries where id = $1', [id])).rows[0];

describe('a server open to the network', () => {
  let waybill: TestWaybill;
  beforeAll(async () => {
    waybill = await startWaybill({ config: config({ timeout: '2s' }), host: '0.0.0.0' });
  });
  afterAll(() => waybill?.stop());

  test.for([
    ['loopback', 'http://127.0.0.1:8080/'],
    ['loopback in hexadecimal', 'http://0x7f.1:8080/'],
    ['loopback as a number', 'http://2130706433:8080/'],
    ['loopback in version 6', 'http://[::1]:8080/'],
    ['mapped loopback', 'http://[::ffff:127.0.0.1]:8080/'],
    ['the unspecified address', 'http://0.0.0.0:8080/'],
    ['localhost', 'http://localhost:8080/'],
    ['localhost with a dot', 'http://localhost.:8080/'],
    ['a private network', 'http://10.1.2.3/'],
    ['cloud metadata', 'http://169.254.169.254/latest/meta-data/'],
    ['cloud metadata that looks public', 'http://168.63.129.16/'],
    ['a name without a dot', 'http://intranet/'],
    ['an internal name', 'http://db.internal/'],
    ['NAT64 of a private address', 'http://[64:ff9b::a9fe:a9fe]/'],
  ] as const)('refuses a job whose receiver is %s, and names the setting', async ([, url]) => {
    const before = await jobsStored(waybill);
    const error = await waybill.client.submit(job(url)).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 400, code: 'url_private_address', param: 'webhook_url' });
    expect((error as ApiError).message).toContain('webhooks.allow_networks');
    expect(await jobsStored(waybill)).toBe(before);
  });

  test('refuses a whole batch for one such receiver, and names its job', async () => {
    const before = await jobsStored(waybill);
    const error = await waybill.client
      .submitMany([{ model: 'default', prompt: 'a' }, job(receiver.url)])
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject({ status: 400, code: 'url_private_address', param: 'jobs[1].webhook_url' });
    expect(await jobsStored(waybill)).toBe(before);
  });

  test('blocks such a delivery at the socket: not a byte is sent', async () => {
    let bytes = 0;
    const listener = createServer((socket) => {
      socket.on('data', (chunk) => {
        bytes += chunk.length;
      });
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as AddressInfo;
    try {
      for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]']) {
        const id = await insertDelivery(waybill, `http://${host}:${port}/hooks`);
        const blocked = await eventually(
          () => deliveryOf(waybill, id),
          (row) => Number(row?.attempts) === 1,
        );
        expect(blocked).toMatchObject({ status: 'pending', last_status: null });
        expect(blocked?.last_error).toMatch(/is private; add its network to webhooks\.allow_networks/);
      }
    } finally {
      await new Promise((resolve) => listener.close(resolve));
    }
    expect(bytes).toBe(0);
  });
});

describe('a server open to the network, with the network of the receiver allowed', () => {
  let waybill: TestWaybill;
  beforeAll(async () => {
    waybill = await startWaybill({ config: config({ allow_networks: ['127.0.0.0/8'] }), host: '0.0.0.0' });
  });
  afterAll(() => waybill?.stop());

  test('delivers there', async () => {
    const { id } = await waybill.client.submit(job(receiver.url));
    await whenFinal(waybill.client, id);
    await eventually(
      () => receiver.received.map(({ event }) => event.data.id),
      (ids) => ids.includes(id),
    );
  });

  test('and nowhere else', async () => {
    for (const url of ['http://10.1.2.3/', 'http://[::1]:8080/', 'http://169.254.169.254/'])
      await expect(waybill.client.submit(job(url))).rejects.toMatchObject({ code: 'url_private_address' });
  });

  test('never to itself', async () => {
    const { port } = new URL(waybill.url);
    for (const host of ['127.0.0.1', '0.0.0.0'])
      await expect(waybill.client.submit(job(`http://${host}:${port}/v1/jobs`))).rejects.toMatchObject({ status: 400 });
    await expect(waybill.client.submit(job(`http://127.0.0.1:${port}/`))).rejects.toMatchObject({ code: 'url_self' });
  });
});

test('a server on loopback delivers to loopback, and never to the metadata of a cloud', async () => {
  const own = await startScriptedReceiver(() => answer(200));
  const waybill = await startWaybill({ config: config({}) });
  try {
    const { id } = await waybill.client.submit(job(own.url));
    await whenFinal(waybill.client, id);
    await eventually(
      () => own.received.length,
      (count) => count === 1,
    );
    for (const url of ['http://169.254.169.254/', 'http://168.63.129.16/', 'http://100.100.100.200/'])
      await expect(waybill.client.submit(job(url))).rejects.toMatchObject({ code: 'url_private_address' });
  } finally {
    await waybill.stop();
    await own.stop();
  }
});
