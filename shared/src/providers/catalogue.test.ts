import { describe, expect, test } from 'vitest';
import { capabilities } from '../chat/capabilities.ts';
import { priceByTable } from '../pricing/price.ts';
import { genaiPricesDate } from '../pricing/price-table.ts';
import { catalogueDate, modelTable } from './catalogue/model-table.ts';
import { defaultModels, knownModel } from './catalogue.ts';
import { presetIds, presets } from './presets.ts';

const date = /^\d{4}-\d{2}-\d{2}$/;

describe('the default models', () => {
  test('are there for every preset', () => {
    expect(Object.keys(defaultModels).toSorted()).toEqual(presetIds.toSorted());
  });

  test.for(presets.filter((preset) => preset.needsCredential && preset.modelListing !== 'none'))(
    '$id has one, whose window and price are known',
    ({ id, pricesAs }) => {
      const model = defaultModels[id] ?? '';
      const usage = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, cacheWrite1hTokens: 0 };
      const more = { reasoningTokens: 0, audioInputTokens: 0, audioOutputTokens: 0 };
      expect(knownModel(pricesAs ?? '', model)?.contextWindow).toBeGreaterThan(100_000);
      expect(priceByTable({ ...usage, ...more }, pricesAs ?? '', model, new Date())?.nano).toBeGreaterThan(0n);
    },
  );

  test.for(['vllm', 'llama-cpp', 'azure-openai', 'openai-compatible'])('%s is asked, or configured', (id) => {
    expect(defaultModels[id]).toBeNull();
  });
});

describe('the table', () => {
  test('says how old it is', () => {
    expect([catalogueDate, genaiPricesDate]).toEqual([expect.stringMatching(date), expect.stringMatching(date)]);
  });

  test.for(Object.entries(modelTable))('%s has limits that can be, and lacks what exists', ([, model]) => {
    const { contextWindow, maxOutput, lacks } = model;
    if (model.maker === 'local') expect([contextWindow, maxOutput]).toEqual([null, null]);
    else expect(contextWindow).toBeGreaterThan(1_000);
    expect(maxOutput ?? 0).toBeLessThanOrEqual(contextWindow ?? 0);
    for (const lacked of lacks) expect(capabilities).toContain(lacked);
  });
});

describe('a model is known under each of its names', () => {
  test.for<[string, string, number, number | null]>([
    ['openai', 'gpt-4.1-mini', 1_047_576, 32_768],
    ['openai', 'gpt-4.1-mini-2025-04-14', 1_047_576, 32_768],
    ['openai', 'GPT-4.1-Mini', 1_047_576, 32_768],
    ['azure', 'gpt-4.1-mini', 1_047_576, 32_768],
    ['openai-compatible', 'gpt-4.1-mini', 1_047_576, 32_768],
    ['openrouter', 'openai/gpt-4.1-mini', 1_047_576, 32_768],
    ['openrouter', 'openai/gpt-4.1-mini:nitro', 1_047_576, 32_768],
    ['openrouter', 'anthropic/claude-haiku-4.5', 200_000, 64_000],
    ['openrouter', 'mistralai/mistral-small-2603', 262_144, null],
    ['anthropic', 'claude-haiku-4-5-20251001', 200_000, 64_000],
    ['anthropic', 'claude-haiku-4-5@20251001', 200_000, 64_000],
    ['google', 'models/gemini-2.5-flash', 1_048_576, 65_536],
    ['groq', 'openai/gpt-oss-120b', 131_072, 65_536],
    ['cohere', 'command-a-03-2025', 256_000, 8_000],
  ])('%s %s', ([provider, model, contextWindow, maxOutput]) => {
    expect(knownModel(provider, model)).toMatchObject({
      contextWindow,
      maxOutput,
      source: 'catalogue',
      date: catalogueDate,
    });
  });

  test.for<[string, string, number]>([
    ['openai', 'gpt-4o-mini', 128_000],
    ['azure', 'gpt-4o-2024-08-06', 128_000],
    ['anthropic', 'claude-opus-4-5', 200_000],
    ['openrouter', 'anthropic/claude-opus-5', 1_000_000],
    ['openrouter', 'anthropic/claude-opus-5:floor', 1_000_000],
  ])('%s %s, from the price package', ([provider, model, contextWindow]) => {
    expect(knownModel(provider, model)).toEqual({
      contextWindow,
      maxOutput: null,
      lacks: [],
      source: 'genai-prices',
      date: genaiPricesDate,
    });
  });
});

describe('what a model lacks is known', () => {
  test.for<[string, string, readonly string[]]>([
    ['anthropic', 'claude-sonnet-5-5', ['forced_tool', 'embeddings']],
    ['anthropic', 'claude-opus-5-5-20260801', ['forced_tool', 'embeddings']],
    ['openrouter', 'anthropic/claude-opus-5.5', ['forced_tool', 'embeddings']],
    ['anthropic', 'claude-haiku-5-5', ['embeddings']],
    ['openai', 'gpt-4.1', ['audio_input', 'embeddings']],
    ['azure', 'gpt-6-astra', ['audio_input', 'logprobs', 'embeddings']],
    ['groq', 'llama-3.3-70b-versatile', ['vision', 'embeddings']],
    ['google', 'gemini-2.5-flash', ['embeddings']],
    ['ollama', 'llama3.2', ['vision']],
    ['ollama', 'llama3.2:3b-instruct-q4_K_M', ['vision']],
    ['ollama', 'llama3.2:latest', ['vision']],
  ])('%s %s', ([provider, model, lacks]) => {
    expect(knownModel(provider, model)?.lacks).toEqual(lacks);
  });

  test.for([
    ['openai', 'text-embedding-3-small'],
    ['google', 'gemini-embedding-001'],
    ['mistral', 'mistral-embed'],
    ['cohere', 'embed-v4.0'],
  ] as const)('%s %s can embed and nothing else, and its window is that of one input', ([provider, model]) => {
    const known = knownModel(provider, model);
    expect(known?.contextWindow).toBeNull();
    expect(capabilities.filter((each) => !known?.lacks.includes(each))).toEqual(['embeddings']);
  });
});

describe('the unknown stays unknown', () => {
  test.for([
    ['openai', 'no-such-model'],
    ['openai', 'claude-haiku-4-5'],
    ['openai', ''],
    ['openai', 'constructor'],
    ['anthropic', 'claude-sonnet-5-7'],
    ['azure', 'my-own-name'],
    ['openrouter', 'someone/gpt-4.1-mini'],
    ['openrouter', 'gpt-4.1-mini-of-mine'],
    ['openai-compatible', 'llama3.2'],
    ['vllm', 'gpt-4.1-mini'],
    ['no-such-provider', 'mine'],
  ] as const)('%s %s', ([provider, model]) => {
    expect(knownModel(provider, model)).toBeNull();
  });

  test('of a local model how much context its server gives it', () => {
    expect(knownModel('ollama', 'llama3.2')).toMatchObject({ contextWindow: null, maxOutput: null });
  });

  test('however many names are asked for', () => {
    for (let n = 0; n < 2_001; n += 1) expect(knownModel('no-such-provider', `model-${n}`)).toBeNull();
    expect(knownModel('openai', 'gpt-4.1')?.contextWindow).toBe(1_047_576);
  });
});
