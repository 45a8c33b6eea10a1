/** What is known of a provider's models: configured first, then the catalogue. */
import { knownModels } from '../providers/catalogue.ts';
import type { ModelSettings, ProviderSettings } from './settings.ts';

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
