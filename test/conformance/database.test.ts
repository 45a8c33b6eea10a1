/**
 * What the database wrapper promises, the same on both stores.
 *
 * The embedded store imitates sessions on a single one; every case here once went wrong on some way of doing that.
 */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Database, openDatabase } from '@waybill/shared/store/database.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { openServerStore } from '@waybill/shared/store/server.ts';
import { createPostgresBackend, withBackend } from 'bullmq';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgresServer } from '../support/postgres-server.ts';
import { type StoreUnderTest, storesUnderTest } from '../support/stores.ts';
import { eventually } from '../support/waybill.ts';

const bullmq = withBackend(createPostgresBackend);

describe.each(storesUnderTest)('the database on the $name store', ({ start, isOneSession }) => {
  let store: StoreUnderTest;
  let database: Database;

  beforeAll(async () => {
    store = await start();
    console.info(`The store under test: ${store.source}`);
    database = store.database;
    await migrate(database);
    await database.pool.query('create schema probe; create table probe.rows (id text primary key, body text not null)');
  }, 120_000);
  afterAll(() => store.stop());

  const count = async (id: string): Promise<number> => {
    const { rows } = await database.pool.query('select count(*)::int as n from probe.rows where id like $1', [id]);
    return rows[0]?.n as number;
  };

  it('keeps every row whole, and every transaction apart, when writers with 400 KB parameters interleave', async () => {
    const writers = Array.from({ length: 32 }, (_, n) => `writer-${String(n).padStart(2, '0')}`);
    await Promise.all(writers.map((writer, n) => write(database, writer, ways[n % ways.length] ?? 'statements')));
    const { rows } = await database.pool.query(
      `select id, xmin::text as written_by, length(body) as length, md5(body) as digest from probe.rows where id like 'writer-%' order by id`,
    );
    const kept = writers.filter((_, n) => ways[n % ways.length] !== 'rolled back').flatMap(rowIdsOf);
    expect(rows.map(({ id, length, digest }) => ({ id, length, digest }))).toEqual(
      kept.map((id) => ({ id, length: 400_000, digest: createHash('md5').update(bodyOf(id)).digest('hex') })),
    );
    // `xmin` is the transaction that wrote the row: a transaction's rows share one, and nobody else joins it.
    const together = [...Map.groupBy(rows, (row) => row.written_by).values()].map((group) => group.map(({ id }) => id));
    const expected = writers.flatMap((writer, n) => {
      const ids = rowIdsOf(writer);
      const way = ways[n % ways.length];
      return way === 'rolled back' ? [] : way === 'statements' ? ids.map((id) => [id]) : [ids];
    });
    expect(together).toEqual(expected);
  });

  it('keeps statements of BullMQ and of the pool out of an open transaction', async () => {
    const queue = openQueue('outside', database);
    await queue.waitUntilReady();
    const opened = Promise.withResolvers<void>();
    const ended: string[] = [];
    const seen: unknown[] = [];
    const rollback = database.transaction(async (trx) => {
      await sql`insert into probe.rows values ('ours', 'rolled back')`.execute(trx);
      opened.resolve();
      // Each round trip is a chance for a waiting statement to slip in.
      for (let round = 0; round < 25; round++) {
        seen.push((await sql`select 1 from bullmq.job where name = 'theirs'`.execute(trx)).rows.length);
        await nextTurn();
      }
      seen.push(...ended);
      throw new Error('roll it back');
    });
    await opened.promise;
    const added = queue.add('theirs', { n: 1 }, { jobId: 'theirs' }).then(() => ended.push('the add'));
    const ours = count('ours').finally(() => ended.push('the count'));
    await expect(rollback).rejects.toThrow('roll it back');
    // A server runs them meanwhile; the one session of the embedded store makes them wait.
    if (isOneSession) expect(seen).toEqual(Array(25).fill(0));
    expect(await ours).toBe(0);
    await added;
    expect(await count('ours')).toBe(0);
    expect((await queue.getJob('theirs'))?.data).toEqual({ n: 1 });
    await queue.close();
  });

  describe('inside a transaction', () => {
    const accesses: [string, () => unknown][] = [
      ['pool.query', () => database.pool.query('select 1')],
      ['pool.connect', () => database.pool.connect()],
      ['another transaction', () => database.transaction(async () => undefined)],
      ['a Kysely statement outside of it', () => sql`select 1`.execute(database.kysely)],
      ['a BullMQ statement', () => addInside(database)],
    ];
    it.each(accesses)('%s is refused at once, and the transaction goes on', async (name, access) => {
      await database.transaction(async (trx) => {
        const startedAtMs = performance.now();
        const error: unknown = await Promise.try(access).then(
          () => 'no error',
          (cause: unknown) => cause,
        );
        expect(error).toMatchObject({ code: 'nested_database_access' });
        expect(performance.now() - startedAtMs).toBeLessThan(1_000);
        await sql`insert into probe.rows values (${`nested ${name}`}, 'still open')`.execute(trx);
      });
      expect(await count(`nested ${name}`)).toBe(1);
    });

    it('only the open one counts: a loop first started in it may use the pool when it is over', async () => {
      const over = Promise.withResolvers<void>();
      const started = await database.transaction(async () => ({ loop: over.promise.then(() => count('nobody')) }));
      over.resolve();
      expect(await started.loop).toBe(0);
    });
  });

  it.each(['begin', 'START TRANSACTION', '-- by hand\n begin'])('release() rolls back an open "%s"', async (begin) => {
    const client = await database.pool.connect();
    await client.query(begin);
    await client.query('insert into probe.rows values ($1, $2)', [`released ${begin}`, 'never committed']);
    client.release();
    // Every session is free of it: as many at once as there may be.
    const counts = await Promise.all(Array.from({ length: 16 }, () => count(`released ${begin}`)));
    expect(new Set(counts)).toEqual(new Set([0]));
    expect(await openTransactions(database)).toBe(0);
  });

  it.each(['plain_channel', 'Mixed:Case-channel'])(
    'listen wakes up within a second, on its channel alone, until it is stopped: %s',
    async (channel) => {
      const heard: string[] = [];
      const control: string[] = [];
      const stop = await database.listen(channel, (payload) => heard.push(payload));
      const stopControl = await database.listen('control', (payload) => control.push(payload));
      const notify = (name: string, payload: string) =>
        database.pool.query('select pg_notify($1, $2)', [name, payload]);
      await eventually(
        () => notify(channel, 'first').then(() => heard.length),
        (length) => length > 0,
        1_000,
      );
      await notify('another_channel', 'not for us');
      await database.pool.query(`notify "${channel}", 'as a statement'`);
      await eventually(
        () => heard.at(-1),
        (last) => last === 'as a statement',
        1_000,
      );
      expect(new Set(heard)).toEqual(new Set(['first', 'as a statement']));
      await stop();
      const before = heard.length;
      await notify(channel, 'too late');
      await notify('control', 'the end');
      await eventually(
        () => control,
        (payloads) => payloads.includes('the end'),
        1_000,
      );
      expect(heard).toHaveLength(before);
      await stopControl();
    },
  );

  it('a notification leaves with the commit, and is lost with the rollback', async () => {
    const heard: string[] = [];
    const stop = await database.listen('committed', (payload) => heard.push(payload));
    const notify = (payload: string, isKept: boolean) =>
      database.transaction(async (trx) => {
        await sql`select pg_notify('committed', ${payload})`.execute(trx);
        if (!isKept) throw new Error('roll it back');
      });
    await expect(notify('rolled back', false)).rejects.toThrow('roll it back');
    await notify('kept', true);
    await eventually(
      () => heard.length,
      (length) => length > 0,
      1_000,
    );
    expect(heard).toEqual(['kept']);
    await stop();
  });

  it.each([
    ['comment lines', '-- Subscribe to the channel.\n-- One line more.\nLISTEN commented;\n', 'commented'],
    ['a comment that names the verb', '-- listen first\nLISTEN "Commented-too"', 'Commented-too'],
  ])('LISTEN through a pool client is understood behind %s', async (_name, statement, channel) => {
    const client = await database.pool.connect();
    const heard: unknown[] = [];
    client.on('notification', ({ channel: from, payload }) => heard.push([from, payload]));
    await client.query(statement);
    await database.pool.query('select pg_notify($1, $2)', [channel, 'heard']);
    await eventually(
      () => heard.length,
      (length) => length > 0,
      1_000,
    );
    expect(heard).toEqual([[channel, 'heard']]);
    await client.query(`UNLISTEN "${channel}"`);
    client.release();
  });

  it('an idle BullMQ worker picks jobs up by notification, long before its poll', async () => {
    const queue = openQueue('idle', database);
    const done: (string | undefined)[] = [];
    const worker = new bullmq.Worker('idle', async (job) => void done.push(job.id), {
      connection: database.pool as never,
      // The poll, in seconds: far longer than this test waits.
      drainDelay: 60,
    });
    worker.on('error', () => undefined);
    await worker.waitUntilReady();
    for (const id of ['a', 'b', 'c']) {
      await queue.add('wake up', {}, { jobId: id });
      await eventually(
        () => done.includes(id),
        (isDone) => isDone,
        4_500,
      );
      await eventually(
        () => queue.getActiveCount(),
        (active) => active === 0,
      );
    }
    expect(done).toEqual(['a', 'b', 'c']);
    await worker.close();
    await queue.close();
  });

  it('migrates again without a change', async () => {
    const read = async () => (await database.pool.query(schemaQuery)).rows;
    const before = await read();
    expect(before.length).toBeGreaterThan(100);
    await migrate(database);
    expect(await read()).toEqual(before);
  });

  it.each([
    `update waybill.ledger set cost_nano = 0`,
    `delete from waybill.ledger`,
    `truncate waybill.ledger`,
    `truncate waybill.ledger cascade`,
  ])('the ledger refuses: %s', async (statement) => {
    await database.pool.query(
      `insert into waybill.ledger (job_id, attempt, tenant_id, provider, requested_model, outcome, cost_nano, cost_basis)
       values ($1, 1, 'default', 'openai', 'a-model', 'succeeded', 12, 'actual')`,
      [`job of ${statement}`],
    );
    await expect(database.pool.query(statement)).rejects.toMatchObject({ code: '23001' });
    const kept = await database.pool.query('select cost_nano from waybill.ledger where job_id = $1', [
      `job of ${statement}`,
    ]);
    expect(kept.rows).toEqual([{ cost_nano: '12' }]);
  });
});

