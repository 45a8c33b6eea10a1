/**
 * Prices of a model: configured ones first, then the price package. A price is a fact with a date; the numbers
 * used are kept beside every cost, so that a row can be recomputed for ever.
 */
import type { ModelPrice } from '@pydantic/genai-prices';
import type { NanoUsd } from '../domain/money.ts';
import { nanoFromUsdNumber } from '../domain/money.ts';
import type { Usage } from '../domain/usage.ts';
import { ownPricesDate } from './own-prices.ts';
import { findInTable, isFree } from './price-table.ts';

/** Nano-USD per million tokens, from `input_usd_per_million` and `output_usd_per_million`. */
export interface ConfiguredPrice {
  readonly inputPerMillion: NanoUsd;
  readonly outputPerMillion: NanoUsd;
}

export interface Priced {
  readonly nano: NanoUsd;
  readonly source: 'configuration' | 'catalogue' | 'genai-prices' | 'local';
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

/**
 * null: the table does not know the model, or has no price for something that was used. Half a cost would be taken for
 * the whole. Throws where usage does not add up.
 */
export function priceByTable(usage: Usage, table: string, model: string, at: Date): Priced | null {
  const found = findInTable(table, model, at, {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_tokens: usage.cacheReadTokens,
    cache_write_tokens: usage.cacheWriteTokens,
    cache_write_1h_tokens: usage.cacheWrite1hTokens,
    output_reasoning_tokens: usage.reasoningTokens,
    input_audio_tokens: usage.audioInputTokens,
    output_audio_tokens: usage.audioOutputTokens,
    // In our usage a token is cached or audio, never both; the table asks where it has a price for both.
    cache_audio_read_tokens: 0,
  });
  if (!found) return null;
  const { provider, model: row, model_price: prices, total_price: usd } = found.calculation;
  if (!isPriced(usage, prices, table)) return null;
  return {
    nano: nanoFromUsdNumber(usd),
    source: found.source,
    version: found.source === 'catalogue' ? ownPricesDate : genaiPricesVersion,
    snapshot: JSON.stringify({ provider: provider.id, model: row.id, prices }),
  };
}

/** Google bills audio as text where its list names no price of its own; elsewhere audio costs more than text. */
const audioIsText = 'google';

/**
 * Whether all that was used has a price. A missing price of a cache is the full price of input, and so no gap; that of
 * an hour, where shorter ones have a price, is.
 */
function isPriced(usage: Usage, prices: ModelPrice, table: string): boolean {
  if (isFree(prices)) return true;
  if (usage.inputTokens > 0 && prices.input_mtok === undefined) return false;
  if (usage.outputTokens > 0 && prices.output_mtok === undefined) return false;
  if (usage.cacheWrite1hTokens > 0 && prices.cache_write_mtok !== undefined && prices.cache_write_1h_mtok === undefined)
    return false;
  if (usage.audioOutputTokens > 0 && prices.output_audio_mtok === undefined) return false;
  return usage.audioInputTokens === 0 || prices.input_audio_mtok !== undefined || table === audioIsText;
}
