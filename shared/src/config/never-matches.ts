/**
 * Rules of a configuration that are valid and can never take effect, or that refuse every job they are about. Pure.
 *
 * They are no faults: a provider may be switched on later, a tenant made later. Said at start, in a sentence each.
 */

import { assumedOutputTokens } from '../chat/tokens.ts';
import { failureRule } from '../domain/failure.ts';
import { splitTarget } from '../domain/job.ts';
import { nearestHint } from '../domain/strict-object.ts';
import { rateLimits } from '../routing/limits.ts';
import { modelSettings, rateLimitsOf } from './model-settings.ts';
import type { ChainSettings, Classifier, ProviderSettings, Settings } from './settings.ts';

type Rules = Omit<Settings, 'version' | 'notes'>;

export const neverMatches = (rules: Rules): string[] => [
  ...Object.values(rules.chains).flatMap((chain) => ofChain(chain, rules)),
  ...ofRequired(rules),
  ...Object.entries(rules.classifiers).flatMap(([name, classifier]) => ofClassifier(name, classifier, rules)),
  ...ofBudgets(rules),
  ...Object.values(rules.providers).flatMap(ofLimits),
];

const list = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');
const providerOf = (target: string, { providers }: Pick<Rules, 'providers'>): ProviderSettings | undefined => {
  const { provider } = splitTarget(target);
  return Object.hasOwn(providers, provider) ? providers[provider] : undefined;
};
const isOn = (target: string, rules: Rules): boolean => providerOf(target, rules)?.enabled === true;

function ofChain(chain: ChainSettings, rules: Rules): string[] {
  const path = `chains.${chain.name}`;
  const off = chain.targets.filter((target) => !isOn(target, rules));
  const isCloudOnly = !chain.targets.some((target) => providerOf(target, rules)?.labels.includes('local'));
  return [
    ...offNote(path, off, chain),
    ...(rules.privacy.isCloudOn || !isCloudOnly
      ? []
      : [`${path}: the cloud is off and no target of it is local, so every job of it is refused`]),
    ...ofSamePlace(chain, rules),
    ...ofWeights(chain),
    ...ofScore(chain),
    ...ofActions(chain),
  ];
}

function offNote(path: string, off: readonly string[], { targets }: ChainSettings): string[] {
  if (off.length === 0) return [];
  return off.length === targets.length
    ? [`${path}: every provider of it is disabled, so its jobs wait until one is enabled`]
    : [`${path}: never called, because disabled: ${list(off)}`];
}

/** Falling back to the same model at the same address meets the same failure. */
function ofSamePlace({ name, targets }: ChainSettings, rules: Rules): string[] {
  const placeOf = (target: string): string | null => {
    const provider = providerOf(target, rules);
    if (!provider) return null;
    const { model } = splitTarget(target);
    const accounts = provider.credentials.map((each) => `${each.name}/${each.account}`);
    const served = modelSettings(provider, model).servedAs ?? model;
    return JSON.stringify([served, provider.dialect, provider.endpoints.map(({ url }) => url), accounts]);
  };
  return targets.flatMap((target, index) => {
    const place = placeOf(target);
    const same = targets.slice(0, index).find((each) => place !== null && placeOf(each) === place);
    return same === undefined
      ? []
      : [
          `chains.${name}: "${target}" is the same model at the same address as "${same}": falling back to it helps nobody`,
        ];
  });
}

function ofWeights({ name, strategy, tiers, targets, weights }: ChainSettings): string[] {
  const balances = strategy === 'ordered' || strategy === 'round_robin' || strategy === 'balanced';
  const groups = strategy === 'balanced' ? [targets] : balances ? tiers : targets.map((target) => [target]);
  const idle = groups
    .filter((group) => group.length === 1)
    .flat()
    .filter((target) => (weights[target] ?? 1) !== 1);
  if (idle.length === 0) return [];
  const why = balances
    ? 'a weight counts among targets that share a tier'
    : `the strategy "${strategy}" has no weights`;
  return [`chains.${name}: the weight of ${list(idle)} has no effect: ${why}`];
}

