/** What a part of Waybill says when it cannot start: on one line, with what to change, and never a secret. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PostgresServer, startPostgresServer } from '../support/postgres-server.ts';
import { querySql } from '../support/postgres-server-databases.ts';
import { startRedisServer } from '../support/redis-server.ts';
import { runCli } from '../support/waybill-process.ts';

const keyOf = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const keys = { WAYBILL_MASTER_KEY: keyOf(7), WAYBILL_ADMIN_KEY: 'canary-admin-key-0123456789' };

let postgres: PostgresServer;
/** A port on which nothing listens. */
let deadPort: number;

beforeAll(async () => {
  postgres = await startPostgresServer();
  const server = createServer();
  deadPort = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );
  await new Promise((resolve) => server.close(resolve));
});
afterAll(() => postgres?.stop());

async function databaseUrl(): Promise<string> {
  const url = new URL(await postgres.createDatabase());
  if (url.password === '') url.password = 'canary-postgres-password';
  return url.href;
}

/** Runs it to its end, for a program and for a person; both are told the same. */
async function refused(args: readonly string[], environment: NodeJS.ProcessEnv) {
  const env: NodeJS.ProcessEnv = {
    WAYBILL_PORT: '0',
    OPENAI_API_KEY: 'canary-provider',
    GROQ_API_KEY: 'canary-provider',
    ...environment,
  };
  const result = await runCli([...args, '--json'], { environment: env });
  const output = result.stdout + result.stderr;
  expect(output, 'no secret').not.toMatch(/canary/);
  expect(output, 'no secret').not.toContain(env.WAYBILL_MASTER_KEY ?? keyOf(7));
  const { error } = JSON.parse(result.stdout) as { error: { code: string; message: string; param: string | null } };
  return { exit: result.code, code: error.code, message: error.message };
}

test.for(['api', 'worker', 'dashboards'])('%s without DATABASE_URL says what to do instead', async (role) => {
  expect(await refused([role], keys)).toEqual({
    exit: 78,
    code: 'invalid_config',
    message: expect.stringMatching(/Set DATABASE_URL, or run "waybill up"/),
  });
});

test('migrating without DATABASE_URL is refused', async () => {
  expect(await refused(['migrate'], {})).toMatchObject({ exit: 78, message: expect.stringContaining('DATABASE_URL') });
});

test.for(['up', 'worker'])('%s with Redis alone is refused: the jobs need a database', async (role) => {
  expect(await refused([role], { ...keys, REDIS_URL: 'redis://:canary-redis@127.0.0.1:1/0' })).toEqual({
    exit: 78,
    code: 'invalid_config',
    message: expect.stringMatching(/REDIS_URL: needs DATABASE_URL/),
  });
});

test.for(['up', 'worker'])('%s without the master key says how to make one', async (role) => {
  const environment = { DATABASE_URL: await databaseUrl(), WAYBILL_ADMIN_KEY: keys.WAYBILL_ADMIN_KEY };
  expect(await refused([role], environment)).toEqual({
    exit: 78,
    code: 'invalid_config',
    message: expect.stringMatching(/WAYBILL_MASTER_KEY is not set.*openssl rand -base64 32/),
  });
});

test.for(['api', 'dashboards'])('%s without the admin key says how to make one', async (role) => {
  const environment = { DATABASE_URL: await databaseUrl(), WAYBILL_MASTER_KEY: keys.WAYBILL_MASTER_KEY };
  expect(await refused([role], environment)).toEqual({
    exit: 78,
    code: 'invalid_config',
    message: expect.stringMatching(/WAYBILL_ADMIN_KEY is not set/),
  });
});

