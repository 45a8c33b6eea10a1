/** Where a provider's credential comes from: the file itself, a file it names, or the environment. */
import { readFileSync } from 'node:fs';
import type { Fault } from '../domain/strict-object.ts';
import type { Preset } from '../providers/presets.ts';
import { Secret } from '../security/secret.ts';
import type { Environment } from './environment.ts';
import type { ProviderFile } from './schema.ts';
import type { ProviderSettings } from './settings.ts';

export function resolveCredential(
  path: string,
  file: ProviderFile,
  preset: Preset,
  enabled: boolean,
  environment: Environment,
  faults: Fault[],
  notes: string[],
): ProviderSettings['credential'] {
  const entry = file.credentials?.[0];
  const account = entry?.account ?? 'default';
  const fault = (message: string) => faults.push({ path: `${path}.credentials`, code: 'invalid_config', message });
  if (file.api_key !== undefined) {
    // `${NAME}` is already replaced here; what came from a variable does not stand in the file.
    const isFromVariable = Object.values(environment.raw).some((value) => value?.trim() === file.api_key);
    if (!isFromVariable && /^(?:sk-|gsk_|AIza)/.test(file.api_key))
      notes.push(`${path}.api_key holds a credential in clear; write credentials: [{ env: NAME }] instead`);
    return { name: 'api_key', account, secret: new Secret(file.api_key) };
  }
  if (entry?.file !== undefined) return credentialFromFile(entry.file, account, fault);
  const names = entry?.env === undefined ? preset.credentialVariables : [entry.env];
  for (const name of names) {
    const value = environment.raw[name]?.trim();
    if (value && /^["'].*["']$/.test(value)) fault(`the variable ${name} is wrapped in quotes; remove them`);
    if (value) return { name, account, secret: new Secret(value) };
  }
  if (enabled && (entry !== undefined || preset.needsCredential))
    fault(`no credential: set ${names[0] ?? 'a credential'}, or disable the provider`);
  return null;
}

function credentialFromFile(
  file: string,
  account: string,
  fault: (message: string) => void,
): ProviderSettings['credential'] {
  try {
    const value = readFileSync(file, 'utf8').trim();
    if (value === '') fault(`the file ${file} is empty`);
    return { name: file, account, secret: new Secret(value) };
  } catch {
    fault(`the file ${file} cannot be read`);
    return null;
  }
}
