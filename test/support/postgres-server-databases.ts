/** The databases on a PostgreSQL server of the tests, wherever the server runs. */
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

/** @returns the URL of a new, empty database with a random name */
export async function createDatabaseOn(url: string): Promise<string> {
  const created = new URL(url);
  created.pathname = `/waybill_test_${randomBytes(8).toString('hex')}`;
  // template0 is the one template nobody can be connected to, which would make the copy fail.
  await querySql(url, `create database ${databaseName(created.href)} template template0`);
  return created.href;
}

/** @param database its URL, as `createDatabaseOn` gave it */
export async function dropDatabaseOn(url: string, database: string): Promise<void> {
  await querySql(url, `drop database ${databaseName(database)} with (force)`);
}

const databaseName = (url: string): string => new URL(url).pathname.slice(1);

/** On a connection of its own: the rows, as arrays. */
export async function querySql(url: string, sql: string): Promise<unknown[][]> {
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

/** `15.18 (Debian 15.18-0+deb12u1)` is `15.18`. */
export const shortVersion = (version: unknown): string => String(version).split(' ', 1).join();
