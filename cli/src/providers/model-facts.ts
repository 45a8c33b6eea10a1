/** What a model costs: as configured, as its provider lists it, else from the price table. */
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import { ratesByTable, type TableRates } from '@waybill/shared/pricing/price-table.ts';
import { knownModel } from '@waybill/shared/providers/catalogue.ts';

const nanoPerUsd = 1e9;

/** What a call is billed by. Undefined: local, its tokens cost nothing; null: not known. */
export function billedBy(provider: ProviderSettings, model: string, nowMs: number): TableRates | null | undefined {
  const configured = provider.models[model]?.price;
  if (configured)
    return {
      input: Number(configured.inputPerMillion) / nanoPerUsd,
      output: Number(configured.outputPerMillion) / nanoPerUsd,
    };
  return provider.pricesAs === null
    ? provider.isLocal
      ? undefined
      : null
    : ratesByTable(provider.pricesAs, model, new Date(nowMs));
}

export const knownWindow = (provider: ProviderSettings, model: string): number | null =>
  knownModel(provider.pricesAs ?? provider.preset, model)?.contextWindow ?? null;

/** The name the server knows. */
export const nameAtServer = (provider: ProviderSettings, model: string): string =>
  provider.models[model]?.servedAs ?? model;

/** US dollars per million tokens as text, without the noise of binary fractions. */
export const usdText = (value: number): string => String(Number(value.toFixed(6)));
