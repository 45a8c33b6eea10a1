/** The work of `waybill providers list | enable | disable | reset`: a server's providers, and their switches. */
import type { EndpointJson, ProviderJson } from '@waybill/producer/routes/admin/provider-json.ts';
import type { ConnectionFlags } from '../connection.ts';
import { print, printJson, table, visible } from '../output.ts';
import { adminClient } from './admin-client.ts';

export type Change = 'enable' | 'disable' | 'reset';

export async function showProviders(flags: ConnectionFlags): Promise<void> {
  const list = await adminClient(flags).providers();
  if (flags.json) return printJson(list);
  if (list.data.length === 0) return print('No provider is configured. "waybill providers discover" finds some.');
  print(table(head, list.data.flatMap(rowsOf)));
  const pauses = list.data.flatMap(pauseLines);
  if (pauses.length > 0) print(`\n${pauses.join('\n')}`);
}

export async function switchProvider(id: string, change: Change, flags: ConnectionFlags): Promise<void> {
  const provider = await adminClient(flags).switchProvider(id, change);
  if (flags.json) return printJson(provider);
  print(`${provider.id}  ${enabledText(provider)}`);
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
