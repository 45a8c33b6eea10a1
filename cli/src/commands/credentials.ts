/** `waybill credentials add | list | remove`: secrets of providers that a server keeps, sealed. */
import { Command, Option } from 'commander';
import { type ConnectionFlags, withConnection } from '../connection.ts';
import type { AddFlags } from '../providers/stored-credentials.ts';

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
      // Refused by the action: the usual message would show what came after the name.
      .argument('[refused...]')
      .usage('[options] <name>')
      .addHelpText(
        'after',
        '\nThe secret comes from --file, a pipe, or a prompt that does not show it; never from the command line, which every user of the machine can read.\n\nExamples:\n  waybill credentials add openai-backup\n  waybill credentials add openai-backup --file /run/secrets/openai\n  pass show openai | waybill credentials add openai-backup',
      )
      .action(async (name: string, refused: readonly string[], flags: AddFlags) => {
        const { addCredential } = await import('../providers/stored-credentials.ts');
        await addCredential(name, refused, flags);
      })
  );
}

function listCommand(): Command {
  return withConnection(new Command('list').description('show the names of stored credentials, and who uses them'))
    .addHelpText('after', '\nExample:\n  waybill credentials list --json | jq ".data[].name"')
    .action(async (flags: ConnectionFlags) => {
      const { showCredentials } = await import('../providers/stored-credentials.ts');
      await showCredentials(flags);
    });
}

function removeCommand(): Command {
  return withConnection(new Command('remove').description('forget a stored secret').argument('<name>'))
    .addHelpText('after', '\nExample:\n  waybill credentials remove openai-backup')
    .action(async (name: string, flags: ConnectionFlags) => {
      const { removeCredential } = await import('../providers/stored-credentials.ts');
      await removeCredential(name, flags);
    });
}
