/**
 * Loads the configuration: file if there is one, else what the environment and answering local servers offer.
 *
 * All faults come at once, one per line, each with its path.
 */
import { Problem } from '../domain/problem.ts';
import { type Fault, faultsOf } from '../domain/strict-object.ts';
import { defaultModels } from '../providers/catalogue.ts';
import { presets } from '../providers/presets.ts';
import { type Environment, parseEnvironment } from './environment.ts';
import type { LocalServer } from './probe.ts';
import { readConfigFile } from './read-file.ts';
import { resolveSettings } from './resolve.ts';
import { type ConfigFile, configSchema, type ProviderFile } from './schema.ts';
import type { Settings } from './settings.ts';

const defaultFile = 'waybill.yaml';

export interface Loaded {
  readonly settings: Settings;
  readonly environment: Environment;
  /** The file used; null: none, the configuration was found. */
  readonly file: string | null;
}

/** Finds local servers; the environment holds their credentials. */
export type Probe = (env: NodeJS.ProcessEnv) => Promise<readonly LocalServer[]>;

/** @throws Problem `invalid_config`, or the code of the only fault */
export function environmentOf(env: NodeJS.ProcessEnv): Environment {
  const parsed = parseEnvironment(env);
  if (parsed.kind === 'faults') throw faultsProblem(parsed.faults, 'the environment');
  return parsed.environment;
}

/** @throws Problem `invalid_config file_unreadable`, or the code of the only fault */
export async function loadConfig(env: NodeJS.ProcessEnv, probe: Probe): Promise<Loaded> {
  const environment = environmentOf(env);
  const path = environment.WAYBILL_CONFIG ?? defaultFile;
  const read = readConfigFile(path, environment.WAYBILL_CONFIG !== undefined, env);
  if (read && 'faults' in read) throw faultsProblem(read.faults, path);
  if (!read) {
    return { settings: await discoverSettings(environment, probe), environment, file: null };
  }
  return { settings: settingsOf(read.value, environment, path), environment, file: path };
}

/** Parses what a file holds. @throws Problem `invalid_config`, or the code of the only fault */
export function settingsOf(value: unknown, environment: Environment, name: string): Settings {
  const parsed = configSchema.safeParse(value ?? {});
  if (!parsed.success) throw faultsProblem(faultsOf(parsed.error), name);
  const { settings, faults } = resolveSettings(parsed.data ?? {}, environment);
  if (faults.length > 0) throw faultsProblem(faults, name);
  return settings;
}

function faultsProblem(faults: readonly Fault[], where: string): Problem {
  const lines = faults.map((fault) => `  ${fault.path}: ${fault.message} (${fault.code})`);
  const only = faults.length === 1 ? faults[0] : undefined;
  return new Problem(
    only?.code ?? 'invalid_config',
    `Cannot use ${where}: ${faults.length} fault${faults.length === 1 ? '' : 's'}\n${lines.join('\n')}`,
    {
      param: only?.path ?? null,
    },
  );
}

/** @throws Problem `invalid_config`, or the code of the only fault */
export async function discoverSettings(environment: Environment, probe: Probe): Promise<Settings> {
  const { file, notes } = await discover(environment, probe);
  const { settings, faults } = resolveSettings(file, environment, notes);
  if (faults.length > 0) throw faultsProblem(faults, 'the environment');
  return settings;
}

/** Zero configuration: providers with a credential in the environment, and local servers that answer. */
async function discover(environment: Environment, probe: Probe): Promise<{ file: ConfigFile; notes: string[] }> {
  const found = Map.groupBy(await probe(environment.raw), ({ preset }) => preset);
  const providers: NonNullable<ConfigFile['providers']> = {};
  const notes: string[] = [];
  for (const preset of presets) {
    const variable = preset.credentialVariables.find((name) => environment.raw[name]?.trim());
    if (preset.isLocal) {
      for (const [index, server] of (found.get(preset.id) ?? []).entries()) {
        const model = environment.models[preset.id] ?? server.firstModel ?? defaultModels[preset.id];
        if (!model) notes.push(`${preset.id} answers at ${server.endpoint}, but serves no model: left out`);
        else providers[index === 0 ? preset.id : `${preset.id}-${index + 1}`] = localServer(server, model);
      }
    } else if (variable && preset.endpoint === null)
      notes.push(`${variable} is set, but ${preset.id} has no usual address: name its endpoints in a file; left out`);
    else if (variable) providers[preset.id] = {} as ProviderFile;
  }
  return { file: { providers } as ConfigFile, notes };
}

const localServer = ({ preset, endpoint }: LocalServer, model: string): ProviderFile =>
  ({ preset, base_url: endpoint, models: { [model]: {} } }) as unknown as ProviderFile;
