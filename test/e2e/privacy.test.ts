/** What must not leave the house: detectors, labels and the switch that turns the cloud off. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let cloud: ScriptedProvider;
let local: ScriptedProvider;
let waybill: TestWaybill;

const providersOf = () => ({
  cloud: { preset: 'openai-compatible', base_url: `${cloud.url}/v1` },
  home: { preset: 'openai-compatible', base_url: `${local.url}/v1`, labels: ['local'] },
});
const chains = { default: { targets: ['cloud/m', 'home/m'] }, away: { targets: ['cloud/m'] } };

beforeAll(async () => {
  cloud = await startScriptedProvider(() => say('from the cloud'));
  local = await startScriptedProvider(() => say('from home'));
  waybill = await startWaybill({
    config: { providers: providersOf(), chains, privacy: { detect: ['email', 'iban'], require: ['local'] } },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await Promise.all([cloud?.stop(), local?.stop()]);
});

const ask = async (content: string, model = 'default') => {
  const { id } = await waybill.client.submit({ body: { model, messages: [{ role: 'user', content }] } });
  return whenFinal(waybill.client, id);
};
const auditOf = async (id: string) =>
  (
    await waybill.server.database.pool.query('select action, detail from waybill.audit where job_id = $1 order by id', [
      id,
    ])
  ).rows;

test('a request that holds an address stays at home, which is audited without the address', async () => {
  const job = await ask('write to jane.doe@example.org');
  expect(job).toMatchObject({ target: 'home/m', require: ['local'], output_text: 'from home' });
  const rows = await auditOf(job.id);
  expect(rows).toMatchObject([{ action: 'privacy.detected' }]);
  expect(JSON.parse(rows[0]?.detail as string)).toEqual({ detected: ['email'], require: ['local'] });
  expect(cloud.requests.some(({ prompt }) => prompt.includes('jane'))).toBe(false);
  expect(waybill.log.join('\n')).not.toContain('jane.doe');
});

test('others go where they would', async () => {
  expect(await ask('what is the weather')).toMatchObject({ target: 'cloud/m', require: [] });
});

test('where nobody at home can answer it, it is refused at once', async () => {
  await expect(ask('DE89 3704 0044 0532 0130 00', 'away')).rejects.toMatchObject({ code: 'no_eligible_target' });
  expect(cloud.requests.some(({ prompt }) => prompt.includes('0532'))).toBe(false);
});

test('what was accepted before the detectors were configured is looked at again before its call', async () => {
  const directory = waybill.directory;
  await waybill.stop();
  const before = await startWaybill({ directory, config: { providers: providersOf(), chains } });
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  const later = {
    body: { model: 'default', messages: [{ role: 'user', content: 'joe@example.org' }] },
    run_at: inAnHour,
  };
  const { id } = await before.client.submit(later);
  await before.stop();
  waybill = await startWaybill({
    directory,
    config: { providers: providersOf(), chains, privacy: { detect: ['email', 'iban'], require: ['local'] } },
  });
  const { pool } = waybill.server.database;
  await pool.query('update waybill.jobs set available_at = now(), run_at = null where id = $1', [id]);
  const job = await whenFinal(waybill.client, id);
  expect(job).toMatchObject({ status: 'succeeded', target: 'home/m', require: ['local'] });
  expect(cloud.requests.some(({ prompt }) => prompt === 'joe@example.org')).toBe(false);
  expect((await auditOf(id)).map(({ action }) => action)).toEqual(['privacy.barred']);
});

test('with the cloud off, nothing but local targets is called, whatever was accepted before', async () => {
  const off = await startWaybill({
    config: { providers: providersOf(), chains },
    environment: { WAYBILL_CLOUD: 'off' },
  });
  try {
    const before = cloud.requests.length;
    const { id } = await off.client.submit({ model: 'default', prompt: 'anything' });
    expect(await whenFinal(off.client, id)).toMatchObject({ target: 'home/m', require: [] });
    await expect(off.client.submit({ model: 'away', prompt: 'anything' })).rejects.toMatchObject({
      code: 'no_eligible_target',
    });
    expect(cloud.requests.length).toBe(before);
  } finally {
    await off.stop();
  }
});
