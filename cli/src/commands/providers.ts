/**
 * `waybill providers`: those of a server (`list enable disable reset`), and those of this machine's configuration, asked
 * from here (`discover models test check-drift`).
 *
 * Flags and help are here; an action loads its work when it runs, or it would cost every other command its start.
 */
import { Command } from 'commander';
import { type ConnectionFlags, withConnection } from '../connection.ts';
import { discoverCommand } from '../providers/discover-command.ts';
import { checkDriftCommand } from '../providers/drift-command.ts';
import { modelsCommand } from '../providers/models-command.ts';
import type { Change } from '../providers/server-providers.ts';
import { testCommand } from '../providers/test-command.ts';

export function providersCommand(): Command {
  return new Command('providers')
    .description('see, switch, find and test providers')
    .addCommand(listCommand())
    .addCommand(switchCommand('enable', 'use a provider, whatever the configuration says'))
    .addCommand(switchCommand('disable', 'leave a provider alone: no new calls; running ones end'))
    .addCommand(switchCommand('reset', 'as configured again, and its pauses ended'))
    .addCommand(discoverCommand())
    .addCommand(modelsCommand())
    .addCommand(testCommand())
    .addCommand(checkDriftCommand())
    .addHelpText(
      'after',
      '\nExamples:\n  waybill providers discover\n  waybill providers list\n  waybill providers disable openai',
    );
}

function listCommand(): Command {
  return withConnection(new Command('list').description('show the providers of a server: status, switches, pauses'))
    .addHelpText(
      'after',
      '\nExamples:\n  waybill providers list\n  waybill providers list --json | jq ".data[].pauses"',
    )
    .action(async (flags: ConnectionFlags) => {
      const { showProviders } = await import('../providers/server-providers.ts');
      await showProviders(flags);
    });
}

function switchCommand(change: Change, description: string): Command {
  return withConnection(new Command(change).description(description).argument('<id>'))
    .addHelpText('after', `\nExample:\n  waybill providers ${change} openai`)
    .action(async (id: string, flags: ConnectionFlags) => {
      const { switchProvider } = await import('../providers/server-providers.ts');
      await switchProvider(id, change, flags);
    });
}
