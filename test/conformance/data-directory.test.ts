/** The embedded store's folder: what was acknowledged survives `kill -9`, and one process at a time holds it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openLockedStore } from '../support/locked-store.ts';
import { eventually } from '../support/waybill.ts';

const script = fileURLToPath(new URL('../support/durable-writer.ts', import.meta.url));
const children: ChildProcess[] = [];
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waybill-directory-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  await rm(directory, { recursive: true, force: true });
});

it('no acknowledged row is missing after kill -9, three times over', async () => {
  const acknowledged = new Set<string>();
  for (let round = 0; round < 3; round++) {
    const writer = await startWriter(round * 1_000_000);
    // Another number each round, so that the end falls at another point of the writer's loop.
    await eventually(
      () => writer.rows.length,
      (length) => length >= 60 + 17 * round,
    );
    await kill(writer.child);
    for (const row of writer.rows) acknowledged.add(row);

    const store = await openLockedStore({ directory });
    const { rows } = await store.pool.query('select id, body from probe.kept');
    await store.close();
    const bodies = new Map(rows.map((row) => [row.id as string, row.body]));
    expect([...acknowledged].filter((id) => !bodies.has(id))).toEqual([]);
    // Whole rows only: the second statement of a transaction is never missing.
    for (const [id, body] of bodies) expect(body).toBe(`row ${Number(id) - (Number(id) % 2)} `.repeat(500));
  }
  expect(acknowledged.size).toBeGreaterThanOrEqual(60 + 77 + 94);
}, 120_000);

it('a second process is refused with the pid of the first, and let in as soon as that is killed', async () => {
  const { child } = await startWriter(0);
  const refusal: unknown = await openLockedStore({ directory }).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'data_dir_locked', status: 409 });
  expect(String(refusal)).toContain(`process ${child.pid} holds it`);
  expect(String(refusal)).toContain(directory);
  await kill(child);
  const store = await openLockedStore({ directory });
  expect((await store.pool.query('select count(*) > 0 as is_there from probe.kept')).rows).toEqual([
    { is_there: true },
  ]);
  await store.close();
}, 120_000);

it('the same process is refused too, until it has closed the first', async () => {
  const first = await openLockedStore({ directory });
  await expect(openLockedStore({ directory })).rejects.toMatchObject({ code: 'data_dir_locked' });
  await first.close();
  const second = await openLockedStore({ directory });
  await second.close();
}, 120_000);

async function startWriter(firstId: number): Promise<{ child: ChildProcess; rows: string[] }> {
  const child = spawn(process.execPath, [script, directory, String(firstId)], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const rows: string[] = [];
  let isOpen = false;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'open') isOpen = true;
    else rows.push(line);
  });
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`The writer ended: ${errors}`);
      return isOpen;
    },
    (value) => value,
    60_000,
  );
  return { child, rows };
}

/** Resolves when the process is gone and all it wrote was read. */
async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

const marked = (each: string) => join(directory, each);

it('a first start that was killed half way is moved aside, and the next one starts anew', async () => {
  await mkdir(marked('data/postgres'), { recursive: true });
  await writeFile(marked('data/postgres/PG_VERSION'), '18\n');
  const options = { directory: marked('data'), cacheDirectory: null };
  const first = await openEmbeddedDatabase(options);
  await first.pool.query('create table waybill.kept (id int); insert into waybill.kept values (7)');
  await first.close();
  expect((await readdir(marked('data'))).filter((name) => name.startsWith('postgres.incomplete-'))).toHaveLength(1);
  const second = await openEmbeddedDatabase(options);
  expect((await second.pool.query('select id from waybill.kept')).rows).toEqual([{ id: 7 }]);
  await second.close();
}, 120_000);

it('a damaged prepared directory is forgotten, and costs no start', async () => {
  const cacheDirectory = marked('cache');
  await (await openEmbeddedDatabase({ directory: marked('one'), cacheDirectory })).close();
  const [prepared = ''] = await readdir(cacheDirectory);
  await truncate(join(cacheDirectory, prepared), 50_000);
  const database = await openEmbeddedDatabase({ directory: marked('two'), cacheDirectory });
  expect((await database.pool.query('select count(*)::int as n from waybill.jobs')).rows).toEqual([{ n: 0 }]);
  await database.close();
  const again = await openEmbeddedDatabase({ directory: marked('three'), cacheDirectory });
  await again.close();
}, 120_000);
