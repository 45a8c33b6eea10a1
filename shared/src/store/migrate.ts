/**
 * Brings a database to this version's schema: ours through Kysely, the queue's through BullMQ.
 *
 * Both run under a lock of the database, so that processes that start together migrate once.
 */
import { createHash } from 'node:crypto';
import { runMigrations } from 'bullmq';
import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { Problem } from '../domain/problem.ts';
import type { Database, PoolClient } from './database.ts';
import * as tables from './migrations/0001-tables.ts';
import * as claim from './migrations/0002-claim.ts';
import * as coordination from './migrations/0003-coordination.ts';
import * as servers from './migrations/0004-servers.ts';
import * as providers from './migrations/0005-providers.ts';
import * as streams from './migrations/0006-streams.ts';
import * as permits from './migrations/0007-permits.ts';
import * as permitEnds from './migrations/0008-permit-ends.ts';
import * as routing from './migrations/0009-routing.ts';
import * as budgets from './migrations/0010-budgets.ts';
import * as settling from './migrations/0011-settle.ts';

const migrations: Readonly<Record<string, { readonly statements: readonly string[] }>> = {
  '0001-tables': tables,
  '0002-claim': claim,
  '0003-coordination': coordination,
  '0004-servers': servers,
  '0005-providers': providers,
  '0006-streams': streams,
  '0007-permits': permits,
  '0008-permit-ends': permitEnds,
  '0009-routing': routing,
  '0010-budgets': budgets,
  '0011-settle': settling,
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

/**
 * The database should have been opened for long statements: another process may be at a long migration, and this one
 * waits for it inside of one.
 *
 * @throws Problem `schema_newer`
 */
export async function migrate(database: Database): Promise<void> {
  const client = await database.pool.connect();
  try {
    // `create … if not exists` fails for the later one of two processes that create the same thing at once.
    await client.query(`select pg_advisory_lock(hashtext('waybill.migrate'))`);
    await refuseNewer(client);
    await migrateOurs(database);
    await runMigrations(client as never, 'bullmq');
  } finally {
    await client.query(`select pg_advisory_unlock(hashtext('waybill.migrate'))`).catch(() => undefined);
    client.release();
  }
}

/** What this version knows of is there; an older one would find tables it does not understand. */
async function refuseNewer(client: PoolClient): Promise<void> {
  const found = await client.query(`select to_regclass('waybill.kysely_migration') is not null as is_there`);
  if (found.rows[0]?.is_there !== true) return;
  const { rows } = await client.query('select name from waybill.kysely_migration order by name');
  const unknown = rows.map((row) => row.name as string).filter((name) => !(name in migrations));
  if (unknown.length > 0)
    throw new Problem(
      'schema_newer',
      `Cannot run on this database: a newer version has migrated it (${unknown.join(', ')}). Start that version, or restore a backup from before`,
    );
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
