/** The two stores that conformance suites run over: PGlite in a temporary folder, and a real PostgreSQL server. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase } from '@waybill/shared/store/database.ts';
import { openServerStore } from '@waybill/shared/store/server.ts';
import { openLockedStore } from './locked-store.ts';
import { startPostgresServer } from './postgres-server.ts';

export interface StoreUnderTest {
  readonly database: Database;
  /** Where it came from, for the log. */
  readonly source: string;
  stop(): Promise<void>;
}

/** An empty database on each store. `isOneSession`: statements wait for an open transaction of others. */
export const storesUnderTest = [
  { name: 'embedded', isOneSession: true, start: startEmbedded },
  { name: 'server', isOneSession: false, start: startServer },
] as const;

export async function startEmbedded(): Promise<StoreUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'waybill-store-'));
  const database = openDatabase(await openLockedStore({ directory }));
  return {
    database,
    source: 'PGlite in a temporary folder',
    async stop() {
      await database.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function startServer(): Promise<StoreUnderTest> {
  const server = await startPostgresServer();
  const url = await server.createDatabase();
  // A session that one failed case leaves in a transaction must not hold up the cases after it.
  const first = openServerStore({ url, maxConnections: 1 });
  await first.pool.query(
    `do $$ begin execute format('alter database %I set idle_in_transaction_session_timeout = 3000', current_database()); end $$`,
  );
  await first.close();
  const database = openDatabase(openServerStore({ url, maxConnections: 16 }));
  return {
    database,
    source: server.source,
    async stop() {
      await database.close();
      await server.stop();
    },
  };
}
