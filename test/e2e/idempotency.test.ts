/** Idempotency keys: one key, one answer, one job, whoever repeats it and however often. */
import type { JobJson } from '@waybill/producer/job-json.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countRows, expectRefusal } from '../support/bad-input.ts';
import { type Answer, exchange } from '../support/http-exchange.ts';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let provider: ScriptedProvider;
let waybill: TestWaybill;

beforeAll(async () => {
  provider = await startScriptedProvider(() => say('done'));
  waybill = await startWaybill({
    config: {
      providers: { scripted: { preset: 'openai-compatible', endpoints: [`${provider.url}/v1`] } },
      chains: { default: { targets: ['scripted/model-a'] } },
    },
  });
});
afterAll(async () => {
  await waybill.stop();
  await provider.stop();
});

const post = (key: string, body: unknown, path = '/v1/jobs'): Promise<Answer> =>
  exchange(waybill.url, waybill.adminKey, { path, headers: { 'idempotency-key': key }, body });
const jobOf = (answer: Answer): JobJson => JSON.parse(answer.text) as JobJson;
const named = (customId: string, more: object = {}) => ({
  model: 'default',
  prompt: 'hi',
  custom_id: customId,
  ...more,
});
async function rowsOf(customId: string): Promise<number> {
  const { rows } = await waybill.server.database.pool.query(
    'select count(*)::int as n from waybill.jobs where custom_id = $1',
    [customId],
  );
  return (rows as { n: number }[])[0]?.n ?? -1;
}

test('the second request gets the first one’s answer, byte for byte, and says so in a header', async () => {
  const first = await post('seq-1', named('seq'));
  const second = await post('seq-1', named('seq'));
  expect([first.status, second.status]).toEqual([202, 202]);
  expect(second.text).toBe(first.text);
  expect([first.headers['idempotent-replayed'], second.headers['idempotent-replayed']]).toEqual([undefined, 'true']);
  expect(second.headers['content-type']).toBe(first.headers['content-type']);
  expect(second.headers['x-request-id'], 'it is another request').not.toBe(first.headers['x-request-id']);
  expect(await rowsOf('seq')).toBe(1);
});

test('the order of keys and white space do not make another body', async () => {
  const first = await post('order-1', '{"model":"default","prompt":"hi","metadata":{"a":"1","b":"2"}}');
  const second = await post('order-1', '{ "metadata": {"b":"2", "a":"1"}, "prompt": "hi", "model": "default" }');
  expect(second.text).toBe(first.text);
});

test('another body under the same key is refused, also when it is no valid job', async () => {
  const first = await post('body-1', named('body'));
  expect(first.status).toBe(202);
  for (const other of [named('body', { prompt: 'ho' }), named('body', { priority: 'bulk' }), { model: 'default' }]) {
    const answer = await post('body-1', other);
    expectRefusal(answer, 422, 'idempotency_key_reused');
    expect(answer.text, 'nothing of the first answer is told').not.toContain(jobOf(first).id);
  }
  expect(await rowsOf('body')).toBe(1);
  expect((await post('body-1', named('body'))).text).toBe(first.text);
});

test('50 requests at once make one job', async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, () => post('race-1', named('race'))));
  expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([202]));
  expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
  expect(answers.filter((answer) => answer.headers['idempotent-replayed'] === undefined)).toHaveLength(1);
  expect(await rowsOf('race')).toBe(1);
  const [answer] = answers;
  if (answer) expect((await whenFinal(waybill.client, jobOf(answer).id)).attempts).toHaveLength(1);
});

test('50 requests at once with two bodies: one body wins, the other is refused', async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, n) => post('race-2', named('race-two', { metadata: { n: String(n % 2) } }))),
  );
  expect(answers.map((answer) => answer.status).toSorted()).toEqual([...Array(25).fill(202), ...Array(25).fill(422)]);
  expect(await rowsOf('race-two')).toBe(1);
});

test('a quoted key is the bare key, and case counts', async () => {
  const bare = await post('quoted-1', named('quoted'));
  expect((await post('"quoted-1"', named('quoted'))).text).toBe(bare.text);
  expect(jobOf(await post('QUOTED-1', named('quoted'))).id).not.toBe(jobOf(bare).id);
  expect(await rowsOf('quoted')).toBe(2);
});

