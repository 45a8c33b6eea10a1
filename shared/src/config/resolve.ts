/** A parsed file and environment -> the settings in force. Collects every fault instead of stopping at the first. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FailureAction, FailureKind } from '../domain/failure.ts';
import { splitTarget } from '../domain/job.ts';
import { type Fault, nearestHint } from '../domain/strict-object.ts';
import { defaultModels, knownModels } from '../providers/catalogue.ts';
import { type Preset, presetOf } from '../providers/presets.ts';
import { Secret } from '../security/secret.ts';
import {
  defaultBackoff,
  defaultMaxAttempts,
  defaultOnLimitMs,
  defaultSameTargetRetries,
  defaultTimeouts,
  defaultWebhookTimeoutMs,
  localFirstByteMs,
} from './defaults.ts';
import type { Environment } from './environment.ts';
import type { ChainFile, ConfigFile, ProviderFile } from './schema.ts';
import type { ChainSettings, ModelSettings, ProviderSettings, Settings } from './settings.ts';

export interface Resolution {
  readonly settings: Settings;
  readonly faults: readonly Fault[];
}

export function resolveSettings(file: ConfigFile, environment: Environment, notes: readonly string[] = []): Resolution {
  const faults: Fault[] = [];
  const said = [...notes];
  const providers: Record<string, ProviderSettings> = {};
  for (const [id, entry] of Object.entries(file.providers ?? {})) {
    const provider = resolveProvider(id, entry ?? {}, environment, faults, said);
    if (provider) providers[id] = provider;
  }
  const chains: Record<string, ChainSettings> = {};
  for (const [name, chain] of Object.entries(file.chains ?? {})) {
    checkTargets(name, chain.targets, Object.keys(file.providers ?? {}), faults);
    const { total, first_byte: firstByte } = chain.timeouts ?? {};
    if (total !== undefined && firstByte !== undefined && total < firstByte)
      faults.push(shorterThanFirstByte(`chains.${name}.timeouts`, total, firstByte));
    chains[name] = resolveChain(name, chain);
  }
  if (!chains.default) {
    const targets = defaultTargets(providers, environment);
    if (targets.length > 0) chains.default = resolveChain('default', { targets, ...chainFromEnvironment(environment) });
  }
  for (const [variable, name] of namedInEnvironment(environment)) {
    if (!providers[name])
      said.push(`${variable} names "${name}", which is not configured${nearestHint(name, Object.keys(providers))}`);
  }
  const webhooks = {
    allowNetworks: file.webhooks?.allow_networks ?? [],
    timeoutMs: file.webhooks?.timeout ?? defaultWebhookTimeoutMs,
  };
  const version = versionOf({ providers, chains, webhooks });
  return { settings: { version, providers, chains, webhooks, notes: said }, faults };
}

/** Providers that variables name: one that is not there must not pass without a word. */
function namedInEnvironment(environment: Environment): [variable: string, name: string][] {
  const single = ['PRIMARY_PROVIDER', 'SECONDARY_PROVIDER', 'FALLBACK_PROVIDER'] as const;
  return [
    ...(environment.WAYBILL_DISABLE ?? []).map((name): [string, string] => ['WAYBILL_DISABLE', name]),
    ...(environment.LLM_PROVIDER_PRIORITY ?? []).map((name): [string, string] => ['LLM_PROVIDER_PRIORITY', name]),
    ...Object.keys(environment.LLM_PROVIDER_TIMEOUTS ?? {}).map((name): [string, string] => [
      'LLM_PROVIDER_TIMEOUTS',
      name,
    ]),
    ...single.flatMap((variable): [string, string][] => {
      const name = environment[variable];
      return name === undefined ? [] : [[variable, name]];
    }),
  ];
}