function ofScore({ name, strategy, score: { cost, latency, reliability } }: ChainSettings): string[] {
  const isZero = cost === 0 && latency === 0 && reliability === 0;
  const isUsual = cost === 1 && latency === 1 && reliability === 1;
  if (strategy === 'scored')
    return isZero ? [`chains.${name}.score: all weights are 0, so targets stay in the order they are written in`] : [];
  return isUsual ? [] : [`chains.${name}.score has no effect: the strategy is "${strategy}", not "scored"`];
}

function ofActions({ name, on, mode, sameTargetRetries, targets }: ChainSettings): string[] {
  const kinds = Object.keys(on) as (keyof typeof on)[];
  const isNeverRetried = mode === 'immediate' || sameTargetRetries === 0;
  return kinds.flatMap((kind) => {
    const path = `chains.${name}.on.${kind}`;
    if (on[kind] === 'retry' && isNeverRetried && !failureRule(kind).waiting)
      return [
        `${path}: nothing is retried, because ${mode === 'immediate' ? 'the mode is "immediate"' : 'same_target_retries is 0'}`,
      ];
    if (on[kind] === 'fallback' && targets.length === 1)
      return [`${path}: the chain has one target, so there is none to fall back to`];
    return [];
  });
}

/** Whose labels are asked for, and by what. */
interface Requirer {
  readonly path: string;
  readonly who: string;
  readonly labels: readonly string[];
  readonly excluded: readonly string[];
  /** null: any. */
  readonly chain: string | null;
}

function ofRequired(rules: Rules): string[] {
  const { tenants, privacy, providers } = rules;
  const requirers: Requirer[] = Object.entries(tenants).map(([name, tenant]) => ({
    path: `tenants.${name}`,
    who: `jobs of the tenant "${name}"`,
    labels: tenant.require,
    excluded: tenant.excludeProviders,
    chain: tenant.chain ?? 'default',
  }));
  if (privacy.detect.length > 0)
    requirers.push({
      path: 'privacy.require',
      who: 'jobs in which a detector finds something',
      labels: privacy.require,
      excluded: [],
      chain: null,
    });
  const unknown = Object.entries(tenants).flatMap(([name, { excludeProviders }]) =>
    excludeProviders
      .filter((id) => !Object.hasOwn(providers, id))
      .map(
        (id) =>
          `tenants.${name}.exclude_providers: no provider "${id}" is configured${nearestHint(id, Object.keys(providers))}`,
      ),
  );
  return [...requirers.flatMap((each) => ofRequirer(each, rules)), ...unknown];
}

function ofRequirer({ path, who, labels, excluded, chain }: Requirer, rules: Rules): string[] {
  if (labels.length === 0 && excluded.length === 0) return [];
  const mayServe = (provider: ProviderSettings | undefined): boolean =>
    provider !== undefined &&
    !excluded.includes(provider.id) &&
    labels.every((label) => provider.labels.includes(label));
  const wanted =
    labels.length === 0 ? 'left for it' : `with ${labels.length === 1 ? 'the label' : 'all labels of'} ${list(labels)}`;
  if (!Object.values(rules.providers).some(mayServe))
    return [`${path}: there is no provider ${wanted}, so ${who} are refused`];
  const shut = Object.values(rules.chains).filter(
    ({ targets }) => !targets.some((each) => mayServe(providerOf(each, rules))),
  );
  if (shut.length === 0) return [];
  const names = list(shut.map(({ name }) => name));
  const own = shut.some(({ name }) => name === chain) ? `; "${chain}" is what it has by default` : '';
  return [
    `${path}: ${who} are refused in the chain${shut.length === 1 ? '' : 's'} ${names}, where no target is ${wanted}${own}`,
  ];
}

