/** `waybill migrate`: brings the database to this version's schema. Every start does it too, once for all processes. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import { describeDatabase } from '@waybill/shared/store/describe-database.ts';
import { Command } from 'commander';
import { print, printJson } from '../output.ts';

export function migrateCommand(): Command {
  return new Command('migrate')
    .description("bring the database of DATABASE_URL to this version's schema")
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nStarting any process does this as well, under a lock. A step of its own lets a deploy stop before the first new process.\n\nExamples:\n  DATABASE_URL=postgres://waybill@db/waybill waybill migrate',
    )
    .action(async (flags: { json?: boolean }) => {
      const { loadConfig } = await import('@waybill/shared/config/load.ts');
      const { environment } = await loadConfig(process.env, async () => []);
      const url = environment.DATABASE_URL;
      if (url === undefined)
        throw new Problem(
          'invalid_config',
          'Cannot migrate: DATABASE_URL is not set. The embedded database migrates itself at its start',
          { param: 'DATABASE_URL' },
        );
      const { migrateServer } = await import('../open-stores.ts');
      await migrateServer(url);
      if (flags.json) printJson({ database: describeDatabase(url), status: 'up to date' });
      else print(`${describeDatabase(url)} is up to date.`);
    });
}
