/** Who is asked, when, by which process, and what becomes of the answer. Servers on loopback, a clock of the test's own. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import { Secret } from '@waybill/shared/security/secret.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { readHealth } from '@waybill/shared/store/health.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { endWorker, registerWorker } from '@waybill/shared/store/workers.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ProberContext, startProber } from './prober.ts';

type Says = { readonly status: number; readonly body?: unknown } | 'hangs';

let database: Database;
let url: string;
/** By provider; a server that is not here is well. */
const says = new Map<string, Says>();
let asked: { provider: string; path: string; headers: IncomingMessage['headers'] }[] = [];
const server = createServer((request, response) => {
  const [, provider = '', ...path] = request.url?.split('/') ?? [];
  asked.push({ provider, path: path.join('/'), headers: request.headers });
  const said = says.get(provider) ?? { status: 200 };
  if (said === 'hangs') return;
  response.writeHead(said.status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(said.body ?? { data: [{ id: 'm', max_model_len: 4_096 }] }));
});
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
});
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
  await database.pool.query('truncate waybill.provider_health, waybill.events, waybill.leases');
  says.clear();
  asked = [];
});
afterAll(async () => {
  await database?.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const nothingKnown = {
  throughput: new Map(),
  pauses: new Map(),
  breakers: new Map(),
  usual: new Map(),
  switches: new Map<string, boolean>(),
  windows: new Map(),
};
const often = { every: '1s', timeout: '5s', failures_to_unhealthy: 2, successes_to_recover: 1 };
/** The list of models is all that is asked of LM Studio, and its base URL names the provider here. */
const providersOf = (list: Readonly<Record<string, object>>) =>
  Object.fromEntries(
    Object.entries(list).map(([id, more]) => [
      id,
      { preset: 'lm-studio', base_url: `${url}/${id}`, health: often, ...more },
    ]),
  );

/** A process of the fleet. Its clock moves far with every look at it, unless the test holds it. */
async function start(list: Readonly<Record<string, object>>, more: Partial<ProberContext> = {}) {
  const parsed = parseEnvironment({});
  if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
  const settings = settingsOf({ providers: providersOf(list) }, parsed.environment, 'the test');
  const id = newId('wrk');
  await registerWorker(database, id, 'test');
  const said: string[] = [];
  const log: string[] = [];
  let nowMs = Date.now();
  const prober = startProber({
    database,
    coordination: {
      pause: async (scope: string, kind: string) => void said.push(`pause ${scope} ${kind}`),
      resume: async (scope: string) => void said.push(`resume ${scope}`),
      publish: () => undefined,
    } as unknown as Coordination,
    fleet: {
      read: async () => nothingKnown,
      forget: () => undefined,
    },
    credentials: { of: () => [], refresh: async () => undefined, stop: async () => undefined },
    lease: { id: () => id, stop: async () => undefined },
    settings: () => settings,
    logger: createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } }),
    now: () => (nowMs += 60_000),
    ...more,
  });
  stops.push(prober.stop);
  return { id, prober, said, log };
}

const countOf = (provider: string) => asked.filter((each) => each.provider === provider).length;
const whenAsked = (provider: string, times: number) =>
  expect.poll(() => countOf(provider), { timeout: 20_000 }).toBeGreaterThanOrEqual(times);
const read = async (provider: string) => (await readHealth(database)).find((each) => each.provider === provider);
const whenStatus = (provider: string, status: string) =>
  expect.poll(async () => (await read(provider))?.health.status, { timeout: 20_000 }).toBe(status);

test('one process asks; when it is dead, another does', async () => {
  const header = (process: string) => ({ a: { headers: { 'x-process': process } } });
  // One clock for both: each finds the server due at every look.
  let nowMs = Date.now();
  const now = () => (nowMs += 60_000);
  const first = await start(header('first'), { now });
  await whenAsked('a', 1);
  await start(header('second'), { now });
  await whenAsked('a', 4);
  const processes = () => new Set(asked.map(({ headers }) => headers['x-process']));
  expect(processes()).toEqual(new Set(['first']));
  await first.prober.stop();
  await endWorker(database, first.id);
  asked = [];
  await whenAsked('a', 2);
  expect(processes()).toEqual(new Set(['second']));
});

test('a server is asked when its interval is over, and not before', async () => {
  let nowMs = Date.now();
  await start({ five: { health: { every: '5s' } }, thirty: { health: { every: '30s' } } }, { now: () => nowMs });
  await whenAsked('five', 1);
  await whenAsked('thirty', 1);
  for (let n = 2; n <= 6; n += 1) {
    // The look before this one has been noted: the next one counts from it.
    await expect.poll(async () => (await read('five'))?.health.checkedAtMs, { timeout: 20_000 }).toBe(nowMs);
    nowMs += 5_000;
    await whenAsked('five', n);
    expect([countOf('five'), countOf('thirty')]).toEqual([n, 1]);
  }
  nowMs += 5_000;
  await whenAsked('thirty', 2);
});

test('a call that was noted in the meantime puts the question off', async () => {
  const nowMs = Date.now();
  const noted = new Date(nowMs - 1_000);
  await database.pool.query(
    `insert into waybill.provider_health (provider, endpoint, status, checked_at) values ('called', 1, 'healthy', $1)`,
    [noted],
  );
  let now = nowMs;
  await start({ called: { health: { every: '30s' } }, other: { health: { every: '1s' } } }, { now: () => now });
  for (const times of [1, 2, 3]) {
    await whenAsked('other', times);
    await expect.poll(async () => (await read('other'))?.health.checkedAtMs, { timeout: 20_000 }).toBe(now);
    now += 1_000;
  }
  expect(countOf('called')).toBe(0);
});