function resolveProvider(
  id: string,
  file: ProviderFile,
  environment: Environment,
  faults: Fault[],
  notes: string[],
): ProviderSettings | null {
  const path = `providers.${id}`;
  const preset = presetOf(file.preset ?? id) ?? (file.preset === undefined ? presetOf('openai-compatible') : undefined);
  if (!preset?.dialect) {
    faults.push({
      path,
      code: 'not_supported_yet',
      message: `the preset "${file.preset ?? id}" is not supported yet; remove the provider`,
    });
    return null;
  }
  const endpoint = file.base_url ?? file.endpoints?.[0] ?? endpointFromEnvironment(id, environment) ?? preset.endpoint;
  if (!endpoint)
    faults.push({ path, code: 'invalid_config', message: 'has no address: name a preset, or give endpoints' });
  const isLocal = preset.isLocal || (file.labels ?? []).includes('local');
  const timeouts = resolveTimeouts(id, file.timeouts, isLocal, environment);
  if (timeouts.totalMs < timeouts.firstByteMs)
    faults.push(shorterThanFirstByte(`${path}.timeouts`, timeouts.totalMs, timeouts.firstByteMs));
  const enabled = (file.enabled ?? true) && !(environment.WAYBILL_DISABLE ?? []).includes(id);
  return {
    id,
    dialect: preset.dialect,
    endpoint: endpoint ?? '',
    enabled,
    credential: resolveCredential(path, file, preset, enabled, environment, faults, notes),
    labels: [...new Set([...(isLocal ? ['local'] : []), ...(file.labels ?? [])])],
    isLocal,
    concurrency: file.limits?.concurrency ?? preset.concurrency,
    timeouts,
    quirks: preset.quirks,
    pricesAs: preset.pricesAs,
    models: Object.fromEntries(Object.entries(file.models ?? {}).map(([model, entry]) => [model, resolveModel(entry)])),
  };
}

const shorterThanFirstByte = (path: string, totalMs: number, firstByteMs: number): Fault => ({
  path,
  code: 'invalid_config',
  message: `total (${totalMs} ms) is shorter than first_byte (${firstByteMs} ms)`,
});

function resolveModel(entry: NonNullable<ProviderFile['models']>[string]): ModelSettings {
  const { input_usd_per_million: input, output_usd_per_million: output } = entry;
  return {
    concurrency: entry.limits?.concurrency ?? null,
    contextWindow: entry.context_window ?? null,
    capabilities: entry.capabilities ?? null,
    price: input === undefined || output === undefined ? null : { inputPerMillion: input, outputPerMillion: output },
  };
}

function resolveTimeouts(id: string, file: ProviderFile['timeouts'], isLocal: boolean, environment: Environment) {
  const firstByteMs =
    file?.first_byte ??
    environment.LLM_PROVIDER_TIMEOUTS?.[id] ??
    environment.PROVIDER_TIMEOUT ??
    (isLocal ? localFirstByteMs : defaultTimeouts.firstByteMs);
  return {
    connectMs: file?.connect ?? defaultTimeouts.connectMs,
    firstByteMs,
    idleMs: file?.idle ?? defaultTimeouts.idleMs,
    totalMs: file?.total ?? Math.max(defaultTimeouts.totalMs, firstByteMs),
  };
}

const endpointFromEnvironment = (id: string, environment: Environment): string | undefined =>
  id === 'openai' ? environment.OPENAI_BASE_URL?.replace(/\/+$/, '') : undefined;

