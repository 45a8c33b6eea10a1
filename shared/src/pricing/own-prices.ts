/**
 * Prices that the price package does not list yet, in its own form, so that tiers and caches are computed in one way.
 *
 * Each was read from the page of whoever sells the model; an entry goes as soon as the package has it. A model nobody
 * lists has no price, and is never given its neighbour's.
 */
import type { Provider } from '@pydantic/genai-prices';

/** When the pages were read; the version of these prices in the ledger. */
export const ownPricesDate = '2026-10-08';

/** Up to 100,000 tokens of prompt the first, above it the second for the whole request. */
const byPromptSize = (base: number, above: number) => ({ base, tiers: [{ start: 100_000, price: above }] });

const anthropic: Provider = {
  id: 'anthropic',
  name: 'Anthropic',
  api_pattern: 'https://api\\.anthropic\\.com',
  models: [
    {
      // https://platform.claude.com/docs/en/models/sonnet-5-5/overview; a read cost 0.20 before 2026-10-07.
      id: 'claude-sonnet-5-5',
      match: { or: [{ equals: 'claude-sonnet-5-5' }, { regex: '^claude-sonnet-5-5-\\d{8}$' }] },
      context_window: 1_000_000,
      prices: {
        input_mtok: 2,
        cache_write_mtok: 2.5,
        cache_write_1h_mtok: 4,
        cache_read_mtok: 0.1,
        output_mtok: 10,
      },
    },
    {
      // https://platform.claude.com/docs/en/models/haiku-5-5/overview
      id: 'claude-haiku-5-5',
      match: { or: [{ equals: 'claude-haiku-5-5' }, { regex: '^claude-haiku-5-5-\\d{8}$' }] },
      context_window: 1_000_000,
      prices: {
        input_mtok: byPromptSize(0.1, 0.5),
        cache_write_mtok: byPromptSize(0.125, 0.625),
        cache_write_1h_mtok: byPromptSize(0.2, 1),
        cache_read_mtok: byPromptSize(0.01, 0.05),
        output_mtok: byPromptSize(0.5, 2.5),
      },
    },
  ],
};

/** By the name the price table gives the provider. */
export const ownPrices: Readonly<Record<string, Provider>> = { anthropic };