/** Tokens that surround a message: no chat has fewer. */
const leastTokens = 4;

function ofClassifier(name: string, { long, short, vision, tools, longFrom }: Classifier, rules: Rules): string[] {
  const path = `classify.${name}`;
  const targetsOf = (chain: string): readonly string[] =>
    (Object.hasOwn(rules.chains, chain) ? rules.chains[chain]?.targets : undefined) ?? [];
  const known = (target: string) => {
    const provider = providerOf(target, rules);
    return provider && { provider, model: modelSettings(provider, splitTarget(target).model) };
  };
  const isTooSmall = (target: string): boolean =>
    (known(target)?.model.contextWindow ?? Number.POSITIVE_INFINITY) < longFrom;
  const lacks =
    (capability: 'vision' | 'tools') =>
    (target: string): boolean => {
      const found = known(target);
      if (!found) return false;
      const { provider, model } = found;
      return (
        provider.lacks.includes(capability) ||
        model.lacks.includes(capability) ||
        model.capabilities?.includes(capability) === false
      );
    };
  const said: string[] = [];
  // Below a tenth of it a request is short.
  if (short !== null && longFrom / 10 <= leastTokens)
    said.push(`${path}.short: no chat is shorter than a tenth of long_from (${longFrom} tokens)`);
  if (long !== null && targetsOf(long).every(isTooSmall))
    said.push(`${path}.long: a request of long_from (${longFrom} tokens) fits no target of the chain "${long}"`);
  for (const [key, chain] of [
    ['vision', vision],
    ['tools', tools],
  ] as const)
    if (chain !== null && targetsOf(chain).every(lacks(key)))
      said.push(`${path}.${key}: no target of the chain "${chain}" can do "${key}", so such requests are refused`);
  return said;
}

function ofBudgets({ budgets, providers, tenants }: Rules): string[] {
  const ids = Object.keys(providers);
  const names = ['default', ...Object.keys(tenants)];
  return budgets.flatMap(({ id, per, only }) =>
    (only ?? []).flatMap((name) => {
      const path = `budgets (${id}): only names "${name.slice(0, 100)}"`;
      if (per === 'tenant' && !names.includes(name))
        return [`${path}, which is no tenant of the configuration${nearestHint(name, names)}`];
      if (per === 'provider' && !ids.includes(name))
        return [`${path}, which is no provider of the configuration${nearestHint(name, ids)}`];
      if (per !== 'model') return [];
      if (!name.includes('/')) return [`${path}, which is no target: models are named provider/model`];
      return ids.includes(splitTarget(name).provider) ? [] : [`${path}, whose provider is not configured`];
    }),
  );
}

/** A limit of so few tokens is a typing error: a thousand was meant, or a million. */
const fewTokens = 100;

function ofLimits(provider: ProviderSettings): string[] {
  const models = Object.entries(provider.models).filter(([, { limits }]) => Object.keys(limits).length > 0);
  const places = [
    { path: `providers.${provider.id}`, limits: provider.limits },
    ...models.map(([model]) => ({
      path: `providers.${provider.id}.models.${model}`,
      limits: rateLimitsOf(provider, model),
    })),
  ];
  const all = places.flatMap(({ path, limits }) => rateLimits(limits).map((each) => ({ path, ...each })));
  return all
    .filter(({ unit }) => unit !== 'requests')
    .flatMap(({ path, name, unit, limit }) => {
      if (limit < fewTokens) return [`${path}.limits.${name}: hardly any request is as small as ${limit} tokens`];
      const isTight = unit === 'output' ? limit < assumedOutputTokens : limit <= assumedOutputTokens;
      return isTight && unit !== 'input'
        ? [
            `${path}.limits.${name}: a chat without max_tokens is taken for ${assumedOutputTokens} tokens of output, so ${limit} tokens never hold it`,
          ]
        : [];
    });
}
