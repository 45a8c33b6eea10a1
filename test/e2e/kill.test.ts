/**
 * kill -9 of the whole process in the middle of a run, three times: nothing accepted is lost, nothing is doubled,
 * and what was interrupted says so.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually } from '../support/waybill.ts';
import { startWaybillProcess, type WaybillProcess } from '../support/waybill-process.ts';

const jobs = 300;
const kills = 3;

let directory: string;
let providers: ScriptedProvider[];
const webhookIds = new Map<string, Set<string>>();
const receiver = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { data } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { data: { id: string } };
    const ids = webhookIds.get(data.id) ?? new Set();
    webhookIds.set(data.id, ids.add(String(request.headers['webhook-id'])));
    response.writeHead(204).end();
  });
});

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waybill-kill-'));
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  providers = [
    await startScriptedProvider((_, n) => (n % 5 === 0 ? refuse(500) : say('first', { delayMs: 150 }))),
    await startScriptedProvider(() => say('second', { delayMs: 50 })),
  ];
});

afterAll(async () => {
  await Promise.all(providers.map((provider) => provider.stop()));
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
  await rm(directory, { recursive: true, force: true });
});

const config = () => ({
  providers: {
    first: { preset: 'openai-compatible', base_url: `${providers[0]?.url}/v1`, limits: { concurrency: 12 } },
    second: { preset: 'anthropic', base_url: `${providers[1]?.url}/v1`, api_key: 'test', limits: { concurrency: 12 } },
  },
  chains: {
    default: { targets: ['first/m', 'second/claude-haiku-4-5'], same_target_retries: 0, backoff: { initial: '10ms' } },
  },
});

const countsOf = async (waybill: WaybillProcess, batchId: string) =>
  (await waybill.client.list({ batch_id: batchId, limit: '1' })).counts ?? {};

test('three kills in a run of 300 jobs lose nothing, double nothing, and the work goes on', {
  timeout: 120_000,
}, async () => {
  let waybill = await startWaybillProcess(directory, config());
  const webhookUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const { batch_id: batchId } = await waybill.client.submitMany(
    Array.from({ length: jobs }, (_, index) => ({
      custom_id: `job-${index}`,
      model: 'default',
      prompt: `say ${index}`,
      webhook_url: webhookUrl,
    })),
  );
  const goneOnAfterMs: number[] = [];
  for (let kill = 1; kill <= kills; kill += 1) {
    const target = (jobs / (kills + 1)) * kill;
    await eventually(
      () => countsOf(waybill, batchId),
      (counts) => (counts.succeeded ?? 0) >= target && (counts.in_progress ?? 0) > 0,
    );
    await waybill.kill();
    const callsBefore = providers.reduce((sum, provider) => sum + provider.requests.length, 0);
    waybill = await startWaybillProcess(directory, config());
    const startedAt = performance.now();
    await eventually(
      () => providers.reduce((sum, provider) => sum + provider.requests.length, 0),
      (calls) => calls > callsBefore,
    );
    goneOnAfterMs.push(performance.now() - startedAt);
  }
  await eventually(
    () => countsOf(waybill, batchId),
    (counts) => counts.succeeded === jobs,
    60_000,
  );
  await eventually(
    () => webhookIds.size,
    (size) => size === jobs,
  );
  expect(await waybill.stop()).toBe(0);
  console.info(`calls went on ${goneOnAfterMs.map((ms) => Math.round(ms)).join(', ')} ms after each start`);
  await checkInvariants(batchId);
});

/** What must hold whatever happened: checked in the database, and at the receiver. */
async function checkInvariants(batchId: string): Promise<void> {
  const database = await openEmbeddedDatabase({ directory: join(directory, 'data'), cacheDirectory: null });
  try {
    const rows = async (statement: string) => (await database.pool.query(statement, [batchId])).rows;
    const unknown = await rows(
      `select count(*)::int as n from waybill.attempts a join waybill.jobs j on j.id = a.job_id where j.batch_id = $1 and a.status = 'unknown'`,
    );
    expect(unknown[0]?.n, 'each kill interrupted some calls').toBeGreaterThan(0);
    expect(
      await rows(`select j.id from waybill.jobs j where j.batch_id = $1 and j.status <> 'succeeded'`),
      'every job is final',
    ).toEqual([]);
    expect(
      await rows(
        `select a.job_id from waybill.attempts a join waybill.jobs j on j.id = a.job_id where j.batch_id = $1 and a.status = 'started'`,
      ),
      'no attempt is left open',
    ).toEqual([]);
    expect(
      await rows(
        `select a.job_id from waybill.attempts a join waybill.jobs j on j.id = a.job_id where j.batch_id = $1 and a.status = 'succeeded' group by 1 having count(*) <> 1`,
      ),
      'one success per job',
    ).toEqual([]);
    const sums = await rows(`
      select (select coalesce(sum(cost_nano), 0)::text from waybill.ledger l join waybill.jobs j on j.id = l.job_id where j.batch_id = $1) as ledger,
             (select coalesce(sum(cost_nano), 0)::text from waybill.attempts a join waybill.jobs j on j.id = a.job_id where j.batch_id = $1) as attempts`);
    expect(sums[0]?.ledger, 'the ledger is the sum of the attempts').toBe(sums[0]?.attempts);
    const attempts = await rows(
      `select count(*)::int as n from waybill.attempts a join waybill.jobs j on j.id = a.job_id where j.batch_id = $1`,
    );
    const calls = providers.reduce((sum, provider) => sum + provider.requests.length, 0);
    expect(attempts[0]?.n, 'every call has its attempt row').toBeGreaterThanOrEqual(calls);
  } finally {
    await database.close();
  }
  expect(
    [...webhookIds.values()].filter((ids) => ids.size !== 1),
    'one webhook id per event',
  ).toEqual([]);
}
