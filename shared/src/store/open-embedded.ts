/** Opens the embedded database ready for use: from a prepared directory when it is new, migrated when it is older. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Database, openDatabase } from './database.ts';
import { openEmbeddedStore } from './embedded.ts';
import { migrate, migrationsKey } from './migrate.ts';
import { readPrepared, writePrepared } from './prepared.ts';

const bullmqVersion = (createRequire(import.meta.url)('bullmq/package.json') as { version: string }).version;

export interface OpenEmbeddedOptions {
  /** The data directory; null keeps everything in memory. */
  readonly directory: string | null;
  /** Where prepared directories are kept between starts; null uses none. */
  readonly cacheDirectory: string | null;
}

/** @throws Problem `data_dir_locked` */
export async function openEmbeddedDatabase(options: OpenEmbeddedOptions): Promise<Database> {
  const key = migrationsKey([bullmqVersion, pgliteVersion]);
  const isNew = options.directory === null || !existsSync(`${options.directory}/postgres/PG_VERSION`);
  const prepared =
    isNew && options.cacheDirectory !== null ? await readPrepared(options.cacheDirectory, key) : undefined;
  const store = await openEmbeddedStore({ directory: options.directory, prepared });
  try {
    const database = openDatabase(store);
    if ((await schemaOf(database)) !== key) {
      await migrate(database);
      await database.pool.query(
        `insert into waybill.server_facts (name, value) values ('schema', $1) on conflict (name) do update set value = excluded.value`,
        [key],
      );
      if (isNew && options.cacheDirectory !== null) await writePrepared(options.cacheDirectory, key, store.pglite);
    }
    return database;
  } catch (cause) {
    await store.close();
    throw cause;
  }
}

/** The pinned version; the package does not export its manifest, and a tidy test holds the two together. */
export const pgliteVersion = '0.5.16';

async function schemaOf(database: Database): Promise<string | null> {
  const { rows } = await database.pool.query(`select to_regclass('waybill.server_facts') is not null as is_there`);
  if (rows[0]?.is_there !== true) return null;
  const facts = await database.pool.query(`select value from waybill.server_facts where name = 'schema'`);
  return (facts.rows[0]?.value as string | undefined) ?? null;
}
