/** `waybill credentials add | list | remove`: secrets of providers that a server keeps, sealed. */
import type { CredentialJson } from '@waybill/producer/routes/admin/credentials.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { Command, Option } from 'commander';
import { type ConnectionFlags, withConnection } from '../connection.ts';
import { exitCode } from '../exit-codes.ts';
import { print, printJson, say, table, visible } from '../output.ts';
import { adminClient } from '../providers/admin-client.ts';
import { readSecret } from '../providers/read-secret.ts';

interface AddFlags extends ConnectionFlags {
  readonly file?: string;
  readonly secret?: string;
}

export function credentialsCommand(): Command {
  return new Command('credentials')
    .description('secrets of providers that a server keeps, sealed; named in the configuration as { stored: <name> }')
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(removeCommand())
    .addHelpText('after', '\nExamples:\n  waybill credentials add openai-backup\n  waybill credentials list');
}

function addCommand(): Command {
  return (
    withConnection(
      new Command('add').description('store a secret, or replace it; running processes take it up').argument('<name>'),
    )
      .option('--file <file>', 'read the secret from this file')
      .addOption(new Option('--secret <text>').hideHelp())
      // Refused below: the usual message would show what came after the name.
      .argument('[refused...]')
      .usage('[options] <name>')
      .addHelpText(
        'after',
        '\nThe secret comes from --file, a pipe, or a prompt that does not show it; never from the command line, which every user of the machine can read.\n\nExamples:\n  waybill credentials add openai-backup\n  waybill credentials add openai-backup --file /run/secrets/openai\n  pass show openai | waybill credentials add openai-backup',
      )
      .action(async (name: string, refused: readonly string[], flags: AddFlags) => {
        if (flags.secret !== undefined || refused.length > 0)
          throw new Problem(
            'invalid_usage',
            'Cannot take a secret on the command line, where every user of the machine can read it. Replace it at the provider, then use --file or a pipe',
          );
        const client = adminClient(flags);
        const secret = await readSecret(visible(name), flags.file);
        if (secret === null) {
          process.exitCode = exitCode.interrupted;
          return;
        }
        const stored = await client.storeCredential(name, secret);
        if (flags.json) return printJson(stored);
        print(`${stored.name}  stored`);
        if (stored.used_by.length === 0)
          say(`Note: no provider uses it yet. Name it in the configuration: credentials: [{ stored: ${stored.name} }]`);
      })
  );
}

function listCommand(): Command {
  return withConnection(new Command('list').description('show the names of stored credentials, and who uses them'))
    .addHelpText('after', '\nExample:\n  waybill credentials list --json | jq .data[].name')
    .action(async (flags: ConnectionFlags) => {
      const list = await adminClient(flags).credentials();
      if (flags.json) return printJson(list);
      if (list.data.length === 0) return print('No credential is stored.');
      print(
        table(
          ['name', 'updated', 'used by'],
          list.data.map((each) => [each.name, each.updated_at ?? 'not stored yet', usersOf(each) || 'nobody']),
        ),
      );
    });
}

function removeCommand(): Command {
  return withConnection(new Command('remove').description('forget a stored secret').argument('<name>'))
    .addHelpText('after', '\nExample:\n  waybill credentials remove openai-backup')
    .action(async (name: string, flags: ConnectionFlags) => {
      const removed = await adminClient(flags).removeCredential(name);
      if (flags.json) return printJson(removed);
      print(`${removed.name}  removed`);
      if (removed.used_by.length > 0) say(`Note: still named by ${usersOf(removed)}, which must do without it.`);
    });
}

const usersOf = ({ used_by: usedBy }: CredentialJson): string =>
  usedBy.map(({ provider, account }) => `${provider}/${account}`).join(', ');
