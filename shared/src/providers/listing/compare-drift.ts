/**
 * Where a provider's list of models and what we believe of them have drifted apart.
 *
 * Compares what is in use and what stands in the catalogue; new models of a provider are no drift.
 */
import type { TableRates } from '../../pricing/price-table.ts';
import { withoutSnapshot } from '../catalogue.ts';
import type { ModelListing } from '../presets.ts';
import { type ListedModel, normaliseModel } from './listed-model.ts';

export interface DriftInput {
  readonly listing: ModelListing;
  readonly listed: { readonly models: readonly ListedModel[]; readonly isComplete: boolean };
  /** Models in use. `contextWindow` is the configured one; null: not configured. */
  readonly configured: readonly { readonly model: string; readonly contextWindow: number | null }[];
  /** What a call of a model is billed by; null: no price is known. Leave out where tokens cost nothing. */
  readonly priced?: (model: string) => TableRates | null;
  readonly catalogue: {
    readonly defaultModel: string | null;
    readonly contextWindowOf: (model: string) => number | null;
  };
  readonly nowMs: number;
}

export type DriftFinding = { readonly model: string } & (
  | { readonly kind: 'default_model_vanished' | 'model_not_listed' | 'price_unknown' }
  | {
      readonly kind: 'model_retired' | 'model_deprecated' | 'model_expires';
      readonly endsAtMs: number | null;
      readonly replacement: string | null;
    }
  | {
      readonly kind: 'context_window_differs';
      readonly listed: number;
      readonly ours: number;
      readonly source: 'configuration' | 'catalogue';
    }
  /** US dollars per million tokens. */
  | {
      readonly kind: 'price_differs';
      readonly part: 'input' | 'output';
      readonly listed: number;
      readonly ours: number;
    }
);

/** Prices nearer than this are the same: lists round. */
const samePriceWithin = 0.01;

export function compareDrift(input: DriftInput): DriftFinding[] {
  const { configured, catalogue } = input;
  const models = new Map(configured.map(({ model, contextWindow }) => [model, contextWindow]));
  const findings = [...models].flatMap(([model, contextWindow]) => compareModel(input, model, contextWindow));
  const { defaultModel } = catalogue;
  if (defaultModel === null || models.has(defaultModel)) return findings;
  return [...findings, ...compareModel(input, defaultModel, null)];
}

function compareModel(input: DriftInput, model: string, configuredWindow: number | null): DriftFinding[] {
  const { listed, catalogue } = input;
  const found = findListed(input, model);
  const priced = input.priced?.(model);
  const unpriced: DriftFinding[] = priced === null ? [{ kind: 'price_unknown', model }] : [];
  if (!found) {
    if (!listed.isComplete) return unpriced;
    const kind = model === catalogue.defaultModel ? 'default_model_vanished' : 'model_not_listed';
    return [{ kind, model }, ...unpriced];
  }
  return [
    ...compareLifecycle(found, model, input.nowMs),
    ...compareWindow(found, model, configuredWindow, catalogue.contextWindowOf(model)),
    ...(priced ? comparePrice(found, model, priced) : []),
    ...unpriced,
  ];
}

/** By its name, an alias, or a snapshot: some lists name snapshots alone, and calls may name what they are of. */
function findListed({ listing, listed }: DriftInput, model: string): ListedModel | undefined {
  const plain = (id: string) => normaliseModel(listing, id);
  const wanted = new Set([plain(model), withoutRouting(plain(model))]);
  return (
    listed.models.find(({ id }) => wanted.has(plain(id))) ??
    listed.models.find(({ aliases }) => aliases.some((each) => wanted.has(plain(each)))) ??
    listed.models.find(({ id }) => wanted.has(withoutSnapshot(plain(id))))
  );
}

/** OpenRouter lists models, and not the ways of choosing who serves one. */
const withoutRouting = (model: string): string =>
  model.includes('/') ? model.replace(/:(?:nitro|floor|online|exacto)$/, '') : model;

function compareLifecycle(found: ListedModel, model: string, nowMs: number): DriftFinding[] {
  const { lifecycle, endsAtMs, replacement } = found;
  const more = { model, endsAtMs, replacement };
  if (lifecycle === 'retired' || (endsAtMs !== null && endsAtMs <= nowMs)) return [{ kind: 'model_retired', ...more }];
  if (lifecycle === 'deprecated') return [{ kind: 'model_deprecated', ...more }];
  return endsAtMs === null ? [] : [{ kind: 'model_expires', ...more }];
}

/** A configured window may be smaller on purpose; a larger one sends what will be refused. */
function compareWindow(
  { contextWindow: listed }: ListedModel,
  model: string,
  configured: number | null,
  known: number | null,
): DriftFinding[] {
  if (listed === null) return [];
  const kind = 'context_window_differs';
  if (configured !== null)
    return configured > listed ? [{ kind, model, listed, ours: configured, source: 'configuration' }] : [];
  return known === null || known === listed ? [] : [{ kind, model, listed, ours: known, source: 'catalogue' }];
}

function comparePrice({ price }: ListedModel, model: string, priced: TableRates): DriftFinding[] {
  if (!price) return [];
  return (['input', 'output'] as const).flatMap((part): DriftFinding[] => {
    const [listed, ours] = [price[part], priced[part]];
    const isSame = Math.abs(listed - ours) <= samePriceWithin * Math.max(listed, ours);
    return isSame ? [] : [{ kind: 'price_differs', model, part, listed, ours }];
  });
}
