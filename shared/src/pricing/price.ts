/**
 * Prices of a model: configured ones first, then the price package. A price is a fact with a date; the numbers
 * used are kept beside every cost, so that a row can be recomputed for ever.
 */
import { calcPrice } from '@pydantic/genai-prices';
import type { NanoUsd } from '../domain/money.ts';
import { nanoFromUsdNumber } from '../domain/money.ts';
import type { Usage } from '../domain/usage.ts';

/** Nano-USD per million tokens, from `input_usd_per_million` and `output_usd_per_million`. */
export interface ConfiguredPrice {
  readonly inputPerMillion: NanoUsd;
  readonly outputPerMillion: NanoUsd;
}

export interface Priced {
  readonly nano: NanoUsd;
  readonly source: 'configuration' | 'genai-prices' | 'local';
  readonly version: string;
  /** JSON of the numbers used. */
  readonly snapshot: string;
}

/** The pinned version; the package does not export its manifest, and a tidy test holds the two together. */
export const genaiPricesVersion = '0.1.8';

/** Exact: integers all the way, rounded once, half up. */
export function priceByConfiguration(usage: Usage, price: ConfiguredPrice, configVersion: string): Priced {
  const total = BigInt(usage.inputTokens) * price.inputPerMillion + BigInt(usage.outputTokens) * price.outputPerMillion;
  return {
    nano: (total + 500_000n) / 1_000_000n,
    source: 'configuration',
    version: configVersion,
    snapshot: JSON.stringify({
      input_nano_per_million: `${price.inputPerMillion}`,
      output_nano_per_million: `${price.outputPerMillion}`,
    }),
  };
}

/** null when the table does not know the model. */
export function priceByTable(usage: Usage, providerId: string, model: string, at: Date): Priced | null {
  const found = calcPrice(
    {
      input_tokens: usage.inputTokens,
      output_tokens: usage.outputTokens,
      cache_read_tokens: usage.cacheReadTokens,
      cache_write_tokens: usage.cacheWriteTokens,
      cache_write_1h_tokens: usage.cacheWrite1hTokens,
    },
    model,
    { providerId, timestamp: at },
  );
  if (!found) return null;
  return {
    nano: nanoFromUsdNumber(found.total_price),
    source: 'genai-prices',
    version: genaiPricesVersion,
    snapshot: JSON.stringify({ provider: found.provider.id, model: found.model.id, prices: found.model_price }),
  };
}
