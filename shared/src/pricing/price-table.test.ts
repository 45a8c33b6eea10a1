import { calcPrice, findProvider } from '@pydantic/genai-prices';
import { describe, expect, test } from 'vitest';
import type { Usage } from '../domain/usage.ts';
import { ownPrices, ownPricesDate } from './own-prices.ts';
import { genaiPricesVersion, priceByTable } from './price.ts';
import { findInTable, genaiPricesDate, ratesByTable } from './price-table.ts';

const at = new Date('2026-11-21T00:00:00Z');
const usage: Usage = {
  inputTokens: 1_000,
  outputTokens: 500,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
};
const noOutput = { outputTokens: 0 };
const nano = (tokens: Partial<Usage>, table: string, model: string) =>
  priceByTable({ ...usage, ...tokens }, table, model, at)?.nano ?? null;

describe('the table prices models under the names their providers give them', () => {
  test.for([
    ['openai', 'gpt-4.1-mini', 1_200_000n],
    ['openai', 'gpt-4.1-mini-2025-04-14', 1_200_000n],
    ['openai', 'GPT-4.1-mini', 1_200_000n],
    ['openai', 'gpt-realtime-2.1', 16_000_000n],
    ['azure', 'gpt-4.1-mini', 1_200_000n],
    ['azure', 'gpt-4.1-mini-2025-04-14', 1_200_000n],
    ['anthropic', 'claude-haiku-4-5', 3_500_000n],
    ['anthropic', 'claude-haiku-4-5-20251001', 3_500_000n],
    ['anthropic', 'claude-opus-5-5', 14_000_000n],
    ['google', 'gemini-2.5-flash', 1_550_000n],
    ['google', 'models/gemini-2.5-flash', 1_550_000n],
    ['google', 'gemini-3.5-flash-lite', 1_550_000n],
    ['google', 'gemini-2.0-flash-001', 300_000n],
    ['cohere', 'command-a-03-2025', 7_500_000n],
    ['groq', 'llama-3.3-70b-versatile', 985_000n],
    ['groq', 'openai/gpt-oss-120b', 450_000n],
    ['mistral', 'mistral-small-2603', 450_000n],
    ['openrouter', 'openai/gpt-4.1-mini', 1_200_000n],
    ['openrouter', 'anthropic/claude-haiku-4.5', 3_500_000n],
    ['openrouter', 'meta-llama/llama-3.3-70b-instruct:free', 0n],
  ] as const)('%s %s', ([table, model, expected]) => {
    expect(nano({}, table, model)).toBe(expected);
  });
});

describe('the table prices embeddings by their input alone', () => {
  test.for([
    ['openai', 'text-embedding-3-small', 20_000n],
    ['azure', 'text-embedding-3-large', 130_000n],
    ['google', 'gemini-embedding-001', 150_000n],
    ['cohere', 'embed-v4.0', 120_000n],
    ['mistral', 'mistral-embed', 100_000n],
  ] as const)('%s %s', ([table, model, expected]) => {
    expect(nano(noOutput, table, model)).toBe(expected);
  });
});

describe('each token is billed once, at the price of what it was', () => {
  const haiku = ['anthropic', 'claude-haiku-4-5'] as const;
  const haiku55 = ['anthropic', 'claude-haiku-5-5'] as const;
  const audio = ['openai', 'gpt-audio'] as const;
  test.for<[string, Partial<Usage>, readonly [string, string], bigint]>([
    ['cached input for less', { cacheReadTokens: 400 }, ['openai', 'gpt-4.1-mini'], 1_080_000n],
    ['writing a cache for more', { cacheWriteTokens: 400 }, haiku, 3_600_000n],
    ['a cache kept for an hour for most', { cacheWriteTokens: 400, cacheWrite1hTokens: 400 }, haiku, 3_900_000n],
    ['both kinds of cache', { cacheWriteTokens: 400, cacheWrite1hTokens: 100 }, haiku, 3_675_000n],
    [
      'a read, both writes and the rest',
      { cacheReadTokens: 300, cacheWriteTokens: 400, cacheWrite1hTokens: 100 },
      haiku,
      3_405_000n,
    ],
    ['reasoning as the output it is part of', { reasoningTokens: 400 }, ['openai', 'gpt-6-luna'], 350_000n],
    [
      'reasoning that has a price',
      { reasoningTokens: 400 },
      ['openrouter', 'perplexity/sonar-deep-research'],
      4_000_000n,
    ],
    ['spoken input', { audioInputTokens: 600 }, audio, 25_200_000n],
    ['spoken output', { audioOutputTokens: 100 }, audio, 12_900_000n],
    ['speech both ways', { audioInputTokens: 600, audioOutputTokens: 100 }, audio, 30_600_000n],
    [
      'speech beside a cache',
      { audioInputTokens: 600, cacheReadTokens: 400 },
      ['google', 'gemini-2.5-flash'],
      1_862_000n,
    ],
    [
      'speech as text, where Google says so',
      { audioInputTokens: 600 },
      ['google', 'gemini-3.5-flash-lite'],
      1_550_000n,
    ],
    ['nothing at all', { inputTokens: 0, outputTokens: 0 }, haiku, 0n],
    ['a short prompt', { inputTokens: 100_000 }, haiku55, 10_250_000n],
    ['a long prompt, whole at the upper price', { inputTokens: 100_001 }, haiku55, 51_250_500n],
  ])('%s', ([, tokens, [table, model], expected]) => {
    expect(nano(tokens, table, model)).toBe(expected);
  });

  const tables = ['openai', 'azure', 'anthropic', 'google', 'cohere', 'groq', 'mistral', 'openrouter'];
  const rich: Usage = {
    inputTokens: 1_000,
    outputTokens: 500,
    cacheReadTokens: 300,
    cacheWriteTokens: 200,
    cacheWrite1hTokens: 100,
    reasoningTokens: 200,
    audioInputTokens: 100,
    audioOutputTokens: 50,
  };
  test.for(tables)('usage of every kind costs at most its dearest price, for every model of %s', (table) => {
    const models = findProvider({ providerId: table })?.models ?? [];
    expect(models.length).toBeGreaterThan(5);
    for (const { id } of models) {
      const plain = priceByTable({ ...rich, audioInputTokens: 0, audioOutputTokens: 0 }, table, id, at);
      const priced = [plain, priceByTable(rich, table, id, at)].filter((each) => each !== null);
      for (const { nano: cost, snapshot } of priced) {
        const prices = Object.entries(JSON.parse(snapshot).prices as Record<string, number | { base: number }>)
          .filter(([name]) => name.endsWith('_mtok'))
          .map(([, price]) => (typeof price === 'number' ? price : price.base));
        expect(Number(cost), id).toBeLessThanOrEqual(1_500 * Math.max(0, ...prices) * 1_000);
      }
    }
  });
});

