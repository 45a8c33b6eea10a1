/** Several credentials and accounts of one provider: who is called, who rests, who is dead, and what heals. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Reply, refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

let provider: ScriptedProvider;
let waybill: TestWaybill;
let folder: string;

/** By credential; whoever is not here is served. */
const scripts = new Map<string, (nth: number) => Reply>();
const callsWith = (credential: string) => provider.requests.filter((each) => each.credential === credential);

const named = (...names: readonly string[]) =>
  names.map((name) => ({ env: name, account: name.replace(/^[A-Z]+_|\d$/g, '').toLowerCase() }));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'waybill-credentials-'));
  await writeFile(join(folder, 'secret'), 'stale-file\n');
  provider = await startScriptedProvider(({ credential }) => {
    const reply = scripts.get(credential)?.(callsWith(credential).length);
    return reply ?? say(`served by ${credential}`, { delayMs: 20 });
  });
  const at = (credentials: readonly object[]) => ({
    preset: 'openai-compatible',
    base_url: `${provider.url}/v1`,
    credentials,
  });
  const names = ['SPREAD_A', 'SPREAD_B', 'DEAD_A', 'DEAD_B', 'REST_A', 'REST_B', 'BROKE_A1', 'BROKE_A2', 'BROKE_B'];
  const lost = ['LOST_A', 'LOST_B', 'MANY_A', 'MANY_B'];
  waybill = await startWaybill({
    environment: Object.fromEntries([...names, ...lost].map((name) => [name, name])),
    config: {
      providers: {
        spread: at(named('SPREAD_A', 'SPREAD_B')),
        dead: at(named('DEAD_A', 'DEAD_B')),
        many: at(named('MANY_A', 'MANY_B')),
        rest: at(named('REST_A', 'REST_B')),
        broke: at(named('BROKE_A1', 'BROKE_A2', 'BROKE_B')),
        lost: at(named('LOST_A', 'LOST_B')),
        filed: at([{ file: join(folder, 'secret') }]),
        vault: at([{ stored: 'vault-key' }]),
        empty: at([{ stored: 'empty-key' }]),
      },
      chains: {
        once: { targets: ['dead/m'], max_attempts: 1 },
        elsewhere: { targets: ['lost/m', 'spread/m'], backoff: { initial: '5ms' } },
      },
    },
  });
});

afterAll(async () => {
  await waybill?.stop();
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});

const submit = (model: string, more: object = {}) => waybill.client.submit({ model, prompt: 'hello', ...more });
const run = async (model: string) => whenFinal(waybill.client, (await submit(model)).id);
const runMany = async (model: string, count: number) => {
  const { data } = await waybill.client.submitMany(Array.from({ length: count }, () => ({ model, prompt: 'hello' })));
  return Promise.all(data.map(({ id }) => whenFinal(waybill.client, id)));
};
const story = ({ attempts }: Awaited<ReturnType<typeof run>>) =>
  attempts.map(({ credential, failure }) => `${credential} ${failure?.kind ?? 'ok'}`);
