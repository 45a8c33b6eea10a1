/** What reaches the socket, and what a stop leaves behind. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Reply, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let reply: Reply;
let provider: ScriptedProvider;
let directory: string;
let waybill: TestWaybill;

const start = () =>
  startWaybill({
    directory,
    config: {
      providers: { p: { preset: 'openai-compatible', base_url: `${provider.url}/v1`, limits: { concurrency: 3 } } },
      chains: { default: { targets: ['p/m'], backoff: { initial: '5ms' } } },
    },
  });

beforeEach(async () => {
  reply = { kind: 'hang' };
  provider = await startScriptedProvider(() => reply);
  directory = await mkdtemp(join(tmpdir(), 'waybill-stop-'));
  waybill = await start();
});

afterEach(async () => {
  await waybill.stop();
  await provider.stop();
  await rm(directory, { recursive: true, force: true });
});

const calls = (count: number) =>
  eventually(
    () => provider.requests.length,
    (seen) => seen >= count,
  );

test('cancelling a running job closes its call, and its attempt is aborted with an unknown cost', async () => {
  const { id } = await waybill.client.submit({ model: 'default', prompt: 'hold' });
  await calls(1);
  expect((await waybill.client.cancel(id)).status).toBe('cancelled');
  await eventually(
    () => provider.requests[0]?.isClosedEarly,
    (closed) => closed === true,
  );
  const job = await eventually(
    () => waybill.client.get(id),
    (each) => each.attempts[0]?.status === 'aborted',
  );
  expect(job).toMatchObject({ status: 'cancelled', cost_unknown_attempts: 1 });
});

test('a deadline that passes during a call closes it', async () => {
  const { id } = await waybill.client.submit({ model: 'default', prompt: 'hold' });
  await calls(1);
  await waybill.server.database.pool.query('update waybill.jobs set deadline_at = now() where id = $1', [id]);
  expect((await whenFinal(waybill.client, id)).status).toBe('expired');
  await eventually(
    () => provider.requests[0]?.isClosedEarly,
    (closed) => closed === true,
  );
});

test('a stop aborts what does not end in time, and the next start takes it up', async () => {
  const { id } = await waybill.client.submit({ model: 'default', prompt: 'hold' });
  await calls(1);
  await waybill.server.stop(50);
  expect(provider.requests[0]?.isClosedEarly).toBe(true);
  reply = say('the second time');
  waybill = await start();
  const job = await whenFinal(waybill.client, id);
  expect(job.output_text).toBe('the second time');
  expect(job.attempts.map((attempt) => attempt.status)).toEqual(['aborted', 'succeeded']);
});

test('never more calls at once than the target allows', async () => {
  reply = say('done', { delayMs: 30 });
  const { batch_id: batchId } = await waybill.client.submitMany(
    Array.from({ length: 40 }, (_, n) => ({ model: 'default', prompt: `n ${n}` })),
  );
  await eventually(
    () => waybill.client.list({ batch_id: batchId, limit: '1' }),
    (list) => list.counts?.succeeded === 40,
  );
  expect(Math.max(...provider.requests.map((request) => request.open))).toBe(3);
});

test('first in, first out within a class, and interactive goes first', async () => {
  const held = await Promise.all([1, 2, 3].map(() => waybill.client.submit({ model: 'default', prompt: 'hold' })));
  await calls(3);
  const order = ['bulk', 'normal', 'interactive'].flatMap((priority) =>
    [1, 2].map((n) => ({ model: 'default', prompt: `${priority} ${n}`, priority })),
  );
  await waybill.client.submitMany(order);
  reply = say('done');
  for (const { id } of held) await waybill.client.cancel(id);
  await eventually(
    () => provider.requests.length,
    (seen) => seen === 9,
  );
  const prompts = provider.requests.slice(3).map((request) => request.prompt);
  expect(prompts.filter((prompt) => prompt.startsWith('interactive'))).toEqual(['interactive 1', 'interactive 2']);
  expect(prompts.indexOf('interactive 1')).toBeLessThan(prompts.indexOf('normal 1'));
  expect(prompts.indexOf('normal 1')).toBeLessThan(prompts.indexOf('bulk 1'));
});
