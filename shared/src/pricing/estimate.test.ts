import { findProvider } from '@pydantic/genai-prices';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEnvironment } from '../config/environment.ts';
import { resolveSettings } from '../config/resolve.ts';
import { configSchema } from '../config/schema.ts';
import type { ProviderSettings } from '../config/settings.ts';
import { consistentUsage, type Usage } from '../domain/usage.ts';
import { presets } from '../providers/presets.ts';
import { priceOfTokens, type TokenPrice } from '../routing/budgets.ts';
import { dearestPrice, expectedCost, largestPriceOf, reachedPrices, tokenPriceOf } from './estimate.ts';
import { ownPrices } from './own-prices.ts';
import { priceByTable } from './price.ts';

const at = new Date('2026-11-21T12:00:00Z');

function providerOf(preset: string, change: object = {}): ProviderSettings {
  const parsed = parseEnvironment({});
  if (parsed.kind !== 'ok') throw new Error(JSON.stringify(parsed.faults));
  const file = configSchema.parse({
    providers: { it: { preset, api_key: 'own', endpoints: ['http://localhost:1'], ...change } },
  });
  const provider = resolveSettings(file ?? {}, parsed.environment).settings.providers.it;
  if (!provider) throw new Error('no provider');
  return provider;
}

/** US dollars per million, as price lists have it. */
const usd = (price: TokenPrice | null) =>
  price && [Number(price.inputPerMillion) / 1e9, Number(price.outputPerMillion) / 1e9];
const configured = { input_usd_per_million: '0.1', output_usd_per_million: '0.2' };

describe('the price of a target', () => {
  test.for<[string, string, string, number, object, readonly number[] | null]>([
    ['is that of the table', 'openai', 'gpt-4.1-mini', 1, {}, [0.4, 1.6]],
    [
      'is that of the configuration first',
      'openai',
      'gpt-4.1-mini',
      1,
      { models: { 'gpt-4.1-mini': configured } },
      [0.1, 0.2],
    ],
    ['is that of the configuration on a local server too', 'ollama', 'm', 1, { models: { m: configured } }, [0.1, 0.2]],
    ['is nothing on a local server', 'ollama', 'llama3.2', 1, {}, [0, 0]],
    ['is nothing on a server that is labelled local', 'openai-compatible', 'm', 1, { labels: ['local'] }, [0, 0]],
    ['is unknown of a server without a table', 'openai-compatible', 'gpt-4.1-mini', 1, {}, null],
    ['is unknown of an unknown model', 'openai', 'no-such-model', 1, {}, null],
    ['is unknown where tokens are not what is billed', 'openai', 'whisper-1', 1, {}, null],
    ['is nothing where the table gives it away', 'openrouter', 'openai/gpt-oss-20b:free', 1, {}, [0, 0]],
    ['has no output where there is none', 'openai', 'text-embedding-3-small', 1, {}, [0.02, 0]],
    ['is that of a short prompt up to its end', 'anthropic', 'claude-haiku-5-5', 100_000, {}, [0.1, 0.5]],
    ['is that of a long prompt beyond it, output as well', 'anthropic', 'claude-haiku-5-5', 100_001, {}, [0.5, 2.5]],
    [
      'is that of the served name',
      'openai',
      'ours',
      1,
      { models: { ours: { deployment: 'gpt-4.1-mini' } } },
      [0.4, 1.6],
    ],
    [
      'is that of the served name first, which is who answers',
      ...(['openai', 'gpt-4.1', 1, { models: { 'gpt-4.1': { deployment: 'gpt-4.1-mini' } } }, [0.4, 1.6]] as const),
    ],
    [
      'is that of the own name where the served one is unknown',
      ...(['openai', 'gpt-4.1', 1, { models: { 'gpt-4.1': { deployment: 'x' } } }, [2, 8]] as const),
    ],
    [
      'is that of the own name first on Azure, where the served one means nothing',
      ...(['azure-openai', 'gpt-4.1', 1, { models: { 'gpt-4.1': { deployment: 'gpt-4.1-mini' } } }, [2, 8]] as const),
    ],
  ])('%s', ([, preset, model, inputTokens, change, expected]) => {
    expect(usd(tokenPriceOf(providerOf(preset, change), model, inputTokens, at))).toEqual(expected);
  });

  test('follows the day', () => {
    const o3 = (day: string) => usd(tokenPriceOf(providerOf('openai'), 'o3', 1, new Date(day)));
    expect(o3('2025-06-09T23:59:59Z')).toEqual([10, 40]);
    expect(o3('2025-06-10T00:00:00Z')).toEqual([2, 8]);
  });

  test('stays what it is while other models are asked for', () => {
    const openai = providerOf('openai');
    for (let other = 0; other < 2_100; other += 1) tokenPriceOf(openai, `m${other}`, 1, at);
    expect(usd(tokenPriceOf(openai, 'gpt-4.1-mini', 1, at))).toEqual([0.4, 1.6]);
  });
});