test('255 printable characters are a key', async () => {
  const key = `${' !#$%&()*+,-./:;<=>?@[]^_`{|}~'.trim()}${'k'.repeat(255)}`.slice(0, 255);
  const first = await post(key, named('long'));
  expect((await post(key, named('long'))).text).toBe(first.text);
  expect(await rowsOf('long')).toBe(1);
});

test('bulk: the whole answer again, no second batch; another list is refused', async () => {
  const jobs = [named('bulk-a'), named('bulk-b')];
  const before = await countRows(waybill.server.database);
  const first = await post('bulk-1', { jobs }, '/v1/jobs/bulk');
  const again = await Promise.all(Array.from({ length: 10 }, () => post('bulk-1', { jobs }, '/v1/jobs/bulk')));
  expect(new Set(again.map((answer) => answer.text))).toEqual(new Set([first.text]));
  expect(again.every((answer) => answer.headers['idempotent-replayed'] === 'true')).toBe(true);
  expectRefusal(await post('bulk-1', { jobs: jobs.toReversed() }, '/v1/jobs/bulk'), 422, 'idempotency_key_reused');
  const after = await countRows(waybill.server.database);
  expect(after).toEqual({
    ...before,
    jobs: (before.jobs ?? 0) + 2,
    payloads: (before.payloads ?? 0) + 2,
    batches: (before.batches ?? 0) + 1,
    idempotency_keys: (before.idempotency_keys ?? 0) + 1,
  });
});

test('a key belongs to its route; a trailing slash is the same route', async () => {
  const single = await post('route-1', named('route'));
  expect((await post('route-1', { jobs: [named('route')] }, '/v1/jobs/bulk')).status).toBe(202);
  expect(await rowsOf('route')).toBe(2);
  expect((await post('route-1', named('route'), '/v1/jobs/')).text).toBe(single.text);
  expect((await post('route-1', { jobs: [named('route')] }, '/v1/jobs/bulk/')).headers['idempotent-replayed']).toBe(
    'true',
  );
  expect(await rowsOf('route')).toBe(2);
});

test('the answer stays what it was when the job is done since', async () => {
  const first = await post('done-1', named('done'));
  expect((await whenFinal(waybill.client, jobOf(first).id)).status).toBe('succeeded');
  const again = await post('done-1', named('done'));
  expect(again.text).toBe(first.text);
  expect(jobOf(again).status).toBe('queued');
  expect(await rowsOf('done')).toBe(1);
});

test('the answer stays when the request would be refused by now', async () => {
  // 56 s behind is still taken, 60 are not. What counts as the past moves on, the key's answer does not.
  const body = named('stale', { run_at: new Date(Date.now() - 56_000).toISOString() });
  const first = await post('stale-1', body);
  expect(first.status).toBe(202);
  await eventually(
    () => exchange(waybill.url, waybill.adminKey, { body }),
    (answer) => answer.status === 400,
  );
  const again = await post('stale-1', body);
  expect([again.status, again.text]).toEqual([202, first.text]);
});

test('a refused request does not use up its key', async () => {
  expectRefusal(await post('fresh-1', named('fresh', { modle: 1 })), 400, 'unknown_field');
  expectRefusal(await post('fresh-1', named('fresh', { model: 'nobody' })), 404, 'model_not_found');
  expect((await post('fresh-1', named('fresh'))).status).toBe(202);
  expect(await rowsOf('fresh')).toBe(1);
});

test('a key that has run out makes a new job', async () => {
  const first = await post('old-1', named('old'));
  await waybill.server.database.pool.query(
    `update waybill.idempotency_keys set expires_at = now() - interval '1 second' where key = 'old-1'`,
  );
  const second = await post('old-1', named('old', { prompt: 'another body' }));
  expect(second.status).toBe(202);
  expect(jobOf(second).id).not.toBe(jobOf(first).id);
  expect(second.headers['idempotent-replayed']).toBeUndefined();
});
