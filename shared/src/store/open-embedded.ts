/** Opens the embedded database ready for use: from a prepared directory when it is new, migrated when it is older. */
import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Database, openDatabase } from './database.ts';
import { lockDirectory } from './directory-lock.ts';
import { type EmbeddedStore, openEmbeddedStore } from './embedded.ts';
import { migrate, migrationsKey } from './migrate.ts';
import { forgetPrepared, readPrepared, writePrepared } from './prepared.ts';

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
  const lock = options.directory === null ? null : await lockDirectory(options.directory);
  try {
    const store = await openStore(options, key, () => lock?.release());
    return await prepare(store, options, key);
  } catch (cause) {
    lock?.release();
    throw cause;
  }
}

/**
 * Opens the cluster, or makes one: from the prepared dump when it can be read, else from nothing.
 *
 * A first start that was killed leaves a folder without the mark of a whole cluster. It is moved aside, not deleted.
 */
async function openStore(options: OpenEmbeddedOptions, key: string, onClose: () => void): Promise<EmbeddedStore> {
  const path = options.directory === null ? null : join(options.directory, 'postgres');
  const isWhole = path !== null && existsSync(join(path, wholeMark));
  if (path !== null && existsSync(path) && !isWhole) await rename(path, `${path}.incomplete-${Date.now()}`);
  const cache = isWhole ? null : options.cacheDirectory;
  const prepared = cache === null ? undefined : await readPrepared(cache, key);
  if (prepared === undefined || cache === null) return openEmbeddedStore({ path, onClose });
  try {
    return await openEmbeddedStore({ path, prepared, onClose });
  } catch {
    // A damaged dump costs the time to make the cluster anew, nothing else.
    await forgetPrepared(cache, key);
    if (path !== null) await rm(path, { recursive: true, force: true });
    return openEmbeddedStore({ path, onClose });
  }
}

async function prepare(store: EmbeddedStore, options: OpenEmbeddedOptions, key: string): Promise<Database> {
  try {
    const database = openDatabase(store);
    const found = await schemaOf(database);
    if (found !== key) {
      await migrate(database);
      await database.pool.query(
        `insert into waybill.server_facts (name, value) values ('schema', $1) on conflict (name) do update set value = excluded.value`,
        [key],
      );
      if (found === null && options.cacheDirectory !== null)
        await writePrepared(options.cacheDirectory, key, store.pglite);
    }
    if (options.directory !== null) await writeFile(join(options.directory, 'postgres', wholeMark), `${key}\n`);
    return database;
  } catch (cause) {
    await store.close();
    throw cause;
  }
}

/** In the cluster's own folder, so that the two are copied and moved together. */
const wholeMark = 'waybill-whole';

/** The pinned version; the package does not export its manifest, and a tidy test holds the two together. */
export const pgliteVersion = '0.5.16';

async function schemaOf(database: Database): Promise<string | null> {
  const { rows } = await database.pool.query(`select to_regclass('waybill.server_facts') is not null as is_there`);
  if (rows[0]?.is_there !== true) return null;
  const facts = await database.pool.query(`select value from waybill.server_facts where name = 'schema'`);
  return (facts.rows[0]?.value as string | undefined) ?? null;
}
