/** What the settings and the shared state say about a target, in the form `candidates` reads. */
import { modelSettings } from '../config/model-settings.ts';
import type { Settings } from '../config/settings.ts';
import { splitTarget } from '../domain/job.ts';
import { knownModels } from '../providers/catalogue.ts';
import { dialectOf } from '../providers/dialects.ts';
import type { TargetFacts } from './candidates.ts';

export interface Pause {
  readonly kind: string;
  readonly untilMs: number;
}
/** Pauses by scope: `provider:openai`, `credential:openai`, `model:openai/gpt-4.1-mini`. */
export type Pauses = ReadonlyMap<string, Pause>;

export const pauseScopeKey = (scope: 'provider' | 'credential' | 'model', target: string): string =>
  scope === 'model' ? `model:${target}` : `${scope}:${splitTarget(target).provider}`;

export function targetFacts(settings: Settings, pauses: Pauses): (target: string) => TargetFacts {
  return (target) => {
    const { provider: id, model } = splitTarget(target);
    const provider = settings.providers[id];
    if (!provider)
      return {
        isConfigured: false,
        isEnabled: false,
        labels: [],
        capabilities: null,
        lacks: [],
        contextWindow: null,
        pausedUntilMs: null,
      };
    const known = modelSettings(provider, model);
    const untils = (['provider', 'credential', 'model'] as const).flatMap(
      (scope) => pauses.get(pauseScopeKey(scope, target))?.untilMs ?? [],
    );
    return {
      isConfigured: true,
      isEnabled: provider.enabled,
      labels: provider.labels,
      capabilities: known.capabilities,
      lacks: [...dialectOf(provider.dialect).lacks, ...(knownModels[model]?.lacks ?? [])],
      contextWindow: known.contextWindow,
      pausedUntilMs: untils.length === 0 ? null : Math.max(...untils),
    };
  };
}
