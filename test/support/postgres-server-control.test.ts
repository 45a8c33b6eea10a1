/** What a test may do to a PostgreSQL server of its own: kill it with its children, freeze it, start it again. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ControllablePostgresServer, startPostgresServer } from './postgres-server.ts';
import { querySql } from './postgres-server-databases.ts';
import { isRunning } from './process-tree.ts';

const servers: ControllablePostgresServer[] = [];
const clients: Client[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const client of clients.splice(0)) client.end().catch(() => undefined);
  for (const server of servers.splice(0)) await server.stop();
});

describe('a server that a test may hurt', { timeout: 120_000 }, () => {
  it('has its rows after kill -9 and a start, under the same URL', async () => {
    const server = await start({ fsync: 'on', max_connections: '30' });
    const url = await server.createDatabase();
    await querySql(url, 'create table kept (id int); insert into kept values (1)');
    const busy = await connect(url);
    const unanswered = busy.query('select pg_sleep(600)').catch(String);
    const processes = [postmasterOf(server), ...(await processesOf(url))];
    await server.control.kill();
    expect(await unanswered).toMatch(/Connection terminated|ECONNRESET/);
    expect(processes.filter(isRunning)).toEqual([]);
    await expect(querySql(url, 'select 1')).rejects.toThrow(/ECONNREFUSED/);
    await server.control.kill();
    await server.control.start();
    expect(await querySql(url, 'select id from kept')).toEqual([[1]]);
    expect(await querySql(url, 'show fsync')).toEqual([['on']]);
    expect(await querySql(url, 'show max_connections')).toEqual([['30']]);
    await expect(async () => server.control.start()).rejects.toThrow(/runs already/);
  });

  it('answers nothing while it is frozen, and goes on in the same session when it is thawed', async () => {
    const server = await start();
    const patient = await connect(server.url);
    const impatient = await connect(server.url, 100);
    await patient.query('create temporary table own as select 7 as id');
    server.control.freeze();
    const answer = patient.query('select id from own');
    await expect(impatient.query('select 1')).rejects.toThrow(/timeout/);
    server.control.thaw();
    expect((await answer).rows).toEqual([{ id: 7 }]);
    expect(await querySql(server.url, 'select 1')).toEqual([[1]]);
  });

  it('starts again when its children outlive it for a while', async () => {
    const server = await start();
    const url = await server.createDatabase();
    const busy = await connect(url);
    // It looks neither at its client nor at its parent while it counts.
    const unanswered = busy.query('select count(*) from generate_series(1, 20000000)').catch(String);
    const running = "select 1 from pg_stat_activity where query like 'select count%' and state = 'active'";
    await expect.poll(() => querySql(url, running)).toEqual([[1]]);
    const postmaster = postmasterOf(server);
    process.kill(postmaster, 'SIGKILL');
    await expect.poll(() => isRunning(postmaster)).toBe(false);
    await server.control.start();
    expect(await querySql(url, 'select 1')).toEqual([[1]]);
    await unanswered;
  });

  it.each(['frozen', 'killed'])('leaves nothing when it is stopped while %s', async (state) => {
    const server = await start();
    const processes = [postmasterOf(server), ...(await processesOf(server.url))];
    const memory = sharedMemoryOf(server);
    expect(listSharedMemory()).toContain(memory);
    if (state === 'frozen') server.control.freeze();
    else await server.control.kill();
    await server.stop();
    expect(processes.filter(isRunning)).toEqual([]);
    expect(existsSync(dirname(server.control.directory))).toBe(false);
    expect(listSharedMemory().filter((each) => each === memory && each !== '')).toEqual([]);
  });

  it('is not the one that the environment names', async () => {
    const host = await start();
    vi.stubEnv('WAYBILL_TEST_DATABASE_URL', host.url);
    expect((await start()).url).not.toBe(host.url);
    const { control, url } = await startPostgresServer();
    expect({ control, url }).toEqual({ control: null, url: host.url });
  });
});

async function start(settings?: Record<string, string>): Promise<ControllablePostgresServer> {
  const server = await startPostgresServer({ controllable: true, ...(settings === undefined ? {} : { settings }) });
  servers.push(server);
  return server;
}

async function connect(url: string, queryTimeout?: number): Promise<Client> {
  const client = new Client({ connectionString: url, ...(queryTimeout ? { query_timeout: queryTimeout } : {}) });
  client.on('error', () => undefined);
  clients.push(client);
  await client.connect();
  return client;
}

const lockFile = ({ control }: ControllablePostgresServer) =>
  readFileSync(join(control.directory, 'postmaster.pid'), 'utf8').split('\n');

const postmasterOf = (server: ControllablePostgresServer) => Number(lockFile(server)[0]);

/** Its sessions and its own workers, without the one that asks. */
async function processesOf(url: string): Promise<number[]> {
  const rows = await querySql(url, 'select pid from pg_stat_activity where pid <> pg_backend_pid()');
  return rows.map(([pid]) => Number(pid));
}

/** The number of the System V segment; empty where the system does not list them. */
const sharedMemoryOf = (server: ControllablePostgresServer) =>
  existsSync('/proc/sysvipc/shm') ? (lockFile(server)[6]?.trim().split(/\s+/)[1] ?? '') : '';

function listSharedMemory(): string[] {
  if (!existsSync('/proc/sysvipc/shm')) return [''];
  const lines = readFileSync('/proc/sysvipc/shm', 'utf8').split('\n').slice(1);
  return lines.map((line) => line.trim().split(/\s+/)[1] ?? '');
}
