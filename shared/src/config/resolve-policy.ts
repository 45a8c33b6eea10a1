/** What holds for all jobs: classes, breaker, privacy, budgets, tenants. */
import { type Fault, nearestHint } from '../domain/strict-object.ts';
import { defaultBreaker } from '../routing/breaker.ts';
import { type BudgetRule, budgetRuleId } from '../routing/budgets.ts';
import type { Environment } from './environment.ts';
import type { ConfigFile } from './schema.ts';
import type { Classifier, Settings, TenantSettings } from './settings.ts';

type Policy = Pick<Settings, 'classifiers' | 'breaker' | 'privacy' | 'budgets' | 'tenants' | 'hasRouteHeaders'>;

export function resolvePolicy(
  file: ConfigFile,
  environment: Environment,
  chains: readonly string[],
  faults: Fault[],
): Policy {
  const checkChain = (path: string, name: string | undefined, known = chains): void => {
    if (name === undefined || known.includes(name)) return;
    const message = `no chain "${name}" is configured${nearestHint(name, known)}`;
    faults.push({ path, code: 'invalid_config', message });
  };
  const classifiers = resolveClassifiers(file, chains, checkChain, faults);
  // A tenant's chain may be a class of chains.
  const names = [...chains, ...Object.keys(classifiers)];
  for (const [name, tenant] of Object.entries(file.tenants ?? {}))
    checkChain(`tenants.${name}.chain`, tenant.chain, names);
  return {
    classifiers,
    breaker: resolveBreaker(file.breaker, environment, faults),
    privacy: {
      isCloudOn: (environment.WAYBILL_CLOUD ?? 'on') === 'on' && (file.privacy?.cloud ?? 'on') === 'on',
      detect: file.privacy?.detect ?? [],
      unreadFiles: file.privacy?.unread_files ?? 'found',
      require: file.privacy?.require ?? ['local'],
    },
    budgets: resolveBudgets(file.budgets ?? [], faults),
    tenants: Object.fromEntries(Object.entries(file.tenants ?? {}).map(([name, tenant]) => [name, toTenant(tenant)])),
    hasRouteHeaders: file.api?.route_headers ?? true,
  };
}

function resolveClassifiers(
  file: ConfigFile,
  chains: readonly string[],
  checkChain: (path: string, name: string | undefined) => void,
  faults: Fault[],
): Record<string, Classifier> {
  const found: Record<string, Classifier> = {};
  for (const [name, entry] of Object.entries(file.classify ?? {})) {
    if (chains.includes(name))
      faults.push({ path: `classify.${name}`, code: 'invalid_config', message: `a chain has the name "${name}" too` });
    for (const key of ['vision', 'tools', 'short', 'long', 'otherwise'] as const)
      checkChain(`classify.${name}.${key}`, entry[key]);
    found[name] = {
      vision: entry.vision ?? null,
      tools: entry.tools ?? null,
      short: entry.short ?? null,
      long: entry.long ?? null,
      otherwise: entry.otherwise,
      longFrom: entry.long_from ?? 8_000,
    };
  }
  return found;
}

function resolveBreaker(file: ConfigFile['breaker'], environment: Environment, faults: Fault[]): Settings['breaker'] {
  const cooldownMs = file?.cooldown ?? environment.LLM_PROVIDER_COOLDOWN_SEC ?? defaultBreaker.cooldownMs;
  const maxCooldownMs = file?.max_cooldown ?? Math.max(defaultBreaker.maxCooldownMs, cooldownMs);
  if (maxCooldownMs < cooldownMs) {
    const message = `max_cooldown (${maxCooldownMs} ms) is shorter than cooldown (${cooldownMs} ms)`;
    faults.push({ path: 'breaker.max_cooldown', code: 'invalid_config', message });
  }
  return {
    consecutiveFailures: file?.consecutive_failures ?? defaultBreaker.consecutiveFailures,
    failureRate: file?.failure_rate ?? defaultBreaker.failureRate,
    minimumCalls: file?.minimum_calls ?? defaultBreaker.minimumCalls,
    windowMs: file?.window ?? defaultBreaker.windowMs,
    cooldownMs,
    maxCooldownMs,
    successesToClose: file?.successes_to_close ?? defaultBreaker.successesToClose,
    isAdaptive: file?.adaptive ?? defaultBreaker.isAdaptive,
    latencySpike: file?.latency_spike ?? defaultBreaker.latencySpike,
  };
}

/** Those that are about certain names come first: they win over the one that is about each. */
function resolveBudgets(entries: NonNullable<ConfigFile['budgets']>, faults: Fault[]): BudgetRule[] {
  const rules = entries.map((entry, index): BudgetRule => {
    const field = entry.field ?? null;
    if (entries.slice(0, index).some((each) => countsTheSame(each, entry))) {
      const message = 'another budget counts the same: give each its own "only"';
      faults.push({ path: `budgets[${index}]`, code: 'invalid_config', message });
    }
    return {
      id: budgetRuleId({ per: entry.per, field, period: entry.period }),
      per: entry.per,
      field,
      only: entry.only ?? null,
      period: entry.period,
      limitNano: entry.limit_usd,
      alertAt: [...new Set(entry.alert_at ?? [0.5, 0.8, 1])].toSorted((a, b) => a - b),
      reserve: entry.reserve ?? 'expected',
      onExceeded: entry.on_exceeded ?? 'reject',
      onUnknownPrice: entry.on_unknown_price ?? 'reserve_max',
    };
  });
  return rules.toSorted((a, b) => Number(a.only === null) - Number(b.only === null));
}

type BudgetFile = NonNullable<ConfigFile['budgets']>[number];

function countsTheSame(one: BudgetFile, other: BudgetFile): boolean {
  if (one.per !== other.per || one.field !== other.field || one.period !== other.period) return false;
  if (one.only === undefined || other.only === undefined) return one.only === other.only;
  return one.only.some((name) => other.only?.includes(name));
}

const toTenant = (file: NonNullable<ConfigFile['tenants']>[string]): TenantSettings => ({
  weight: file.weight ?? 1,
  chain: file.chain ?? null,
  require: file.require ?? [],
  excludeProviders: file.exclude_providers ?? [],
});
