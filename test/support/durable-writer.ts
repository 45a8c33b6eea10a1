/**
 * A process of its own that writes rows to an embedded store until it is killed. It acknowledges each row on stdout
 * when the statement or transaction that wrote it has returned, not before.
 *
 *     node durable-writer.ts <directory> <first id>
 */
import { writeSync } from 'node:fs';
import { openDatabase } from '@waybill/shared/store/database.ts';
import { sql } from 'kysely';
import { openLockedStore } from './locked-store.ts';

const [directory = '', firstId = '0'] = process.argv.slice(2);
const database = openDatabase(await openLockedStore({ directory }));
// Written at once: a line in a buffer of this process would die with it.
const tell = (line: string) => writeSync(1, `${line}\n`);

await database.pool.query(`
  create schema if not exists probe;
  create table if not exists probe.kept (id bigint primary key, body text not null)`);
tell('open');
for (let id = Number(firstId); ; id += 2) {
  const body = `row ${id} `.repeat(500);
  await database.pool.query('insert into probe.kept values ($1, $2)', [id, body]);
  tell(`${id}`);
  await database.transaction(async (trx) => {
    await sql`insert into probe.kept values (${id + 1}, '')`.execute(trx);
    await sql`update probe.kept set body = ${body} where id = ${id + 1}`.execute(trx);
  });
  tell(`${id + 1}`);
}