function resolveCredential(
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

function checkTargets(
  chain: string,
  targets: readonly string[],
  providerIds: readonly string[],
  faults: Fault[],
): void {
  targets.forEach((target, index) => {
    const { provider } = splitTarget(target);
    const path = `chains.${chain}.targets[${index}]`;
    if (!providerIds.includes(provider)) {
      faults.push({
        path,
        code: 'invalid_config',
        message: `no provider "${provider}" is configured${nearestHint(provider, providerIds)}`,
      });
    }
    if (targets.indexOf(target) !== index)
      faults.push({ path, code: 'invalid_config', message: `"${target}" stands in the chain twice` });
  });
}

function resolveChain(name: string, file: ChainFile): ChainSettings {
  return {
    name,
    targets: file.targets,
    strategy: file.strategy ?? 'ordered',
    mode: file.mode ?? 'graceful',
    sameTargetRetries: file.same_target_retries ?? defaultSameTargetRetries,
    maxAttempts: file.max_attempts ?? defaultMaxAttempts,
    onLimitMs: {
      interactive: file.on_limit?.interactive === undefined ? defaultOnLimitMs.interactive : file.on_limit.interactive,
      normal: file.on_limit?.normal === undefined ? defaultOnLimitMs.normal : file.on_limit.normal,
      bulk: file.on_limit?.bulk === undefined ? defaultOnLimitMs.bulk : file.on_limit.bulk,
    },
    backoff: {
      initialMs: file.backoff?.initial ?? defaultBackoff.initialMs,
      factor: file.backoff?.factor ?? defaultBackoff.factor,
      maxMs: file.backoff?.max ?? defaultBackoff.maxMs,
      jitter: file.backoff?.jitter ?? defaultBackoff.jitter,
    },
    on: (file.on ?? {}) as Partial<Record<FailureKind, FailureAction>>,
    timeouts: {
      ...(file.timeouts?.first_byte === undefined ? {} : { firstByteMs: file.timeouts.first_byte }),
      ...(file.timeouts?.idle === undefined ? {} : { idleMs: file.timeouts.idle }),
      ...(file.timeouts?.total === undefined ? {} : { totalMs: file.timeouts.total }),
    },
  };
}

/** A chain for a request that names a target directly: that target alone, with the default policy. */
export const chainOfTarget = (target: string): ChainSettings => resolveChain(target, { targets: [target] });

/** Providers in the order they were found: local first, then the presets' order, or as the environment asks. */
function defaultTargets(providers: Readonly<Record<string, ProviderSettings>>, environment: Environment): string[] {
  const asked =
    environment.LLM_PROVIDER_PRIORITY ??
    [environment.PRIMARY_PROVIDER, environment.SECONDARY_PROVIDER, environment.FALLBACK_PROVIDER].filter(
      (name) => name !== undefined,
    );
  const rest = Object.values(providers)
    .toSorted((a, b) => Number(b.isLocal) - Number(a.isLocal))
    .map((provider) => provider.id);
  const order = asked.length > 0 ? asked.filter((id) => providers[id]) : rest;
  const targets = order.flatMap((id) => {
    const model = environment.models[id] ?? Object.keys(providers[id]?.models ?? {})[0] ?? defaultModels[id];
    return model ? [`${id}/${model}`] : [];
  });
  return environment.ENABLE_PROVIDER_SYSTEM === false ? targets.slice(0, 1) : targets;
}

function chainFromEnvironment(environment: Environment): Partial<ChainFile> {
  return {
    ...(environment.LLM_FALLBACK_MODE === undefined ? {} : { mode: environment.LLM_FALLBACK_MODE }),
    ...(environment.PROVIDER_RETRY_ATTEMPTS === undefined
      ? {}
      : { same_target_retries: environment.PROVIDER_RETRY_ATTEMPTS }),
    ...(environment.PROVIDER_LOAD_BALANCE ? { strategy: 'round_robin' as const } : {}),
  };
}

/** What is known of a model: configured first, then the catalogue. */
export function modelSettings(provider: ProviderSettings, model: string): ModelSettings {
  const configured = provider.models[model];
  return {
    concurrency: configured?.concurrency ?? null,
    contextWindow: configured?.contextWindow ?? knownModels[model]?.contextWindow ?? null,
    capabilities: configured?.capabilities ?? null,
    price: configured?.price ?? null,
  };
}

/** Calls at once to a target, over the fleet. */
export const concurrencyOf = (provider: ProviderSettings, model: string): number =>
  provider.models[model]?.concurrency ?? provider.concurrency;

function versionOf(parts: unknown): string {
  const text = JSON.stringify(parts, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
