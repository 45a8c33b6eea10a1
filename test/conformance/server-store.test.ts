/** The PostgreSQL server as a store: its one LISTEN connection, its bounds, and the checks of a start. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { createPostgresQueueBackend } from '@waybill/shared/queue/postgres-queue.ts';
import { checkClock, clockSkewMs } from '@waybill/shared/store/clock.ts';
import { type Database, openDatabase } from '@waybill/shared/store/database.ts';
import { describeDatabase } from '@waybill/shared/store/describe-database.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { checkServer, openServerStore } from '@waybill/shared/store/server.ts';
import { checkMasterKey, installationId } from '@waybill/shared/store/server-facts.ts';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ControllablePostgresServer, startPostgresServer } from '../support/postgres-server.ts';
import { querySql } from '../support/postgres-server-databases.ts';
import { createQueueRecorder, done, itemOf, whenPicked } from '../support/queue-recorder.ts';
import { findFreePort } from '../support/server-port.ts';
import { eventually } from '../support/waybill.ts';

let server: ControllablePostgresServer;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startPostgresServer({ controllable: true });
  console.info(`The store under test: ${server.source}`);
}, 120_000);
afterAll(() => server.stop());
afterEach(async () => {
  server.control.thaw();
  for (const close of closing.splice(0).reverse()) await close();
});

/** A migrated database of its own. */
async function newDatabase(): Promise<string> {
  const url = await server.createDatabase();
  await migrate(open(url));
  return url;
}

function open(url: string, options: { maxConnections?: number; statementTimeoutMs?: number } = {}): Database {
  const database = openDatabase(openServerStore({ url, maxConnections: 12, ...options }));
  closing.push(() => database.close());
  return database;
}

/** Sessions of this database that listen; a listening session's last statement is a LISTEN, and it does nothing else. */
const listeners = async (url: string): Promise<number[]> => {
  const rows = await querySql(
    url,
    `select pid from pg_stat_activity where datname = current_database() and query ilike 'listen%'`,
  );
  return rows.map(([pid]) => Number(pid));
};

describe('the LISTEN connection', () => {
  /** Six workers on three queues, each of which takes one entry at a time. */
  async function startWorkers(url: string) {
    const database = open(url);
    const backend = createPostgresQueueBackend(database, () => undefined);
    closing.push(() => backend.close());
    const queues = ['openai', 'anthropic', 'gemini'].map((name) => backend.queue(name));
    const recorder = createQueueRecorder();
    closing.push(recorder.stop);
    let running = 0;
    let isOpen = true;
    let release = Promise.withResolvers<void>();
    for (const queue of [...queues, ...queues])
      recorder.start(
        queue,
        async () => {
          running += 1;
          await (isOpen ? undefined : release.promise);
          running -= 1;
          return done;
        },
        1,
      );
    const addToAll = (name: string) =>
      Promise.all(
        queues.map((queue) => queue.add([itemOf(`${queue.name}-${name}-1`), itemOf(`${queue.name}-${name}-2`)])),
      );
    const whenAllRan = (name: string) =>
      Promise.all(queues.map((queue) => whenPicked(recorder.picked, `${queue.name}-${name}-2`)));
    return {
      database,
      addToAll,
      whenAllRan,
      running: () => running,
      hold: () => {
        isOpen = false;
        release = Promise.withResolvers();
      },
      release: () => release.resolve(),
    };
  }

  it('is one for six workers on three queues and our own channels', async () => {
    const url = await newDatabase();
    const { database, addToAll, whenAllRan } = await startWorkers(url);
    const stop = await database.listen('ours', () => undefined);
    await addToAll('first');
    await whenAllRan('first');
    await eventually(
      () => listeners(url),
      ({ length }) => length === 1,
    );
    await addToAll('second');
    await whenAllRan('second');
    expect(await listeners(url)).toHaveLength(1);
    await stop();
  });

  it('wakes every worker that waits', async () => {
    const { addToAll, whenAllRan, running, hold, release } = await startWorkers(await newDatabase());
    await addToAll('first');
    await whenAllRan('first');
    await eventually(running, (count) => count === 0);
    hold();
    await addToAll('second');
    // Each takes one at a time: six at once are six workers.
    await eventually(running, (count) => count === 6);
    release();
    await whenAllRan('second');
  });

  it('is made again when it was cut, and idle workers go on', async () => {
    const url = await newDatabase();
    const { database, addToAll, whenAllRan } = await startWorkers(url);
    const heard: string[] = [];
    await database.listen('ours', (payload) => void heard.push(payload));
    await addToAll('first');
    await whenAllRan('first');
    for (const round of ['second', 'third']) {
      const [pid] = await eventually(
        () => listeners(url),
        ({ length }) => length === 1,
      );
      await querySql(url, `select pg_terminate_backend(${pid})`);
      await addToAll(round);
      await whenAllRan(round);
      await eventually(
        () => listeners(url),
        (pids) => pids.length === 1 && pids[0] !== pid,
      );
    }
    await eventually(
      () => database.pool.query(`select pg_notify('ours', 'still here')`).then(() => heard),
      (payloads) => payloads.includes('still here'),
    );
  });
});

