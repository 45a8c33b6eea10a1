/** Chains: from the file, from the environment, or of a single target. */
import type { FailureAction, FailureKind } from '../domain/failure.ts';
import { splitTarget } from '../domain/job.ts';
import { type Fault, nearestHint } from '../domain/strict-object.ts';
import { defaultModels } from '../providers/catalogue.ts';
import { defaultBackoff, defaultMaxAttempts, defaultOnLimitMs, defaultSameTargetRetries } from './defaults.ts';
import type { Environment } from './environment.ts';
import type { ChainFile } from './schema.ts';
import type { ChainSettings, ProviderSettings, ScoreWeights } from './settings.ts';

export function checkTargets(
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

export function resolveChain(name: string, file: ChainFile): ChainSettings {
  const items = file.targets.flat();
  return {
    name,
    targets: items.map(({ target }) => target),
    tiers: file.targets.map((tier) => tier.map(({ target }) => target)),
    weights: Object.fromEntries(items.map(({ target, weight }) => [target, weight])),
    params: Object.fromEntries(items.map(({ target, params }) => [target, params])),
    strategy: file.strategy ?? 'ordered',
    score: scoreWeights(file.score),
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
    onUnavailable: file.on_unavailable ?? 'next',
    onLength: file.on_length ?? 'accept',
    resume: file.resume ?? 'restart',
    lastResort: file.last_resort?.content ?? null,
  };
}

/** One that is named alone counts alone. */
const scoreWeights = (file: ChainFile['score']): ScoreWeights =>
  file === undefined
    ? { cost: 1, latency: 1, reliability: 1 }
    : { cost: file.cost ?? 0, latency: file.latency ?? 0, reliability: file.reliability ?? 0 };

/** A chain for a request that names a target directly: that target alone, with the default policy. */
export const chainOfTarget = (target: string): ChainSettings => resolveChain(target, { targets: [alone(target)] });

/** A target as an item of a chain that says nothing more of it. */
export const alone = (target: string): ChainFile['targets'][number] => [{ target, weight: 1, params: {} }];

/** Providers in the order they were found: local first, then the presets' order, or as the environment asks. */
export function defaultTargets(
  providers: Readonly<Record<string, ProviderSettings>>,
  environment: Environment,
): string[] {
  const asked =
    environment.LLM_PROVIDER_PRIORITY ??
    [environment.PRIMARY_PROVIDER, environment.SECONDARY_PROVIDER, environment.FALLBACK_PROVIDER].filter(
      (name) => name !== undefined,
    );
  const rest = Object.values(providers)
    .filter((provider) => provider.enabled)
    .toSorted((a, b) => Number(b.isLocal) - Number(a.isLocal))
    .map((provider) => provider.id);
  const order = asked.length > 0 ? asked.filter((id) => providers[id]?.enabled) : rest;
  const targets = order.flatMap((id) => {
    const model = environment.models[id] ?? Object.keys(providers[id]?.models ?? {})[0] ?? defaultModels[id];
    return model ? [`${id}/${model}`] : [];
  });
  return environment.ENABLE_PROVIDER_SYSTEM === false ? targets.slice(0, 1) : targets;
}

export function chainFromEnvironment(environment: Environment): Partial<ChainFile> {
  return {
    ...(environment.LLM_FALLBACK_MODE === undefined ? {} : { mode: environment.LLM_FALLBACK_MODE }),
    ...(environment.PROVIDER_RETRY_ATTEMPTS === undefined
      ? {}
      : { same_target_retries: environment.PROVIDER_RETRY_ATTEMPTS }),
    ...(environment.PROVIDER_LOAD_BALANCE ? { strategy: 'round_robin' as const } : {}),
  };
}