describe('the largest price of a target', () => {
  test.for<[string, string, string, number, object, readonly number[] | null]>([
    ['is its price, where nothing costs more', 'openai', 'gpt-4.1-mini', 1, {}, [0.4, 1.6]],
    ['is that of a cache kept for an hour', 'anthropic', 'claude-haiku-4-5', 1, {}, [2, 5]],
    ['is that of the tier the prompt reaches', 'anthropic', 'claude-haiku-5-5', 100_000, {}, [0.2, 0.5]],
    ['is that of the tier beyond', 'anthropic', 'claude-haiku-5-5', 100_001, {}, [1, 2.5]],
    ['is that of speech', 'openai', 'gpt-audio', 1, {}, [32, 64]],
    ['is its price, where reasoning costs less', 'openrouter', 'perplexity/sonar-deep-research', 1, {}, [2, 8]],
    ['is nothing where the table gives it away', 'openrouter', 'openai/gpt-oss-20b:free', 1, {}, [0, 0]],
    ['is nothing on a local server', 'ollama', 'm', 1, {}, [0, 0]],
    ['is the configured one', 'anthropic', 'm', 1, { models: { m: configured } }, [0.1, 0.2]],
    ['is unknown of an unknown model', 'openai', 'no-such-model', 1, {}, null],
    ['is unknown where tokens are not what is billed', 'openai', 'whisper-1', 1, {}, null],
    [
      'is the dearer of two names',
      ...(['openai', 'gpt-4.1', 1, { models: { 'gpt-4.1': { deployment: 'gpt-4.1-mini' } } }, [2, 8]] as const),
    ],
    [
      'is the dearer of two names, whichever that is',
      ...(['openai', 'gpt-4.1-mini', 1, { models: { 'gpt-4.1-mini': { deployment: 'gpt-4.1' } } }, [2, 8]] as const),
    ],
  ])('%s', ([, preset, model, inputTokens, change, expected]) => {
    expect(usd(largestPriceOf(providerOf(preset, change), model, inputTokens, at))).toEqual(expected);
  });
});

test.for([
  ['none of a rate that is not there', undefined, 1, []],
  ['a plain one', 3, 1_000_000, [3]],
  ['the first up to where the next starts', 'tiered', 100, [1]],
  ['those before it too', 'tiered', 101, [1, 2]],
  ['all, in the order of their size', 'tiered', 1_001, [1, 2, 5]],
] as const)('the prices a prompt reaches are %s', ([, rate, inputTokens, expected]) => {
  const tiers = [
    { start: 1_000, price: 5 },
    { start: 100, price: 2 },
  ];
  expect(reachedPrices(rate === 'tiered' ? { base: 1, tiers } : rate, inputTokens)).toEqual(expected);
});

/** Every model of every table there is a preset for. */
const priced = presets.flatMap(({ id, pricesAs }) =>
  pricesAs === null
    ? []
    : [...(ownPrices[pricesAs]?.models ?? []), ...(findProvider({ providerId: pricesAs })?.models ?? [])].map(
        (model) => ({ provider: providerOf(id), table: pricesAs, model: model.id }),
      ),
);
const text = (inputTokens: number, outputTokens: number): Usage => consistentUsage({ inputTokens, outputTokens });

