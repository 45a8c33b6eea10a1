/** The parts of Waybill as processes of their own, on PostgreSQL with Redis and on PostgreSQL alone. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '@waybill/producer/client/client.ts';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PostgresServer, startPostgresServer } from '../support/postgres-server.ts';
import { querySql } from '../support/postgres-server-databases.ts';
import { startRedisServer } from '../support/redis-server.ts';
import { refuse, type ScriptedProvider, say, startScriptedProvider } from '../support/scripted-provider.ts';
import { eventually, whenFinal } from '../support/waybill.ts';
import { type PartProcess, startPart } from '../support/waybill-process.ts';

const adminKey = 'canary-admin-key-0123456789';
const masterKey = Buffer.from('canary-master-key-of-32-bytes-ok').toString('base64');
const redisPassword = 'canary-redis-password';
const basic = `Basic ${Buffer.from(`anyone:${adminKey}`).toString('base64')}`;

let postgres: PostgresServer;
let provider: ScriptedProvider;
let directory: string;
/** Calls whose prompt is here are answered when the test says so, each in its turn. */
const gates = new Map<string, PromiseWithResolvers<void>>();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waybill-servers-'));
  postgres = await startPostgresServer();
  provider = await startScriptedProvider(async (request) => {
    if (request.path.startsWith('/failing')) return refuse(500);
    if (request.prompt.startsWith('hang')) return { kind: 'hang' };
    // Held by the first worker for ever, answered to the second.
    if (request.prompt.startsWith('held once') && callsOf(request.prompt).length === 1) return { kind: 'hang' };
    await gates.get(request.prompt)?.promise;
    return say(`answer to ${request.prompt}`);
  });
  const at = (name: string) => ({
    preset: 'openai-compatible',
    base_url: `${provider.url}/${name}/v1`,
    api_key: 'canary-provider',
  });
  const names = ['first', 'failing', 'second', 'drained', 'aborted'];
  const config = {
    providers: Object.fromEntries(names.map((name) => [name, at(name)])),
    chains: { default: { targets: ['failing/m', 'second/m'], mode: 'immediate' } },
  };
  await writeFile(join(directory, 'waybill.yaml'), JSON.stringify(config));
});

afterAll(async () => {
  await provider?.stop();
  await postgres?.stop();
  await rm(directory, { recursive: true, force: true });
});

const callsOf = (prompt: string) => provider.requests.filter((request) => request.prompt === prompt);
const called = (prompt: string, count = 1) =>
  eventually(
    () => callsOf(prompt).length,
    (calls) => calls >= count,
  );

/** The parts, with a worker for `first` and `failing` and another one for `second`. */
interface Fleet {
  readonly environment: NodeJS.ProcessEnv;
  readonly databaseUrl: string;
  readonly api: PartProcess;
  readonly one: PartProcess;
  readonly other: PartProcess;
  readonly dashboards: PartProcess;
  readonly client: Client;
  readonly worker: (...args: string[]) => Promise<PartProcess>;
  readonly processes: readonly PartProcess[];
  stop(): Promise<readonly (number | null)[]>;
}

async function startFleet(redisUrl: string | null): Promise<Fleet> {
  const database = new URL(await postgres.createDatabase());
  if (database.password === '') database.password = 'canary-postgres-password';
  const environment = {
    DATABASE_URL: database.href,
    ...(redisUrl === null ? {} : { REDIS_URL: redisUrl }),
    WAYBILL_MASTER_KEY: masterKey,
    WAYBILL_CONFIG: join(directory, 'waybill.yaml'),
    LOG_LEVEL: 'debug',
  };
  const withKey = { ...environment, WAYBILL_ADMIN_KEY: adminKey };
  const processes: PartProcess[] = [];
  const part = async (args: readonly string[], env: NodeJS.ProcessEnv) => {
    const started = await startPart(args, env);
    processes.push(started);
    return started;
  };
  // Together: of all that start on an empty database, one migrates it.
  const [api, one, other, dashboards] = await Promise.all([
    part(['api'], withKey),
    part(['worker', '--providers', 'first,failing'], environment),
    part(['worker', '--providers', 'second'], environment),
    part(['dashboards'], withKey),
  ]);
  return {
    ...{ environment, databaseUrl: database.href, api, one, other, dashboards, processes },
    client: createClient({ url: api.url, apiKey: adminKey }),
    worker: (...args) => part(['worker', ...args], environment),
    stop: () => Promise.all(processes.map((process) => process.stop())),
  };
}