test('who is switched off, not to be asked, or has nothing that is free to ask, is left alone', async () => {
  const switches = new Map([
    ['off', false],
    ['on', true],
  ]);
  const read = async () => ({ ...nothingKnown, switches });
  const list = {
    well: {},
    off: {},
    on: { enabled: false },
    disabled: { enabled: false },
    silent: { health: { ...often, probe: false } },
    azure: { preset: 'azure-openai', api_key: 'x', base_url: `${url}/azure` },
  };
  await start(list, { fleet: { read, forget: () => undefined } });
  await whenAsked('well', 2);
  await whenAsked('on', 2);
  expect(new Set(asked.map(({ provider }) => provider))).toEqual(new Set(['well', 'on']));
});

test('every server has its turn, however many there are', async () => {
  const names = Array.from({ length: 20 }, (_, n) => `p${n}`);
  await start(Object.fromEntries(names.map((name) => [name, {}])));
  for (const name of names) await whenAsked(name, 1);
});

test('it asks with the credential and the headers of the configuration, and they are in no line of the log', async () => {
  const credential = { id: 'c', name: 'KEY', account: 'default', secret: new Secret('sk-very-secret') };
  says.set('a', { status: 500, body: { error: { message: 'sk-very-secret' } } });
  const { log } = await start(
    { a: { headers: { 'x-own': 'own-secret' } } },
    { credentials: { of: () => [credential], refresh: async () => undefined, stop: async () => undefined } },
  );
  await whenStatus('a', 'unhealthy');
  expect(asked[0]).toMatchObject({
    path: 'models',
    headers: { authorization: 'Bearer sk-very-secret', 'x-own': 'own-secret' },
  });
  await expect.poll(() => log.join(''), { timeout: 20_000 }).toContain('a provider is unhealthy');
  expect(log.join('')).not.toMatch(/very-secret|own-secret/);
  const { rows } = await database.pool.query('select data from waybill.events');
  expect(JSON.stringify(rows)).not.toMatch(/very-secret|own-secret/);
});

test('an ill server is left alone anew with every look, until one finds it well', async () => {
  says.set('a', { status: 500 });
  const { said } = await start({ a: {} });
  const pause = 'pause endpoint:a/1 unhealthy';
  await expect.poll(() => said, { timeout: 20_000 }).toEqual([pause, pause, pause]);
  says.delete('a');
  await expect.poll(() => said.at(-1), { timeout: 20_000 }).toBe('resume endpoint:a/1');
  const { rows } = await database.pool.query('select type from waybill.events order by ord');
  expect(rows.map(({ type }) => type)).toEqual(['provider.unhealthy', 'provider.recovered']);
});

test.for<[string, Says, string]>([
  ['refuses its credential is there', { status: 401, body: {} }, 'healthy'],
  ['loads its model is not dead', { status: 503, body: { error: { message: 'Loading model' } } }, 'loading'],
  ['has too much to do is ill', { status: 503, body: { error: { message: 'busy' } } }, 'unhealthy'],
])('a server that %s', async ([, answer, status]) => {
  says.set('a', answer);
  await start({ a: {} });
  await whenStatus('a', status);
  expect((await read('a'))?.health.calls, 'a look is no call').toEqual([]);
});

test('a server that hangs is ill after its time, and holds up no one for longer', async () => {
  says.set('hung', 'hangs');
  const { said } = await start({ hung: { health: { ...often, timeout: '100ms' } }, well: {} });
  await whenStatus('hung', 'unhealthy');
  await whenAsked('well', 3);
  expect(said[0]).toBe('pause endpoint:hung/1 unhealthy');
  expect((await read('hung'))?.health.lastFailure).toBe('unreachable (aborted)');
});

test('a stop does not wait for a server that hangs, and blames nobody for it', async () => {
  says.set('hung', 'hangs');
  const { prober } = await start({ hung: { health: { ...often, timeout: '60s' } } });
  await whenAsked('hung', 1);
  await prober.stop();
  expect(await read('hung')).toBeUndefined();
});

test('a database that fails is asked again in the next round', async () => {
  let failures = 0;
  const transaction: Database['transaction'] = (work) => {
    failures += 1;
    return failures <= 2 ? Promise.reject(new Error('no database')) : database.transaction(work);
  };
  const { log } = await start({ a: {} }, { database: { ...database, transaction } });
  await whenStatus('a', 'healthy');
  expect(log.filter((line) => line.includes('a round failed'))).toHaveLength(2);
});

test('what a server says of its models is kept, and a long list is not', async () => {
  const many = Array.from({ length: 201 }, (_, n) => ({ id: `m${n}`, max_model_len: 1_000 }));
  says.set('vendor', { status: 200, body: { data: many } });
  await start({ own: {}, vendor: {} });
  await whenStatus('own', 'healthy');
  await whenStatus('vendor', 'healthy');
  expect(JSON.parse((await read('own'))?.facts ?? '')).toEqual({
    models: [{ id: 'm', context_window: 4_096, status: null }],
  });
  expect((await read('vendor'))?.facts).toBeNull();
});