describe('the estimate and the bill agree', () => {
  test('for the text of every model of the tables, in every tier', () => {
    expect(priced.length).toBeGreaterThan(500);
    const wrong = priced.flatMap(({ provider, table, model }) =>
      [1_000, 2_000_000].flatMap((input) => {
        const price = tokenPriceOf(provider, model, input, at);
        // Those that have no price of output are billed without one.
        const output = price?.outputPerMillion === 0n ? 0 : 700;
        const billed = priceByTable(text(input, output), table, model, at)?.nano ?? null;
        const estimate = expectedCost(price, { inputTokens: input, outputTokens: output });
        const differs =
          billed === null || estimate === null ? billed !== estimate : estimate - billed > 1n || estimate < billed;
        return differs ? [{ table, model, input, billed, estimate }] : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  const tokens = fc.integer({ min: 0, max: 400_000 });
  const usages = fc
    .record({
      ...{ inputTokens: tokens, outputTokens: tokens, cacheReadTokens: tokens, cacheWriteTokens: tokens },
      ...{ cacheWrite1hTokens: tokens, reasoningTokens: tokens, audioInputTokens: tokens, audioOutputTokens: tokens },
    })
    .map(consistentUsage);

  test('no usage of up to so many tokens costs more than the largest price', () => {
    fc.assert(
      fc.property(fc.constantFrom(...priced), usages, fc.nat(300_000), ({ provider, table, model }, usage, spare) => {
        const price = largestPriceOf(provider, model, usage.inputTokens + spare, at);
        const plain = tokenPriceOf(provider, model, usage.inputTokens, at);
        if (price === null || plain === null) {
          expect([price, plain]).toEqual([null, null]);
          return;
        }
        expect(plain.inputPerMillion <= price.inputPerMillion && plain.outputPerMillion <= price.outputPerMillion).toBe(
          true,
        );
        const billed = billedFor(usage, table, model);
        expect(billed === null || billed <= priceOfTokens(price, usage.inputTokens, usage.outputTokens)).toBe(true);
        const dearest = dearestPrice(provider, at);
        expect(
          price.inputPerMillion <= dearest.inputPerMillion && price.outputPerMillion <= dearest.outputPerMillion,
        ).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  /** The table refuses usage with parts that overlap; then nothing is billed by it. */
  function billedFor(usage: Usage, table: string, model: string): bigint | null {
    try {
      return priceByTable(usage, table, model, at)?.nano ?? null;
    } catch {
      return null;
    }
  }
});

describe('the price of a model that nobody knows', () => {
  test.for<[string, Partial<ProviderSettings>, readonly number[]]>([
    ['is the dearest of its provider', { pricesAs: 'groq' }, [1, 3]],
    ['counts what is written to a cache, and prices of our own', { pricesAs: 'anthropic' }, [30, 75]],
    ['counts what others make there', { pricesAs: 'azure' }, [150, 600]],
    ['is the dearest of all where the provider has no table', { pricesAs: null }, [150, 600]],
    ['is the dearest of all where its table knows none', { pricesAs: 'no-such-table' }, [150, 600]],
  ])('%s', ([, provider, expected]) => {
    const found = dearestPrice({ ...providerOf('openai'), ...provider }, at);
    expect(usd(found)).toEqual(expected);
    expect(dearestPrice({ ...providerOf('openai'), ...provider }, at)).toBe(found);
  });
});

test.for<[string, TokenPrice | null, bigint | null]>([
  ['is its tokens at their price, rounded up', { inputPerMillion: 1_000_001n, outputPerMillion: 2_000_000n }, 25n],
  ['is unknown without a price', null, null],
])('the expected cost of a request %s', ([, price, expected]) => {
  expect(expectedCost(price, { inputTokens: 10, outputTokens: 7 })).toBe(expected);
});