describe('migrations', () => {
  it('give both stores the same tables', async () => {
    const schemas = await Promise.all(
      storesUnderTest.map(async ({ start }) => {
        const { database, stop } = await start();
        await migrate(database);
        const { rows } = await database.pool.query(schemaQuery);
        await stop();
        return rows;
      }),
    );
    expect(schemas[0]).toEqual(schemas[1]);
  }, 120_000);

  it('run once when several processes start at the same instant', async () => {
    const server = await startPostgresServer();
    const outcomes: PromiseSettledResult<void>[] = [];
    // More than one go: whoever is a moment late finds it all done, and nothing is tested.
    for (let round = 0; round < 5; round++) {
      const url = await server.createDatabase();
      const databases = Array.from({ length: 4 }, () =>
        openDatabase(openServerStore({ url, maxConnections: 3, statementTimeoutMs: 120_000 })),
      );
      await Promise.all(databases.map(({ pool }) => pool.query('select 1')));
      outcomes.push(...(await Promise.allSettled(databases.map(migrate))));
      await Promise.all(databases.map((database) => database.close()));
    }
    await server.stop();
    expect(outcomes).toEqual(Array(20).fill({ status: 'fulfilled', value: undefined }));
  }, 120_000);
});

const ways = ['statements', 'transaction', 'rolled back', 'by hand'] as const;

