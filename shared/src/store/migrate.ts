/**
 * Brings a database to this version's schema: ours through Kysely, the queue's through BullMQ.
 *
 * Both run under a lock of the database, so that processes that start together migrate once.
 */
import { createHash } from 'node:crypto';
import { runMigrations } from 'bullmq';
import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import type { Database } from './database.ts';
import * as tables from './migrations/0001-tables.ts';
import * as claim from './migrations/0002-claim.ts';
import * as coordination from './migrations/0003-coordination.ts';

const migrations: Readonly<Record<string, { readonly statements: readonly string[] }>> = {
  '0001-tables': tables,
  '0002-claim': claim,
  '0003-coordination': coordination,
};

/** Changes whenever a migration does: the key of the prepared directory. */
export function migrationsKey(versions: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([versions, migrations]))
    .digest('hex')
    .slice(0, 16);
}

const toMigration = (statements: readonly string[]) => ({
  async up(db: Database['kysely']) {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
});

export async function migrate(database: Database): Promise<void> {
  const client = await database.pool.connect();
  try {
    // `create … if not exists` fails for the later one of two processes that create the same thing at once.
    await client.query(`select pg_advisory_lock(hashtext('waybill.migrate'))`);
    await migrateOurs(database);
    await runMigrations(client as never, 'bullmq');
  } finally {
    await client.query(`select pg_advisory_unlock(hashtext('waybill.migrate'))`);
    client.release();
  }
}

async function migrateOurs(database: Database): Promise<void> {
  await sql`create schema if not exists waybill`.execute(database.kysely);
  const migrator = new Migrator({
    db: database.kysely,
    provider: {
      getMigrations: async () =>
        Object.fromEntries(Object.entries(migrations).map(([name, { statements }]) => [name, toMigration(statements)])),
    },
    migrationTableSchema: 'waybill',
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error) {
    const failed = results?.find((result) => result.status === 'Error')?.migrationName ?? 'the first step';
    throw new Error(`Cannot migrate the database: ${failed} failed`, { cause: error });
  }
}
