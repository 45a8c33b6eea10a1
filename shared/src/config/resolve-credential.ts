/** Where a provider's credentials come from: the file itself, files it names, the environment, or the database. */
import { readFileSync } from 'node:fs';
import type { Fault } from '../domain/strict-object.ts';
import type { Preset } from '../providers/presets.ts';
import { Secret } from '../security/secret.ts';
import type { Environment } from './environment.ts';
import { soleAccount } from './model-settings.ts';
import type { ProviderFile } from './schema.ts';
import type { CredentialSettings } from './settings.ts';

type Say = (message: string) => void;

export function resolveCredentials(
  path: string,
  file: ProviderFile,
  preset: Preset,
  enabled: boolean,
  environment: Environment,
  faults: Fault[],
  notes: string[],
): CredentialSettings[] {
  const fault = (message: string) => faults.push({ path: `${path}.credentials`, code: 'invalid_config', message });
  if (file.api_key !== undefined) return [inTheFile(path, file.api_key, environment, notes)];
  const named = (file.credentials ?? []).flatMap((entry) => fromEntry(entry, enabled, environment, fault));
  const twice = named.find(({ name }, index) => named.findIndex((other) => other.name === name) !== index);
  if (twice) fault(`the credential "${twice.name}" is named twice`);
  if (file.credentials !== undefined && file.credentials.length > 0) return named;
  const usual = preset.credentialVariables.flatMap((name) => fromVariable(name, soleAccount, environment, fault));
  if (enabled && preset.needsCredential && usual.length === 0)
    fault(`no credential: set ${preset.credentialVariables[0] ?? 'a credential'}, or disable the provider`);
  return usual.slice(0, 1);
}

function inTheFile(path: string, key: string, environment: Environment, notes: string[]): CredentialSettings {
  // `${NAME}` is already replaced here; what came from a variable does not stand in the file.
  const isFromVariable = Object.values(environment.raw).some((value) => value?.trim() === key);
  if (!isFromVariable && /^(?:sk-|gsk_|AIza)/.test(key))
    notes.push(`${path}.api_key holds a credential in clear; write credentials: [{ env: NAME }] instead`);
  return { name: 'api_key', account: soleAccount, source: { kind: 'fixed', secret: new Secret(key) } };
}

function fromEntry(
  { env, file, stored, account = soleAccount }: NonNullable<ProviderFile['credentials']>[number],
  enabled: boolean,
  environment: Environment,
  fault: Say,
): CredentialSettings[] {
  if (stored !== undefined) return [{ name: stored, account, source: { kind: 'stored' } }];
  if (file !== undefined) return fromFile(file, account, fault);
  const found = fromVariable(env ?? '', account, environment, fault);
  if (found.length === 0 && enabled) fault(`no credential: set ${env}, or disable the provider`);
  return found;
}

function fromVariable(name: string, account: string, environment: Environment, fault: Say): CredentialSettings[] {
  const value = environment.raw[name]?.trim();
  if (!value) return [];
  if (/^["'].*["']$/.test(value)) fault(`the variable ${name} is wrapped in quotes; remove them`);
  return [{ name, account, source: { kind: 'fixed', secret: new Secret(value) } }];
}

function fromFile(path: string, account: string, fault: Say): CredentialSettings[] {
  try {
    const value = readFileSync(path, 'utf8').trim();
    if (value === '') fault(`the file ${path} is empty`);
    return [{ name: path, account, source: { kind: 'file', path, secret: new Secret(value) } }];
  } catch {
    fault(`the file ${path} cannot be read`);
    return [];
  }
}
