/** Health of servers, from outside: who is asked and how often, who is left alone, and what servers say of themselves. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMemoryChunks } from '@waybill/shared/coordination/memory-chunks.ts';
import { createPostgresCoordination } from '@waybill/shared/coordination/postgres/postgres-coordination.ts';
import { createSignals } from '@waybill/shared/coordination/signals.ts';
import { createPostgresQueueBackend } from '@waybill/shared/queue/postgres-queue.ts';
import { createSealer } from '@waybill/shared/security/seal.ts';
import { readEvents } from '@waybill/shared/store/events.ts';
import { readHealth } from '@waybill/shared/store/health.ts';
import { createLogger } from '@waybill/shared/telemetry/logger.ts';
import { startWorkers, type Workers } from '@waybill/workers/main.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, startWaybill, type TestWaybill, whenFinal } from '../support/waybill.ts';

/** A server of one's own, in vLLM's manner. */
interface OwnServer {
  readonly url: string;
  /** When its health was asked, in ms of the monotonic clock; also while it was down. */
  readonly looks: number[];
  /** Requests that are no GET. */
  calls: number;
  /** It ends every connection without a word. */
  isDown: boolean;
  /** It says of itself that it reads its model. */
  isLoading: boolean;
  stop(): Promise<void>;
}

async function startOwnServer(window: number | null = null): Promise<OwnServer> {
  const server = createServer(async (request, response) => {
    const { method, url } = request;
    for await (const _chunk of request);
    if (method !== 'GET') own.calls += 1;
    if (url === '/health') own.looks.push(performance.now());
    if (own.isDown) return void request.socket.destroy();
    const isLoading = own.isLoading && method === 'GET';
    response.writeHead(isLoading ? 503 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isLoading ? loading : method === 'GET' ? listOf(window) : answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const own: OwnServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    looks: [],
    calls: 0,
    isDown: false,
    isLoading: false,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return own;
}

const loading = { error: { code: 503, message: 'Loading model', type: 'unavailable_error' } };
const listOf = (window: number | null) => ({
  object: 'list',
  data: [{ id: 'm', ...(window === null ? {} : { max_model_len: window }) }],
});
const answer = {
  id: 'chatcmpl-test',
  object: 'chat.completion',
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
};

const names = ['home', 'slow', 'busy', 'quiet', 'silent', 'left', 'right', 'small', 'other'] as const;
let servers: Readonly<Record<(typeof names)[number], OwnServer>>;
let waybill: TestWaybill;
let second: Workers;

beforeAll(async () => {
  const started = names.map(async (name) => [name, await startOwnServer(name === 'small' ? 1_000 : null)] as const);
  servers = Object.fromEntries(await Promise.all(started)) as typeof servers;
  const health = { every: '1s', timeout: '3s', failures_to_unhealthy: 2, successes_to_recover: 2 };
  const at = (name: (typeof names)[number], more: object = {}) => ({
    preset: 'vllm',
    base_url: servers[name].url,
    health: { ...health, ...more },
  });
  waybill = await startWaybill({
    config: {
      providers: {
        home: at('home'),
        slow: at('slow', { every: '5s' }),
        busy: at('busy', { every: '5s' }),
        quiet: at('quiet', { every: '5s' }),
        silent: at('silent', { probe: false }),
        pair: {
          preset: 'vllm',
          endpoints: [servers.left.url, servers.right.url],
          health: { ...health, every: '3s' },
        },
        small: at('small'),
        large: { ...at('small'), models: { m: { context_window: 100_000 } } },
        other: at('other', { probe: false }),
      },
      chains: {
        home: { targets: ['home/m', 'other/m'] },
        pair: { targets: ['pair/m'], backoff: { initial: '5ms', max: '50ms' } },
        small: { targets: ['small/m', 'other/m'] },
        large: { targets: ['large/m', 'other/m'] },
      },
    },
  });
  second = await startSecondWorkers();
}, 120_000);

afterAll(async () => {
  await second?.stop(1_000);
  await waybill?.stop();
  await Promise.all(Object.values(servers ?? {}).map((server) => server.stop()));
});

/** As another process of the fleet has them; they take no jobs. */
function startSecondWorkers(): Promise<Workers> {
  const { database } = waybill.server;
  const ignore = () => undefined;
  return startWorkers({
    database,
    queues: createPostgresQueueBackend(database, ignore),
    coordination: createPostgresCoordination({ database, signals: createSignals('second', null, ignore) }),
    chunks: createMemoryChunks(),
    settings: () => waybill.settings,
    sealer: createSealer(Buffer.alloc(32, 7)),
    receivers: { allowPrivate: true, allowNetworks: [] },
    logger: createLogger({ level: 'debug', destination: { write: (line) => void waybill.log.push(line) } }),
    version: 'test',
    providers: [],
    isEmbedded: false,
    onStuck: ignore,
  });
}

const submit = (model: string, prompt = 'hello') => waybill.client.submit({ model, prompt });
const run = async (model: string, prompt?: string) => whenFinal(waybill.client, (await submit(model, prompt)).id);
const story = ({ attempts }: Awaited<ReturnType<typeof run>>) =>
  attempts.map(({ target, failure }) => `${target} ${failure?.kind ?? 'ok'}`);
const healthOf = async (provider: string, endpoint = 1) =>
  (await readHealth(waybill.server.database)).find((each) => each.provider === provider && each.endpoint === endpoint)
    ?.health;
const eventsOf = async (provider: string) =>
  (await readEvents(waybill.server.database, 0, 1_000))
    .map(({ type, data }) => ({ type, data: data as Record<string, unknown> }))
    .filter(({ data }) => data.provider === provider);
const typesOf = async (provider: string) => (await eventsOf(provider)).map(({ type }) => type);
const whenTold = (provider: string, type: string) =>
  eventually(
    () => typesOf(provider),
    (types) => types.includes(type),
  );
/** Resolves when it was asked so many times from now on. */
const whenLooked = async ({ looks }: OwnServer, times: number) => {
  const from = looks.length;
  await eventually(
    () => looks.length,
    (count) => count >= from + times,
  );
};

test('a server that is down is told of once and left alone, and served again when it is back', async () => {
  const { home } = servers;
  expect((await run('home')).target).toBe('home/m');

  home.isDown = true;
  await whenTold('home', 'provider.unhealthy');
  const calls = home.calls;
  const looked = home.looks.length;
  const elsewhere = await eventually(
    () => run('home'),
    (job) => job.target === 'other/m' && job.attempts.length === 1,
  );
  expect(elsewhere.status).toBe('succeeded');
  // The pause is renewed by every look: it outlives the first one.
  await eventually(
    () => home.looks.length,
    (count) => count >= looked + 4,
  );
  expect(story(await run('home'))).toEqual(['other/m ok']);
  expect(home.calls, 'no job asked whether it is back').toBe(calls);

  home.isDown = false;
  await whenTold('home', 'provider.recovered');
  await eventually(
    () => run('home'),
    (job) => job.target === 'home/m',
  );
  await whenLooked(home, 2);
  const events = await eventsOf('home');
  expect(events.map(({ type }) => type)).toEqual(['provider.unhealthy', 'provider.recovered']);
  expect(events[0]?.data).toEqual({
    ...{ provider: 'home', endpoint: 1, address: home.url },
    ...{ last_failure: expect.stringMatching(/^unreachable \(/), consecutive_failures: 2 },
  });
});

test('a job that has nowhere else to go waits for its server, and is served as soon as it is back', async () => {
  const { slow } = servers;
  const pausedUntil = async () => {
    const scope = 'endpoint:slow/1';
    const { rows } = await waybill.server.database.pool.query(
      'select until from coordination.pauses where scope = $1',
      [scope],
    );
    return (rows[0]?.until as Date | undefined)?.getTime() ?? null;
  };
  slow.isDown = true;
  await whenTold('slow', 'provider.unhealthy');
  const waiting = await eventually(
    async () => waybill.client.get((await submit('slow/m')).id, { wait: '1s' }),
    (job) => job.status === 'queued' && job.attempts.length === 0,
  );
  const until = await pausedUntil();
  slow.isDown = false;
  slow.isLoading = true;
  await whenTold('slow', 'provider.recovered');
  expect((await healthOf('slow'))?.status, 'a server that loads its model is not dead').toBe('loading');
  expect(await pausedUntil()).toBeNull();
  expect((await whenFinal(waybill.client, waiting.id)).status).toBe('succeeded');
  expect(Date.now(), 'it did not wait for the end of the pause').toBeLessThan(until ?? 0);
});

test('a fleet of two processes asks as seldom as the configuration says', async () => {
  const { small } = servers;
  await whenLooked(small, 6);
  const { rows } = await waybill.server.database.pool.query(`select 1 from waybill.workers where lease_until > now()`);
  expect(rows, 'both processes are alive').toHaveLength(2);
  // `small` and `large` are two providers at this address, each with an interval of its own.
  const gaps = small.looks.map((at, n) => at - (small.looks[n - 2] ?? Number.NEGATIVE_INFINITY));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(950);
});

test('a provider that jobs call is not asked while they do; one whose probe is off, never', async () => {
  const { busy, quiet, silent } = servers;
  await run('busy/m');
  await eventually(
    () => healthOf('busy'),
    (health) => (health?.calls.length ?? 0) > 0,
  );
  const before = { busy: busy.looks.length, quiet: quiet.looks.length };
  while (quiet.looks.length < before.quiet + 3) expect((await run('busy/m')).status).toBe('succeeded');
  expect(busy.looks.length).toBe(before.busy);
  await whenLooked(busy, 1);
  expect([silent.looks, silent.calls]).toEqual([[], 0]);
  expect((await run('silent/m')).status).toBe('succeeded');
});

test('of two addresses the ill one is left alone, and called again when it is back', async () => {
  const { left, right } = servers;
  const runMany = async (count: number) => {
    const { data } = await waybill.client.submitMany(
      Array.from({ length: count }, () => ({ model: 'pair', prompt: 'x' })),
    );
    return Promise.all(data.map(({ id }) => whenFinal(waybill.client, id)));
  };
  await runMany(4);
  expect([left.calls, right.calls].map((calls) => calls > 0)).toEqual([true, true]);

  right.isDown = true;
  await eventually(
    async () => {
      await runMany(2);
      return typesOf('pair');
    },
    (types) => types.includes('provider.unhealthy'),
  );
  expect((await healthOf('pair', 2))?.calls.filter((latency) => latency < 0).length).toBeGreaterThanOrEqual(2);
  const pauses = await waybill.server.database.pool.query(
    `select kind from coordination.pauses where scope = 'endpoint:pair/2' and until > now()`,
  );
  expect(pauses.rows).toEqual([{ kind: 'unhealthy' }]);
  const calls = right.calls;
  const alone = await runMany(6);
  expect(alone.map(story)).toEqual(Array(6).fill(['pair/m ok']));
  expect(right.calls).toBe(calls);

  right.isDown = false;
  await whenTold('pair', 'provider.recovered');
  await eventually(
    async () => {
      await runMany(4);
      return right.calls;
    },
    (count) => count > calls,
  );
  expect((await eventsOf('pair')).map(({ type, data }) => `${type} ${data.endpoint}`)).toEqual([
    'provider.unhealthy 2',
    'provider.recovered 2',
  ]);
});

test('a request that is longer than a server says it takes does not go there; a configured window wins', async () => {
  const long = 'word '.repeat(4_000);
  const elsewhere = await eventually(
    () => run('small', long),
    (job) => job.target === 'other/m',
    60_000,
  );
  expect(story(elsewhere)).toEqual(['other/m ok']);
  await expect(submit('small/m', long)).rejects.toThrow(/do not fit into 1000/);
  expect((await run('small')).target).toBe('small/m');
  expect((await run('large', long)).target).toBe('large/m');
});