describe('what the table does not know is not priced', () => {
  test.for<[string, Partial<Usage>, string, string]>([
    ['a model', {}, 'openai', 'no-such-model'],
    ['a provider', {}, 'no-such-provider', 'gpt-4.1-mini'],
    ['a provider whose name contains a known one', {}, 'openai-compatible', 'gpt-4.1-mini'],
    ['a newer version of a model it knows', {}, 'anthropic', 'claude-sonnet-5-7'],
    ['a newer version, with its date', {}, 'anthropic', 'claude-sonnet-5-7-20261101'],
    ['a later version with more digits', {}, 'anthropic', 'claude-opus-4-10'],
    ['a variant that is routed by price or speed', {}, 'openrouter', 'openai/gpt-4.1-mini:nitro'],
    ['the name Azure users gave a model', {}, 'azure', 'my-own-name'],
    ['speech of a model without a price for it', { audioInputTokens: 1 }, 'openai', 'gpt-4.1'],
    ['spoken output of a model without a price for it', { audioOutputTokens: 1 }, 'google', 'gemini-2.5-flash'],
    ['output of a model that has none', {}, 'openai', 'text-embedding-3-small'],
    ['tokens of a model billed by the minute', noOutput, 'openai', 'whisper-1'],
    [
      'a cache of an hour where only shorter ones have a price',
      { cacheWriteTokens: 10, cacheWrite1hTokens: 10 },
      'openrouter',
      'anthropic/claude-haiku-4.5',
    ],
  ])('%s', ([, tokens, table, model]) => {
    expect(nano(tokens, table, model)).toBeNull();
  });

  test('and usage that does not add up is refused', () => {
    expect(() => nano({ cacheReadTokens: 9_999 }, 'openai', 'gpt-4.1-mini')).toThrow(/cannot exceed/);
  });
});

describe('a price says where it comes from', () => {
  test.for([
    ['genai-prices', genaiPricesVersion, 'openai', 'gpt-4.1-mini', { input_mtok: 0.4, output_mtok: 1.6 }],
    ['catalogue', ownPricesDate, 'anthropic', 'claude-sonnet-5-5-20260928', { input_mtok: 2, cache_read_mtok: 0.1 }],
  ] as const)('%s', ([source, version, table, model, prices]) => {
    const priced = priceByTable(usage, table, model, at);
    expect(priced).toMatchObject({ source, version });
    expect(JSON.parse(priced?.snapshot ?? '')).toMatchObject({ provider: table, prices });
  });

  test.for(Object.entries(ownPrices).flatMap(([table, { models }]) => models.map(({ id }) => ({ table, id }))))(
    '$id is not in the package, or is only guessed there',
    ({ table, id }) => {
      expect(findInTable(table, id, at)?.source).toBe('catalogue');
      expect(calcPrice({}, id, { providerId: table })?.model.id).not.toBe(id);
    },
  );

  test('the package is as old as it says', () => {
    expect(genaiPricesDate).toMatch(/^\d{4}-\d{2}-\d{2}$/);
  });
});

describe('the rates of a model', () => {
  test.for([
    ['are those of a million tokens', 'openai', 'gpt-4.1-mini', { input: 0.4, output: 1.6 }],
    [
      'are those of a short prompt, where the prompt decides',
      'anthropic',
      'claude-haiku-5-5',
      { input: 0.1, output: 0.5 },
    ],
    ['have no output where there is none', 'openai', 'text-embedding-3-small', { input: 0.02, output: 0 }],
    ['are nothing where the table says so', 'openrouter', 'openai/gpt-oss-20b:free', { input: 0, output: 0 }],
    ['are unknown of an unknown model', 'openai', 'no-such-model', null],
    ['are unknown where tokens are not what is billed', 'openai', 'whisper-1', null],
  ] as const)('%s', ([, table, model, expected]) => {
    expect(ratesByTable(table, model, at)).toEqual(expected);
  });
});
