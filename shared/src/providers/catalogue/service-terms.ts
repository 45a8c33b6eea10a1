/**
 * What providers charge for the same tokens in another way: as a batch, or in another service tier.
 *
 * Data, in percent of the usual price. null: not known, or different from model to model, and so never computed with.
 */
export interface ServiceTier {
  /** As the provider names it in requests and answers. */
  readonly name: string;
  readonly percent: number | null;
}

export interface ServiceTerms {
  /** null: it has no batches, or their price is not known. */
  readonly batchPercent: number | null;
  readonly tiers: readonly ServiceTier[];
  readonly source: string;
}

/** When the sources were read. */
export const serviceTermsDate = '2026-11-21';

const tiers = (percents: Readonly<Record<string, number | null>>): ServiceTier[] =>
  Object.entries(percents).map(([name, percent]) => ({ name, percent }));

/** By the price table's name of the provider. */
export const serviceTerms: Readonly<Record<string, ServiceTerms>> = {
  openai: {
    batchPercent: 50,
    tiers: tiers({ default: 100, auto: null, flex: null, scale: null, priority: null, fast: null }),
    source: 'https://platform.openai.com/docs/guides/batch',
  },
  azure: {
    // The target of half the price was not re-checked for every kind of model.
    batchPercent: null,
    tiers: [],
    source: 'https://learn.microsoft.com/azure/ai-services/openai/how-to/batch',
  },
  anthropic: {
    // It applies on top of the prices of caches.
    batchPercent: 50,
    tiers: tiers({ standard: 100, standard_only: 100, batch: 50, auto: null, priority: null }),
    source: 'https://platform.claude.com/docs/en/build-with-claude/batch-processing',
  },
  google: {
    batchPercent: 50,
    // `priority` is named 1.8 times for Flash 3.7 and 3.8 alone.
    tiers: tiers({ standard: 100, flex: 50, priority: null }),
    source: 'https://ai.google.dev/gemini-api/docs/pricing',
  },
  cohere: { batchPercent: null, tiers: [], source: 'https://cohere.com/pricing' },
  groq: {
    batchPercent: 50,
    tiers: tiers({ on_demand: 100, auto: null, flex: null, performance: null }),
    source: 'https://console.groq.com/docs/batch',
  },
  mistral: { batchPercent: 50, tiers: [], source: 'https://docs.mistral.ai/capabilities/batch' },
  openrouter: { batchPercent: null, tiers: [], source: 'https://openrouter.ai/docs' },
};
