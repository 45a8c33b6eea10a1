/**
 * The credentials of every provider as they are now.
 *
 * Files and stored ones are read again while the process runs, so that a fresh credential heals without a restart. One
 * that cannot be read for a moment stays as it was.
 */
import { readFile, stat } from 'node:fs/promises';
import type { CredentialSettings, ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import { credentialId } from '@waybill/shared/security/credential-id.ts';
import type { Sealer } from '@waybill/shared/security/seal.ts';
import { Secret } from '@waybill/shared/security/secret.ts';
import { readCredentials } from '@waybill/shared/store/credentials.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { startLoop } from './loop.ts';

export interface Credential {
  /** Changes with the secret. */
  readonly id: string;
  readonly name: string;
  readonly account: string;
  readonly secret: Secret;
}

export interface Credentials {
  /** Those that can be read. */
  of(provider: ProviderSettings): readonly Credential[];
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

/** How often they are looked at when nobody says that they changed. */
const refreshEveryMs = 30_000;

export interface CredentialsOptions {
  readonly database: Database;
  readonly settings: () => Settings;
  readonly sealer: Sealer;
  readonly logger: Logger;
  /** A fresh secret was found that nobody had told of. */
  readonly onChange?: () => void;
  readonly everyMs?: number;
}

export async function startCredentials(options: CredentialsOptions): Promise<Credentials> {
  /** By source and name; credentials that stand in the environment are not here. */
  const read = new Map<string, Secret>();
  const refresh = () => readAll(options, read);
  await refresh();
  const loop = startLoop({
    name: 'credentials',
    intervalMs: options.everyMs ?? refreshEveryMs,
    logger: options.logger,
    round: async () => {
      const before = fingerprintOf(read);
      await refresh();
      if (fingerprintOf(read) !== before) options.onChange?.();
      return undefined;
    },
  });
  return {
    of: ({ credentials }) => credentials.flatMap((each) => current(each, read)),
    refresh,
    stop: () => loop.stop(),
  };
}

const fingerprintOf = (read: ReadonlyMap<string, Secret>): string =>
  [...read].map(([key, secret]) => credentialId(key, secret)).join();

const keyOf = ({ name, source }: CredentialSettings): string => `${source.kind} ${name}`;

function current(credential: CredentialSettings, read: ReadonlyMap<string, Secret>): Credential[] {
  const { name, account, source } = credential;
  const secret = read.get(keyOf(credential)) ?? (source.kind === 'stored' ? null : source.secret);
  return secret === null ? [] : [{ id: credentialId(name, secret), name, account, secret }];
}

/** Empty: it was written while it was read, which may have got half of it. The next look gets the whole. */
async function readSettled(path: string): Promise<string> {
  const before = await stat(path);
  const text = await readFile(path, 'utf8');
  const after = await stat(path);
  return before.size === after.size && before.mtimeMs === after.mtimeMs ? text : '';
}

async function readAll({ database, settings, sealer, logger }: CredentialsOptions, read: Map<string, Secret>) {
  const all = Object.values(settings().providers).flatMap((provider) => provider.credentials);
  for (const credential of all) {
    if (credential.source.kind !== 'file') continue;
    const text = await readSettled(credential.source.path).catch(() => '');
    if (text.trim() !== '') read.set(keyOf(credential), new Secret(text.trim()));
  }
  const stored = all.filter(({ source }) => source.kind === 'stored');
  if (stored.length === 0) return;
  try {
    const secrets = await readCredentials(database, sealer);
    for (const credential of stored) {
      const secret = secrets.get(credential.name);
      if (secret) read.set(keyOf(credential), secret);
      else read.delete(keyOf(credential));
    }
  } catch (error) {
    logger.warn({ err: error }, 'stored credentials could not be read');
  }
}
