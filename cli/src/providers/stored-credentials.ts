/** The work of `waybill credentials`: secrets go to the server, names come back. */
import type { CredentialJson } from '@waybill/producer/routes/admin/credentials.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { ConnectionFlags } from '../connection.ts';
import { exitCode } from '../exit-codes.ts';
import { print, printJson, say, table, visible } from '../output.ts';
import { adminClient } from './admin-client.ts';
import { readSecret } from './read-secret.ts';

export interface AddFlags extends ConnectionFlags {
  readonly file?: string;
  readonly secret?: string;
}

/** @param refused what stood on the command line after the name: perhaps a secret */
export async function addCredential(name: string, refused: readonly string[], flags: AddFlags): Promise<void> {
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
}

export async function showCredentials(flags: ConnectionFlags): Promise<void> {
  const list = await adminClient(flags).credentials();
  if (flags.json) return printJson(list);
  if (list.data.length === 0) return print('No credential is stored.');
  print(
    table(
      ['name', 'updated', 'used by'],
      list.data.map((each) => [each.name, each.updated_at ?? 'not stored yet', usersOf(each) || 'nobody']),
    ),
  );
}

export async function removeCredential(name: string, flags: ConnectionFlags): Promise<void> {
  const removed = await adminClient(flags).removeCredential(name);
  if (flags.json) return printJson(removed);
  print(`${removed.name}  removed`);
  if (removed.used_by.length > 0) say(`Note: still named by ${usersOf(removed)}, which must do without it.`);
}

const usersOf = ({ used_by: usedBy }: CredentialJson): string =>
  usedBy.map(({ provider, account }) => `${provider}/${account}`).join(', ');
