/**
 * `waybill providers`: those of a server (`list enable disable reset`), and those of this machine's configuration, asked
 * from here (`discover models test check-drift`).
 */
import type { EndpointJson, ProviderJson } from '@waybill/producer/routes/admin/provider-json.ts';
import { Command } from 'commander';
import { type ConnectionFlags, withConnection } from '../connection.ts';
import { print, printJson, table, visible } from '../output.ts';
import { adminClient } from '../providers/admin-client.ts';
import { discoverCommand } from '../providers/discover-command.ts';
import { checkDriftCommand } from '../providers/drift-command.ts';
import { modelsCommand } from '../providers/models-command.ts';
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
    .addHelpText('after', '\nExamples:\n  waybill providers list\n  waybill providers list --json | jq .data[].pauses')
    .action(async (flags: ConnectionFlags) => {
      const list = await adminClient(flags).providers();
      if (flags.json) return printJson(list);
      if (list.data.length === 0) return print('No provider is configured. "waybill providers discover" finds some.');
      print(table(head, list.data.flatMap(rowsOf)));
      const pauses = list.data.flatMap(pauseLines);
      if (pauses.length > 0) print(`\n${pauses.join('\n')}`);
    });
}

function switchCommand(change: 'enable' | 'disable' | 'reset', description: string): Command {
  return withConnection(new Command(change).description(description).argument('<id>'))
    .addHelpText('after', `\nExample:\n  waybill providers ${change} openai`)
    .action(async (id: string, flags: ConnectionFlags) => {
      const provider = await adminClient(flags).switchProvider(id, change);
      if (flags.json) return printJson(provider);
      print(`${provider.id}  ${enabledText(provider)}`);
    });
}

const head = ['provider', 'status', 'enabled', 'models', 'chains', 'credentials', 'success', 'p50'];

/** One row per address. What nobody has seen is unknown. */
const rowsOf = (provider: ProviderJson): string[][] =>
  provider.endpoints.map((endpoint, index) => [
    index === 0 ? provider.id : `${provider.id}@${index + 1}`,
    provider.enabled ? endpoint.status : 'disabled',
    enabledText(provider),
    visible(someOf(provider.models)),
    visible(someOf(provider.chains)),
    visible(someOf(provider.credentials.map(({ name }) => name))),
    successText(endpoint),
    endpoint.latency_p50_ms === null ? 'unknown' : `${endpoint.latency_p50_ms} ms`,
  ]);

const enabledText = ({ enabled, enabled_by: by }: ProviderJson): string =>
  `${enabled ? 'yes' : 'no'}${by === 'switch' ? ' (switched)' : ''}`;

const shown = 2;
const someOf = (names: readonly string[]): string =>
  names.length === 0
    ? 'none'
    : `${names.slice(0, shown).join(', ')}${names.length > shown ? `, +${names.length - shown}` : ''}`;

const successText = ({ success_rate: rate, calls }: EndpointJson): string =>
  rate === null ? 'unknown' : `${Math.round(rate * 1_000) / 10}% of ${calls}`;

const pauseLines = ({ id, pauses }: ProviderJson): string[] =>
  pauses.map(
    ({ scope, subject, kind, until }) =>
      `Paused: ${id}, ${scope.replaceAll('_', ' ')}${subject === null ? '' : ` ${visible(subject)}`}, until ${until} (${kind})`,
  );