describe('a server that is killed and starts again', () => {
  it('costs a process the statements under way, and nothing else', async () => {
    // A process of its own: an error that nobody listens for would end it.
    const child = spawn(process.execPath, ['--input-type=module', '-e', workerProcess, await newDatabase()], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const ended = once(child, 'close');
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
    const whenSaid = (words: string) =>
      eventually(
        () => ({ output, code: child.exitCode }),
        (seen) => seen.output.includes(words) || seen.code !== null,
      );
    await whenSaid('busy');
    await server.control.kill();
    await whenSaid('the statement failed');
    await server.control.start();
    child.stdin.end();
    await ended;
    expect({ code: child.exitCode, output }).toEqual({ code: 0, output: 'busy\nthe statement failed\nran again\n' });
  });
});

describe('a server that does not answer', () => {
  it('fails statements and transactions in a bounded time, and serves them when it is back', async () => {
    const database = open(await newDatabase(), { maxConnections: 3, statementTimeoutMs: 300 });
    const warm = () => Promise.all(Array.from({ length: 3 }, () => database.pool.query('select pg_sleep(0.05)')));
    await warm();
    server.control.freeze();
    const started = [
      ...Array.from({ length: 9 }, () => database.pool.query('select 1')),
      database.transaction((trx) => sql`select 1`.execute(trx)),
    ];
    const ended: string[] = [];
    for (const work of started)
      void work.then(
        () => ended.push('answered'),
        () => ended.push('failed'),
      );
    await eventually(
      () => ended,
      ({ length }) => length === started.length,
      30_000,
    );
    expect(ended).toEqual(Array(started.length).fill('failed'));
    server.control.thaw();
    await eventually(
      () =>
        warm().then(
          () => 'answered',
          (error: Error) => error.message,
        ),
      (outcome) => outcome === 'answered',
    );
    // No answer of a lost statement reaches a later one.
    const numbers = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => (await database.pool.query('select $1::int as n', [n])).rows[0]?.n),
    );
    expect(numbers).toEqual(Array.from({ length: 12 }, (_, n) => n));
  });

  it('ends a statement that takes too long, and the session is used again', async () => {
    const database = open(await newDatabase(), { maxConnections: 1, statementTimeoutMs: 200 });
    await expect(database.pool.query('select pg_sleep(60)')).rejects.toMatchObject({ code: '57014' });
    await expect(database.transaction((trx) => sql`select pg_sleep(60)`.execute(trx))).rejects.toThrow(
      /statement timeout/,
    );
    expect((await database.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('is named at the start, without its password', async () => {
    const url = `postgres://someone:secret@127.0.0.1:${await findFreePort()}/waybill`;
    const error = await checkServer(open(url).pool, url).catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      code: 'database_unavailable',
      message: expect.stringContaining(describeDatabase(url)),
    });
    expect(String(error)).not.toContain('secret');
    await expect(checkServer(open(server.url).pool, server.url)).resolves.toBeUndefined();
  });
});

describe('the checks of a start', () => {
  it('migrate once when four processes start at the same instant', async () => {
    const url = await server.createDatabase();
    const code = `
      import { migrateServer } from ${JSON.stringify(new URL('../../cli/src/open-stores.ts', import.meta.url).href)};
      await migrateServer(${JSON.stringify(url)});`;
    const start = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], { timeout: 50_000 });
    const outcomes = await Promise.allSettled([start(), start(), start(), start()]);
    expect(outcomes.map(({ status }) => status)).toEqual(Array(4).fill('fulfilled'));
    const rows = await querySql(
      url,
      'select name, count(*)::int from waybill.kysely_migration group by name order by 1',
    );
    expect(rows.length).toBeGreaterThanOrEqual(4);
    expect(rows.every(([, count]) => count === 1)).toBe(true);
  });

  it('refuse a database that a newer version has migrated, and leave it as it is', async () => {
    const url = await newDatabase();
    const database = open(url);
    await querySql(url, `insert into waybill.kysely_migration (name, timestamp) values ('9999-of-tomorrow', 'then')`);
    await expect(migrate(database)).rejects.toMatchObject({
      code: 'schema_newer',
      message: expect.stringContaining('9999-of-tomorrow'),
    });
    // The lock is free again, and nothing else has changed.
    await querySql(url, `delete from waybill.kysely_migration where name = '9999-of-tomorrow'`);
    await migrate(database);
  });

  it.each([
    [5_000, 'ahead of'],
    [-5_000, 'behind'],
    [86_400_000, 'ahead of'],
  ])('refuse a clock that is off by %i ms', async (offMs, words) => {
    const { pool } = open(server.url);
    await expect(checkClock(pool, () => Date.now() + offMs)).rejects.toMatchObject({
      code: 'clock_skew',
      message: expect.stringContaining(words),
    });
  });

  it.each([0, 1_500, -1_500])('take a clock that is off by %i ms', async (offMs) => {
    const { pool } = open(server.url);
    await checkClock(pool, () => Date.now() + offMs);
    expect(Math.abs((await clockSkewMs(pool, () => Date.now() + offMs)) - offMs)).toBeLessThan(500);
  });

  it('refuse another master key than that of the first start', async () => {
    const database = open(await newDatabase());
    const key = randomBytes(32);
    await Promise.all([checkMasterKey(database, key), checkMasterKey(database, key)]);
    await checkMasterKey(database, Buffer.from(key));
    await expect(checkMasterKey(database, randomBytes(32))).rejects.toMatchObject({ code: 'master_key_mismatch' });
    await checkMasterKey(database, key);
    const facts = await database.pool.query('select value from waybill.server_facts');
    expect(JSON.stringify(facts.rows)).not.toContain(key.toString('hex'));
  });

  it('give an installation one name, whichever process asks first', async () => {
    const [url, otherUrl] = [await newDatabase(), await newDatabase()];
    const names = await Promise.all(Array.from({ length: 6 }, () => installationId(open(url, { maxConnections: 1 }))));
    expect(new Set(names).size).toBe(1);
    expect(await installationId(open(otherUrl))).not.toBe(names[0]);
  });
});

