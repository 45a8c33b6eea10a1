/** A parsed file and environment -> the settings in force. Collects every fault instead of stopping at the first. */
import { createHash } from 'node:crypto';
import { type Fault, nearestHint } from '../domain/strict-object.ts';
import { presetOf } from '../providers/presets.ts';
import { Secret } from '../security/secret.ts';
import { defaultHealth, defaultTimeouts, defaultWebhookTimeoutMs, localFirstByteMs } from './defaults.ts';
import type { Environment } from './environment.ts';
import { neverMatches } from './never-matches.ts';
import { alone, chainFromEnvironment, checkTargets, defaultTargets, resolveChain } from './resolve-chain.ts';
import { resolveCredentials } from './resolve-credential.ts';
import { noRateLimits, resolveLimits } from './resolve-limits.ts';
import { resolvePolicy } from './resolve-policy.ts';
import type { ConfigFile, ProviderFile } from './schema.ts';
import type {
  ChainSettings,
  EndpointSettings,
  HealthSettings,
  ModelSettings,
  ProviderSettings,
  Settings,
} from './settings.ts';

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
    checkTargets(
      name,
      chain.targets.flat().map(({ target }) => target),
      Object.keys(file.providers ?? {}),
      faults,
    );
    const { total, first_byte: firstByte } = chain.timeouts ?? {};
    if (total !== undefined && firstByte !== undefined && total < firstByte)
      faults.push(shorterThanFirstByte(`chains.${name}.timeouts`, total, firstByte));
    chains[name] = resolveChain(name, chain);
  }
  const hasOwnDefault = chains.default !== undefined;
  if (!hasOwnDefault) {
    const targets = defaultTargets(providers, environment);
    if (targets.length > 0)
      chains.default = resolveChain('default', {
        targets: targets.map(alone),
        ...chainFromEnvironment(environment),
      });
  }
  if (hasOwnDefault) said.push(...unusedVariables(environment));
  for (const [variable, name] of namedInEnvironment(environment)) {
    if (!providers[name])
      said.push(`${variable} names "${name}", which is not configured${nearestHint(name, Object.keys(providers))}`);
  }
  const webhooks = {
    allowNetworks: file.webhooks?.allow_networks ?? [],
    timeoutMs: file.webhooks?.timeout ?? defaultWebhookTimeoutMs,
  };
  const policy = resolvePolicy(file, environment, Object.keys(chains), faults);
  const version = versionOf({ providers, chains, webhooks, policy });
  said.push(...neverMatches({ providers, chains, ...policy, webhooks }));
  return { settings: { version, providers, chains, ...policy, webhooks, notes: said }, faults };
}

/** Variables that shape the chain "default", when the file has one of its own. */
function unusedVariables(environment: Environment): string[] {
  const shaping = [
    'LLM_PROVIDER_PRIORITY',
    'LLM_FALLBACK_MODE',
    'PRIMARY_PROVIDER',
    'SECONDARY_PROVIDER',
    'FALLBACK_PROVIDER',
    'PROVIDER_RETRY_ATTEMPTS',
    'PROVIDER_LOAD_BALANCE',
    'ENABLE_PROVIDER_SYSTEM',
  ] as const;
  return shaping
    .filter((variable) => environment[variable] !== undefined)
    .map((variable) => `${variable} has no effect: the configuration file has a chain "default" of its own`);
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
  if (!preset) return null;
  const endpoints = resolveEndpoints(id, file, environment, preset.endpoint);
  if (endpoints.length === 0)
    faults.push({ path, code: 'invalid_config', message: 'has no address: name a preset, or give endpoints' });
  const isLocal = preset.isLocal || (file.labels ?? []).includes('local');
  const timeouts = resolveTimeouts(id, file.timeouts, isLocal, environment);
  if (timeouts.totalMs < timeouts.firstByteMs)
    faults.push(shorterThanFirstByte(`${path}.timeouts`, timeouts.totalMs, timeouts.firstByteMs));
  const enabled = (file.enabled ?? true) && !(environment.WAYBILL_DISABLE ?? []).includes(id);
  return {
    id,
    dialect: preset.dialect,
    preset: preset.id,
    endpoints,
    enabled,
    credentials: resolveCredentials(path, file, preset, enabled, environment, faults, notes),
    apiVersion: file.api_version ?? preset.apiVersion,
    headers: headersOf(file),
    labels: [...new Set([...(isLocal ? ['local'] : []), ...(file.labels ?? [])])],
    isLocal,
    concurrency: file.limits?.concurrency ?? preset.concurrency,
    limits: { ...noRateLimits, ...resolveLimits(file.limits) },
    timeouts,
    health: resolveHealth(file.health),
    quirks: { ...preset.quirks, ...file.quirks },
    lacks: preset.lacks,
    pricesAs: preset.pricesAs,
    models: Object.fromEntries(Object.entries(file.models ?? {}).map(([model, entry]) => [model, resolveModel(entry)])),
  };
}

function resolveEndpoints(
  id: string,
  file: ProviderFile,
  environment: Environment,
  usual: string | null,
): EndpointSettings[] {
  const named = file.base_url === undefined ? file.endpoints : [file.base_url];
  const found = named ?? [endpointFromEnvironment(id, environment) ?? usual ?? []].flat();
  return found.map((each) =>
    typeof each === 'string'
      ? { url: each, concurrency: null }
      : { url: each.url, concurrency: each.concurrency ?? null },
  );
}

function headersOf({ organization, project, headers }: ProviderFile): Record<string, Secret> {
  const all = {
    ...(organization === undefined ? {} : { 'openai-organization': organization }),
    ...(project === undefined ? {} : { 'openai-project': project }),
    ...Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])),
  };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, new Secret(value)]));
}

const resolveHealth = (file: ProviderFile['health']): HealthSettings => ({
  everyMs: file?.every ?? defaultHealth.everyMs,
  timeoutMs: file?.timeout ?? defaultHealth.timeoutMs,
  failuresToUnhealthy: file?.failures_to_unhealthy ?? defaultHealth.failuresToUnhealthy,
  successesToRecover: file?.successes_to_recover ?? defaultHealth.successesToRecover,
  leastSuccessRate: file?.least_success_rate ?? defaultHealth.leastSuccessRate,
  isProbed: file?.probe ?? defaultHealth.isProbed,
});

const shorterThanFirstByte = (path: string, totalMs: number, firstByteMs: number): Fault => ({
  path,
  code: 'invalid_config',
  message: `total (${totalMs} ms) is shorter than first_byte (${firstByteMs} ms)`,
});

function resolveModel(entry: NonNullable<ProviderFile['models']>[string]): ModelSettings {
  const { input_usd_per_million: input, output_usd_per_million: output } = entry;
  return {
    concurrency: entry.limits?.concurrency ?? null,
    limits: resolveLimits(entry.limits),
    contextWindow: entry.context_window ?? null,
    capabilities: entry.capabilities ?? null,
    servedAs: entry.deployment ?? null,
    defaults: entry.defaults ?? {},
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
  (id === 'openai' ? environment.OPENAI_BASE_URL : id === 'gemini' ? environment.GEMINI_API_URL : undefined)?.replace(
    /\/+$/,
    '',
  );

function versionOf(parts: unknown): string {
  const text = JSON.stringify(parts, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
