/** Drift of a provider's models from what is configured and believed, with how grave each finding is. */
import type { ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import { defaultModels } from '@waybill/shared/providers/catalogue.ts';
import { compareDrift, type DriftFinding } from '@waybill/shared/providers/listing/compare-drift.ts';
import type { ListResult } from '@waybill/shared/providers/listing/list-models.ts';
import { presetOf } from '@waybill/shared/providers/presets.ts';
import type { ShapeChange } from './answer-shape.ts';
import { modelsInUse } from './configured.ts';
import { billedBy, knownWindow, nameAtServer, usdText } from './model-facts.ts';

type Severity = 'error' | 'warning';

/** An error fails jobs, now or without a further sign; a warning can wait for the morning. */
const severities: Readonly<Record<DriftFinding['kind'], Severity>> = {
  default_model_vanished: 'error',
  model_not_listed: 'error',
  model_retired: 'error',
  model_deprecated: 'warning',
  model_expires: 'warning',
  price_unknown: 'warning',
  price_differs: 'warning',
  context_window_differs: 'warning',
};

export interface FindingJson {
  readonly provider: string;
  readonly endpoint: string;
  readonly severity: Severity;
  readonly kind: DriftFinding['kind'] | `answer_${ShapeChange['kind']}`;
  readonly model: string;
  readonly detail: string;
  readonly remedy: string;
}

export function findDrift(
  provider: ProviderSettings,
  settings: Settings,
  endpoint: string,
  listed: Extract<ListResult, { kind: 'models' }>,
  nowMs: number,
): FindingJson[] {
  const used = modelsInUse(settings, provider);
  const ours = new Map(used.map((model) => [nameAtServer(provider, model), model]));
  const nameHere = (model: string): string => ours.get(model) ?? model;
  const findings = compareDrift({
    listing: presetOf(provider.preset)?.modelListing ?? 'none',
    listed,
    configured: used.map((model) => ({
      model: nameAtServer(provider, model),
      contextWindow: provider.models[model]?.contextWindow ?? null,
    })),
    ...(isFree(provider) ? {} : { priced: (model) => billedBy(provider, nameHere(model), nowMs) ?? null }),
    catalogue: {
      // A server of one's own has what was put there: the catalogue's default is drift only where it is used.
      defaultModel: provider.isLocal ? null : (defaultModels[provider.preset] ?? null),
      contextWindowOf: (model) => knownWindow(provider, nameHere(model)),
    },
    nowMs,
  });
  return findings.map((finding) => ({
    provider: provider.id,
    endpoint,
    severity: severityOf(finding),
    kind: finding.kind,
    model: nameHere(finding.model),
    ...wordsOf(finding, provider.id),
  }));
}

/** Local tokens cost nothing: there is no price to miss. */
const isFree = (provider: ProviderSettings): boolean => provider.isLocal && provider.pricesAs === null;

/** A window configured too large sends what will be refused. */
const severityOf = (finding: DriftFinding): Severity =>
  finding.kind === 'context_window_differs' && finding.source === 'configuration' ? 'error' : severities[finding.kind];

function wordsOf(finding: DriftFinding, provider: string): { detail: string; remedy: string } {
  const another = `name a model that "waybill providers models ${provider}" shows`;
  switch (finding.kind) {
    case 'default_model_vanished':
      return { detail: 'the default of its preset is no longer listed', remedy: another };
    case 'model_not_listed':
      return { detail: 'the provider does not list it', remedy: another };
    case 'model_retired':
    case 'model_deprecated':
    case 'model_expires': {
      const end = finding.endsAtMs === null ? '' : `, ends ${new Date(finding.endsAtMs).toISOString().slice(0, 10)}`;
      const words = { model_retired: 'retired', model_deprecated: 'deprecated', model_expires: 'will end' };
      const remedy = finding.replacement === null ? another : `use ${finding.replacement}`;
      return { detail: `${words[finding.kind]}${end}`, remedy };
    }
    case 'price_unknown':
      return {
        detail: 'no price is known: its cost will be unknown',
        remedy: 'configure input_ and output_usd_per_million',
      };
    case 'price_differs':
      return {
        detail: `${finding.part}: listed $${usdText(finding.listed)}, billed here by $${usdText(finding.ours)} per million tokens`,
        remedy: 'configure input_ and output_usd_per_million',
      };
    case 'context_window_differs':
      return {
        detail: `listed ${finding.listed}, ${finding.source} ${finding.ours} tokens`,
        remedy: `configure context_window: ${finding.listed}`,
      };
  }
}