const eventsOf = async (type: string, providerId: string) => {
  const { rows } = await waybill.server.database.pool.query('select data from waybill.events where type = $1', [type]);
  return rows.map((row) => JSON.parse(String(row.data))).filter((data) => data.provider === providerId);
};
const storeCredential = async (name: string, secret: string) => {
  const response = await fetch(`${waybill.url}/admin/v1/credentials/${name}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${waybill.adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ secret }),
  });
  expect(response.status).toBe(200);
};
const whenWaiting = (id: string) =>
  eventually(
    () => waybill.client.get(id),
    ({ waiting }) => waiting?.reason === 'recovery' || waiting?.reason === 'paused',
  );

test('calls are spread over the accounts', async () => {
  expect((await runMany('spread/m', 20)).map(({ status }) => status)).toEqual(Array(20).fill('succeeded'));
  for (const name of ['SPREAD_A', 'SPREAD_B']) expect(callsWith(name).length).toBeGreaterThanOrEqual(5);
});

test('a credential that is refused is not called again, costs no attempt, and is told of once', async () => {
  scripts.set('DEAD_A', () => refuse(401));
  const job = await run('once');
  expect(story(job)).toEqual(['DEAD_A auth', 'DEAD_B ok']);
  expect(job).toMatchObject({ status: 'succeeded', output_text: 'served by DEAD_B' });
  await runMany('once', 6);
  expect(callsWith('DEAD_A')).toHaveLength(1);
  expect(await eventsOf('credential.dead', 'dead')).toMatchObject([{ credential: 'DEAD_A', failure: 'auth' }]);
  expect(await eventsOf('credentials.exhausted', 'dead')).toEqual([]);
});

test('calls under way together when a credential dies all succeed, and one event tells of it', async () => {
  scripts.set('MANY_A', () => refuse(401));
  const jobs = await runMany('many/m', 12);
  expect(jobs.map(({ status }) => status)).toEqual(Array(12).fill('succeeded'));
  expect(callsWith('MANY_A').length).toBeGreaterThan(1);
  expect(await eventsOf('credential.dead', 'many')).toHaveLength(1);
});

test('an account at its limit rests as long as the provider said, and the other serves', async () => {
  scripts.set('REST_A', (nth) => (nth === 1 ? refuse(429, undefined, { 'retry-after': '2' }) : say('rested')));
  expect(story(await run('rest/m'))).toEqual(['REST_A rate_limit', 'REST_B ok']);
  await eventually(
    () => runMany('rest/m', 4),
    () => callsWith('REST_A').length > 1,
  );
  const [refused, next] = callsWith('REST_A');
  expect((next?.atMs ?? 0) - (refused?.atMs ?? 0)).toBeGreaterThanOrEqual(2_000);
  expect(callsWith('REST_B').length).toBeGreaterThan(4);
});

test('an account without money is left alone with all its credentials', async () => {
  const unpaid = refuse(429, { error: { message: 'quota', type: 'insufficient_quota', code: 'insufficient_quota' } });
  scripts.set('BROKE_A1', () => unpaid);
  scripts.set('BROKE_A2', () => unpaid);
  expect(story(await run('broke/m'))).toEqual([expect.stringMatching(/^BROKE_A\d billing$/), 'BROKE_B ok']);
  await runMany('broke/m', 6);
  expect([...callsWith('BROKE_A1'), ...callsWith('BROKE_A2')]).toHaveLength(1);
  expect(await eventsOf('credential.dead', 'broke')).toMatchObject([{ account: 'a', failure: 'billing' }]);
});

test('with all credentials refused, a job falls back, or waits for one; one event tells of it', async () => {
  for (const name of ['LOST_A', 'LOST_B']) scripts.set(name, () => refuse(401));
  const moved = await run('elsewhere');
  expect(story(moved)).toEqual(['LOST_A auth', 'LOST_B auth', expect.stringMatching(/^SPREAD_. ok$/)]);
  const calls = provider.requests.length;
  const alone = await whenWaiting((await submit('lost/m')).id);
  expect(alone).toMatchObject({ status: 'queued', attempts: [] });
  expect(Date.parse(alone.waiting?.until ?? '') - Date.now()).toBeGreaterThan(3_000_000);
  expect((await run('elsewhere')).attempts).toHaveLength(1);
  expect(provider.requests.length).toBe(calls + 1);
  expect(await eventsOf('credentials.exhausted', 'lost')).toHaveLength(1);
  expect(await eventsOf('credential.dead', 'lost')).toHaveLength(2);
  await waybill.client.cancel(alone.id);
});

test('a fresh secret in a file heals without a restart, for jobs that wait as for new ones', async () => {
  scripts.set('stale-file', () => refuse(401));
  const { id } = await submit('filed/m');
  expect((await whenWaiting(id)).attempts).toMatchObject([{ failure: { kind: 'auth' } }]);
  await writeFile(join(folder, 'secret'), 'fresh-file\n');
  // Whatever changes makes the processes look at all of their credentials.
  await storeCredential('of-nobody', 'anything');
  expect(await whenFinal(waybill.client, id)).toMatchObject({ output_text: 'served by fresh-file' });
  expect(await run('filed/m')).toMatchObject({ output_text: 'served by fresh-file' });
  expect(callsWith('stale-file')).toHaveLength(1);
});

test('a fresh secret in the store heals alike', async () => {
  scripts.set('stale-vault', () => refuse(401));
  await storeCredential('vault-key', 'stale-vault');
  const { id } = await submit('vault/m');
  await whenWaiting(id);
  await storeCredential('vault-key', 'fresh-vault');
  expect(await whenFinal(waybill.client, id)).toMatchObject({ output_text: 'served by fresh-vault' });
});

test('a job of a provider whose credential is not there yet waits until it is', async () => {
  const { id } = await submit('empty/m');
  expect((await whenWaiting(id)).attempts).toEqual([]);
  await storeCredential('empty-key', 'now-there');
  expect(await whenFinal(waybill.client, id)).toMatchObject({ output_text: 'served by now-there' });
});
