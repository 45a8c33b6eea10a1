/** What is known of a provider's models: configured first, then the catalogue. */
import type { Capability } from '../chat/capabilities.ts';
import { knownModel } from '../providers/catalogue.ts';
import type { EndpointSettings, ModelSettings, ProviderSettings, RateLimits } from './settings.ts';

export interface KnownModelSettings extends ModelSettings {
  /** Capabilities it is known to lack. */
  readonly lacks: readonly Capability[];
}

export function modelSettings(provider: ProviderSettings, model: string): KnownModelSettings {
  const configured = provider.models[model];
  const known = knownModel(provider.pricesAs ?? provider.preset, model);
  return {
    concurrency: configured?.concurrency ?? null,
    limits: configured?.limits ?? {},
    contextWindow: configured?.contextWindow ?? known?.contextWindow ?? null,
    capabilities: configured?.capabilities ?? null,
    price: configured?.price ?? null,
    servedAs: configured?.servedAs ?? null,
    defaults: configured?.defaults ?? {},
    lacks: (known?.lacks ?? []).filter((each) => !configured?.capabilities?.includes(each)),
  };
}

/** Calls at once to a target at one of its places, over the fleet. */
const concurrencyAt = (provider: ProviderSettings, model: string, endpoint: EndpointSettings): number =>
  endpoint.concurrency ?? provider.models[model]?.concurrency ?? provider.concurrency;

/**
 * Where a target can be called: an account at an address. Limits hold per place, because an account is what a provider
 * limits, and an address is what a machine of one's own can bear.
 */
export interface Place {
  /** `account` or `account@2`, the second address. */
  readonly id: string;
  readonly account: string;
  readonly endpoint: string;
  readonly concurrency: number;
}

export const accountOfPlace = (id: string): string => id.split('@')[0] ?? id;

/** A provider without credentials has one account. */
export const soleAccount = 'default';

export function placesOf(provider: ProviderSettings, model: string): Place[] {
  const accounts = new Set(provider.credentials.map(({ account }) => account));
  return (accounts.size === 0 ? [soleAccount] : [...accounts]).flatMap((account) =>
    provider.endpoints.map((endpoint, index) => ({
      id: index === 0 ? account : `${account}@${index + 1}`,
      account,
      endpoint: endpoint.url,
      concurrency: concurrencyAt(provider, model, endpoint),
    })),
  );
}

/** Calls at once to a target over the fleet, all its places together. */
export const concurrencyOf = (provider: ProviderSettings, model: string): number =>
  placesOf(provider, model).reduce((sum, place) => sum + place.concurrency, 0);

/** The rates of a model at each account: its own, else the provider's. */
export const rateLimitsOf = (provider: ProviderSettings, model: string): RateLimits => ({
  ...provider.limits,
  ...provider.models[model]?.limits,
});