test('a second process with another master key is refused, the first one with the right key is not', async () => {
  const environment = { ...keys, DATABASE_URL: await databaseUrl() };
  // It needs the port after the database: with a taken one it comes as far as the key, and ends.
  const holder = createServer();
  const port = await new Promise<number>((resolve) =>
    holder.listen(0, '127.0.0.1', () => resolve((holder.address() as { port: number }).port)),
  );
  const first = { ...environment, WAYBILL_PORT: String(port) };
  expect(await refused(['api'], first)).toMatchObject({ code: 'port_in_use' });
  expect(await refused(['worker'], { ...environment, WAYBILL_MASTER_KEY: keyOf(8) })).toEqual({
    exit: 78,
    code: 'master_key_mismatch',
    message: expect.stringMatching(/Set WAYBILL_MASTER_KEY to the one of the first start/),
  });
  expect(await refused(['api'], first)).toMatchObject({ code: 'port_in_use' });
  await new Promise((resolve) => holder.close(resolve));
});

test.for([
  ['openia', /"openia".*configured are .*openai.*mean "openai"/],
  ['openai,nobody', /"nobody"/],
  [',', /no provider/],
] as const)('--providers %s is refused, and the right names are told', async ([providers, message]) => {
  expect(await refused(['worker', '--providers', providers], { ...keys, DATABASE_URL: await databaseUrl() })).toEqual({
    exit: 2,
    code: 'invalid_usage',
    message: expect.stringMatching(message),
  });
});

test.for(['soon', '-1s', '2h'])('--drain %s is refused', async (drain) => {
  expect(await refused(['worker', `--drain=${drain}`], keys)).toMatchObject({ exit: 2, code: 'invalid_usage' });
});

test.for(['worker', 'migrate'])('%s names a database that does not answer', async (role) => {
  const url = `postgres://waybill:canary-password@127.0.0.1:${deadPort}/jobs`;
  expect(await refused([role], { ...keys, DATABASE_URL: url })).toEqual({
    exit: 69,
    code: 'database_unavailable',
    message: expect.stringContaining(`postgres://127.0.0.1:${deadPort}/jobs`),
  });
});

test('a database that is not there is named', async () => {
  const url = new URL(await databaseUrl());
  url.pathname = '/no_such_database';
  expect(await refused(['worker'], { ...keys, DATABASE_URL: url.href })).toEqual({
    exit: 69,
    code: 'database_unavailable',
    message: expect.stringMatching(/no_such_database" does not exist/),
  });
});

// The first one waits for the ten seconds that a start takes to give up: the others beside it.
test.concurrent('a Redis that does not answer is named', async () => {
  const environment = {
    ...keys,
    DATABASE_URL: await databaseUrl(),
    REDIS_URL: `redis://:canary-password@127.0.0.1:${deadPort}/0`,
  };
  expect(await refused(['worker'], environment)).toEqual({
    exit: 69,
    code: 'redis_unavailable',
    message: expect.stringMatching(new RegExp(`redis://127\\.0\\.0\\.1:${deadPort}: .*ECONNREFUSED`)),
  });
});

test.concurrent('a Redis that may drop keys is refused, and says what to set', async () => {
  const redis = await startRedisServer({ maxmemoryPolicy: 'allkeys-lru' });
  try {
    const environment = { ...keys, DATABASE_URL: await databaseUrl(), REDIS_URL: redis.url };
    expect(await refused(['worker'], environment)).toEqual({
      exit: 78,
      code: 'redis_unsafe',
      message: expect.stringMatching(/"allkeys-lru".*"noeviction"/),
    });
  } finally {
    await redis.stop();
  }
});

test.concurrent('a schema of a newer version is left alone', async () => {
  const environment = { ...keys, DATABASE_URL: await databaseUrl() };
  const migrated = await runCli(['migrate', '--json'], { environment });
  expect(migrated).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(migrated.stdout)).toMatchObject({ status: 'up to date' });
  expect(migrated.stdout).not.toContain('canary');
  await querySql(
    environment.DATABASE_URL,
    `insert into waybill.kysely_migration values ('9999-of-later', now()::text)`,
  );
  for (const command of ['worker', 'migrate'])
    expect(await refused([command], environment)).toEqual({
      exit: 78,
      code: 'schema_newer',
      message: expect.stringContaining('9999-of-later'),
    });
});