interface Wire {
  readonly packets: string[];
  stop(): Promise<void>;
}

/** Listens in on what the processes tell each other. */
async function listenOnPostgres({ databaseUrl }: Fleet): Promise<Wire> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const packets: string[] = [];
  client.on('notification', ({ payload }) => packets.push(payload ?? ''));
  await client.query('listen waybill_signals');
  return { packets, stop: () => client.end() };
}

async function listenOnRedis(url: string): Promise<Wire> {
  const client = new Redis(url);
  const packets: string[] = [];
  client.on('pmessage', (_pattern: string, _channel: string, packet: string) => packets.push(packet));
  await client.psubscribe('waybill:*:signals');
  return { packets, stop: async () => client.disconnect() };
}

/** A Redis of our own, with a password. */
async function startSecretRedis(): Promise<{ url: string; stop(): Promise<void> }> {
  // Asking for a setting leaves a server of somebody else's alone.
  const server = await startRedisServer({ appendfsync: 'everysec' });
  const client = new Redis(server.url);
  await client.config('SET', 'requirepass', redisPassword);
  client.disconnect();
  return { url: server.url.replace('redis://', `redis://:${redisPassword}@`), stop: () => server.stop() };
}

describe.each(['PostgreSQL and Redis', 'PostgreSQL alone'] as const)('on %s', (stores) => {
  let fleet: Fleet;
  let redis: { url: string; stop(): Promise<void> } | null = null;
  /** Prompts of this store only. */
  const named = (prompt: string) => `${prompt} on ${stores}`;

  beforeAll(async () => {
    redis = stores === 'PostgreSQL alone' ? null : await startSecretRedis();
    fleet = await startFleet(redis?.url ?? null);
  }, 120_000);
  afterAll(async () => {
    // In this order, so that a drain has something to say goodbye to.
    await fleet?.stop();
    await redis?.stop();
  });

  test('a job falls back between providers that different processes serve', async () => {
    const job = await fleet.client.submit({ model: 'default', prompt: named('fall back') });
    const final = await whenFinal(fleet.client, job.id);
    expect(final).toMatchObject({
      status: 'succeeded',
      target: 'second/m',
      output_text: `answer to ${named('fall back')}`,
    });
    expect(final.attempts.map(({ target, status }) => [target, status])).toEqual([
      ['failing/m', 'failed'],
      ['second/m', 'succeeded'],
    ]);
    const workers = await querySql(
      fleet.databaseUrl,
      `select worker_id from waybill.attempts where job_id = '${job.id}'`,
    );
    expect(new Set(workers.flat()).size).toBe(2);
  });

  test('each says what it serves, and on what, without secrets', () => {
    expect(fleet.api.ready).toMatchObject({ role: 'api', dashboard_url: null });
    expect(fleet.one.ready).toMatchObject({ role: 'worker', providers: ['first', 'failing'] });
    expect(fleet.other.ready).toMatchObject({ role: 'worker', providers: ['second'] });
    expect(fleet.dashboards.ready.dashboard_url).toBe(`${fleet.dashboards.url}/admin/queues`);
    expect(fleet.api.ready.stores.includes('redis://')).toBe(redis !== null);
  });

  test('who waits for a job is told of its end by the process that ran it', async () => {
    const prompt = named('waited for');
    const gate = Promise.withResolvers<void>();
    gates.set(prompt, gate);
    const wire = await (redis === null ? listenOnPostgres(fleet) : listenOnRedis(redis.url));
    const { id } = await fleet.client.submit({ model: 'first/m', prompt });
    await called(prompt);
    const waiting = fleet.client.get(id, { wait: '60s' });
    gate.resolve();
    expect(await waiting).toMatchObject({ status: 'succeeded' });
    await eventually(
      () => wire.packets,
      (packets) => packets.some((packet) => packet.includes('"final"') && packet.includes(id)),
    );
    await wire.stop();
  });

  test('cancelling a running job closes its call in the process that makes it', async () => {
    const prompt = named('hang until cancelled');
    const { id } = await fleet.client.submit({ model: 'first/m', prompt });
    await called(prompt);
    expect((await fleet.client.cancel(id)).status).toBe('cancelled');
    await eventually(
      () => callsOf(prompt)[0]?.isClosedEarly,
      (isClosed) => isClosed === true,
    );
    await eventually(
      () => fleet.client.get(id),
      (job) => job.attempts[0]?.status === 'aborted',
    );
    expect(callsOf(prompt)).toHaveLength(1);
  });

  test('SIGTERM lets a running call end, takes nothing new, and the process ends with 0', async () => {
    const prompt = named('drained');
    const gate = Promise.withResolvers<void>();
    gates.set(prompt, gate);
    const worker = await fleet.worker('--providers', 'drained', '--drain', '50s');
    const { id } = await fleet.client.submit({ model: 'drained/m', prompt });
    await called(prompt);
    worker.signal();
    await eventually(
      () =>
        fetch(`${worker.url}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        ),
      (isReady) => !isReady,
    );
    const late = await fleet.client.submit({ model: 'drained/m', prompt: named('too late') });
    gate.resolve();
    expect(await worker.ended).toBe(0);
    const job = await fleet.client.get(id);
    expect(job).toMatchObject({ status: 'succeeded', attempts: [{ status: 'succeeded' }] });
    expect((await fleet.client.get(late.id)).status).toBe('queued');
    const next = await fleet.worker('--providers', 'drained');
    expect((await whenFinal(fleet.client, late.id)).attempts).toHaveLength(1);
    expect(await next.stop()).toBe(0);
  });

  test('a call that outlives the drain is aborted, and another process takes its job', async () => {
    const prompt = named('held once');
    const worker = await fleet.worker('--providers', 'aborted', '--drain', '100ms');
    const { id } = await fleet.client.submit({ model: 'aborted/m', prompt });
    await called(prompt);
    const other = await fleet.worker('--providers', 'aborted');
    expect(await worker.stop()).toBe(0);
    expect(callsOf(prompt)[0]?.isClosedEarly).toBe(true);
    const job = await whenFinal(fleet.client, id);
    expect(job.status).toBe('succeeded');
    expect(job.attempts.map(({ target, status }) => [target, status])).toEqual([
      ['aborted/m', 'aborted'],
      ['aborted/m', 'succeeded'],
    ]);
    expect(await other.stop()).toBe(0);
  });

  test.for(['api', 'one', 'other', 'dashboards'] as const)('%s is healthy and ready', async (name) => {
    for (const [path, status] of [
      ['/healthz', 'ok'],
      ['/readyz', 'ready'],
    ] as const) {
      const response = await fetch(`${fleet[name].url}${path}`);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ status });
    }
  });

  test('the dashboards show the queues to whoever has the admin key; the API has none', async () => {
    const board = `${fleet.dashboards.url}/admin/queues`;
    expect((await fetch(board)).status).toBe(401);
    const wrong = `Basic ${Buffer.from('anyone:canary-wrong').toString('base64')}`;
    expect((await fetch(`${board}/api/queues`, { headers: { authorization: wrong } })).status).toBe(401);
    const answer = await fetch(`${board}/api/queues`, { headers: { authorization: basic } });
    expect(answer.status).toBe(200);
    const { queues } = (await answer.json()) as { queues: { name: string }[] };
    expect(queues.map(({ name }) => name)).toEqual(expect.arrayContaining(['first', 'second', 'waybill-webhooks']));
    expect((await fetch(`${fleet.api.url}/admin/queues`, { headers: { authorization: basic } })).status).toBe(404);
    const submitted = await fetch(`${fleet.dashboards.url}/v1/jobs`, {
      method: 'POST',
      headers: { authorization: basic },
    });
    expect(submitted.status).toBe(404);
  });

  test('no process ever writes a secret', async () => {
    const { id } = await fleet.client.submit({ model: 'default', prompt: named('canary-prompt') });
    await whenFinal(fleet.client, id);
    const output = fleet.processes.map((process) => process.output()).join('\n');
    expect(output).toContain('"role":"api"');
    expect(output).not.toContain('canary');
    expect(output).not.toContain(masterKey);
  });
});