const source = (path: string) => JSON.stringify(new URL(`../../shared/src/${path}`, import.meta.url).href);
/** Works on a queue, is busy with a statement, and when its input ends adds an entry until the server takes it. */
const workerProcess = `
  import { once } from 'node:events';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { createPostgresQueueBackend } from ${source('queue/postgres-queue.ts')};
  import { openDatabase } from ${source('store/database.ts')};
  import { openServerStore } from ${source('store/server.ts')};
  const database = openDatabase(openServerStore({ url: process.argv[1], maxConnections: 6 }));
  const backend = createPostgresQueueBackend(database, () => undefined);
  const queue = backend.queue('openai');
  let ran = 0;
  const worker = queue.startWorker(async () => {
    ran += 1;
    return { kind: 'done', note: '' };
  }, 2);
  let added = 0;
  const add = () => queue.add([{ id: 'entry-' + (added += 1), data: {}, delayMs: 0, priority: 1 }]);
  await add();
  while (ran === 0) await sleep(20);
  database.pool.query('select pg_sleep(60)').catch(() => console.log('the statement failed'));
  await database.pool.query('select 1');
  console.log('busy');
  await once(process.stdin.resume(), 'end');
  for (const before = ran; ran === before; await sleep(50)) await add().catch(() => undefined);
  console.log('ran again');
  await worker.close(true);
  await backend.close();
  await database.close();
`;