/** Two rows per writer, 400 KB each, written in one of four ways. */
async function write(database: Database, writer: string, way: (typeof ways)[number]): Promise<void> {
  const insert = 'insert into probe.rows values ($1, $2)';
  if (way === 'statements') {
    for (const id of rowIdsOf(writer)) await database.pool.query(insert, [id, bodyOf(id)]);
    return;
  }
  if (way === 'by hand') {
    const client = await database.pool.connect();
    await client.query('begin');
    for (const id of rowIdsOf(writer)) await client.query({ text: insert, values: [id, bodyOf(id)] });
    await client.query('commit');
    return client.release();
  }
  const work = database.transaction(async (trx) => {
    for (const id of rowIdsOf(writer)) await sql`insert into probe.rows values (${id}, ${bodyOf(id)})`.execute(trx);
    if (way === 'rolled back') throw new Error('roll it back');
  });
  await (way === 'rolled back' ? expect(work).rejects.toThrow('roll it back') : work);
}

const rowIdsOf = (writer: string): string[] => [`${writer}/1`, `${writer}/2`];
const bodyOf = (id: string): string => createHash('sha256').update(id).digest('hex').repeat(6_250);

function openQueue(name: string, database: Database) {
  const queue = new bullmq.Queue(name, { connection: database.pool as never });
  // BullMQ keeps listening to the pool after its end, and would print that the server was stopped.
  queue.on('error', () => undefined);
  return queue;
}

async function addInside(database: Database): Promise<unknown> {
  const queue = openQueue('inside', database);
  try {
    return await queue.add('inside', {});
  } finally {
    await queue.close();
  }
}

/** Sessions of this database, other than the asking one, that sit in a transaction. */
async function openTransactions(database: Database): Promise<unknown> {
  const { rows } = await database.pool.query(
    `select count(*)::int as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state like 'idle in transaction%'`,
  );
  return rows[0]?.n;
}

const schemaQuery = `
  select table_schema || '.' || table_name || '.' || column_name as name, data_type as type, is_nullable as nullable, column_default as fallback
  from information_schema.columns where table_schema in ('waybill', 'coordination', 'bullmq')
  union all
  select schemaname || '.' || indexname, indexdef, null, null from pg_indexes where schemaname in ('waybill', 'coordination', 'bullmq')
  union all
  select n.nspname || '.' || p.proname, pg_get_function_identity_arguments(p.oid), md5(p.prosrc), null
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('waybill', 'coordination', 'bullmq')
  union all
  select 'migration ' || name, null, null, null from waybill.kysely_migration
  order by 1, 2`;
