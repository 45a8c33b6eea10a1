import { describe, expect, test } from 'vitest';
import { compareDrift, type DriftInput } from './compare-drift.ts';
import { type ListedModel, listedModel } from './listed-model.ts';

const nowMs = Date.UTC(2026, 10, 21);
const later = nowMs + 86_400_000;

/** Everything agrees: one model in use, listed as we know it. */
const input = {
  listing: 'openai',
  listed: { models: [], isComplete: true },
  configured: [{ model: 'm', contextWindow: null }],
  priced: () => ({ input: 1, output: 2 }),
  catalogue: { defaultModel: null, contextWindowOf: () => 1_000 },
  nowMs,
} satisfies DriftInput;
const agreed: Partial<ListedModel> = { contextWindow: 1_000, price: { input: 1, output: 2 } };
const listing = (id: string, said: Partial<ListedModel> = {}) => ({
  models: [listedModel('other', {}), listedModel(id, { ...agreed, ...said })],
  isComplete: true,
});
const ends = { endsAtMs: null, replacement: null };
const window = { kind: 'context_window_differs', model: 'm' };

describe('a model in use', () => {
  test.for<[string, Partial<ListedModel>, Partial<DriftInput>, object[]]>([
    ['that is listed as we know it is no finding', {}, {}, []],
    ['of which the list says nothing is no finding', { contextWindow: null, price: null }, {}, []],
    ['is retired', { lifecycle: 'retired' }, {}, [{ kind: 'model_retired', model: 'm', ...ends }]],
    [
      'is retired when its day has come',
      { endsAtMs: nowMs },
      {},
      [{ kind: 'model_retired', model: 'm', ...ends, endsAtMs: nowMs }],
    ],
    [
      'is deprecated',
      { lifecycle: 'deprecated', endsAtMs: later, replacement: 'n' },
      {},
      [{ kind: 'model_deprecated', model: 'm', endsAtMs: later, replacement: 'n' }],
    ],
    [
      'will end',
      { lifecycle: 'active', endsAtMs: later },
      {},
      [{ kind: 'model_expires', model: 'm', ...ends, endsAtMs: later }],
    ],
    [
      'has another window than the catalogue says',
      { contextWindow: 999 },
      {},
      [{ ...window, listed: 999, ours: 1_000, source: 'catalogue' }],
    ],
    [
      'has a smaller window than was configured',
      { contextWindow: 999 },
      { configured: [{ model: 'm', contextWindow: 5_000 }] },
      [{ ...window, listed: 999, ours: 5_000, source: 'configuration' }],
    ],
    ['may be configured to use less of its window', {}, { configured: [{ model: 'm', contextWindow: 10 }] }, []],
    ['has a window nobody knew', {}, { catalogue: { defaultModel: null, contextWindowOf: () => null } }, []],
    [
      'costs more',
      { price: { input: 1.02, output: 2 } },
      {},
      [{ kind: 'price_differs', model: 'm', part: 'input', listed: 1.02, ours: 1 }],
    ],
    [
      'costs less, for input and output',
      { price: { input: 0.5, output: 0 } },
      {},
      [
        { kind: 'price_differs', model: 'm', part: 'input', listed: 0.5, ours: 1 },
        { kind: 'price_differs', model: 'm', part: 'output', listed: 0, ours: 2 },
      ],
    ],
    ['costs the same but for rounding', { price: { input: 1.01, output: 1.99 } }, {}, []],
    ['has no known price', {}, { priced: () => null }, [{ kind: 'price_unknown', model: 'm' }]],
  ])('%s', ([, said, change, expected]) => {
    expect(compareDrift({ ...input, listed: listing('m', said), ...change })).toEqual(expected);
  });

  test('of a local server has no price that could differ', () => {
    const { priced: _, ...local } = input;
    expect(compareDrift({ ...local, listed: listing('m', { price: { input: 9, output: 9 } }) })).toEqual([]);
  });
});

describe('a model that is not on the list', () => {
  const missing = [{ kind: 'model_not_listed', model: 'm' }];
  const gone = [{ kind: 'default_model_vanished', model: 'd' }];
  const withDefault = { ...input.catalogue, defaultModel: 'd' };

  test.for<[string, Partial<DriftInput>, object[]]>([
    ['is a finding', { listed: listing('n') }, missing],
    [
      'is a finding, as is that nobody knows its price',
      { listed: listing('n'), priced: () => null },
      [...missing, { kind: 'price_unknown', model: 'm' }],
    ],
    ['may be on a page that was not read', { listed: { models: [], isComplete: false } }, []],
    ['is the default of its preset', { listed: listing('m'), catalogue: withDefault }, gone],
    [
      'is the default of its preset, and in use',
      { listed: listing('n'), catalogue: { ...withDefault, defaultModel: 'm' } },
      [{ kind: 'default_model_vanished', model: 'm' }],
    ],
    [
      'was named twice, and is told once',
      { listed: listing('n'), configured: [...input.configured, ...input.configured] },
      missing,
    ],
  ])('%s', ([, change, expected]) => {
    expect(compareDrift({ ...input, ...change })).toEqual(expected);
  });
});

describe('a model is found on the list', () => {
  const isFound = (change: Partial<DriftInput>) => compareDrift({ ...input, ...change }).length === 0;
  const use = (model: string) => ({ configured: [{ model, contextWindow: null }] });

  test.for<[string, string, Partial<DriftInput>, boolean]>([
    ['under its name', 'gpt-4.1-mini', { listed: listing('gpt-4.1-mini') }, true],
    [
      'under an alias',
      'mistral-medium',
      { listed: listing('mistral-medium-2508', { aliases: ['mistral-medium'] }) },
      true,
    ],
    ['by a snapshot of it', 'claude-haiku-4-5', { listed: listing('claude-haiku-4-5-20251001') }, true],
    ['not by another snapshot', 'gpt-4.1-2025-04-14', { listed: listing('gpt-4.1') }, false],
    ['not by a longer name', 'gpt-4.1', { listed: listing('gpt-4.1-mini') }, false],
    ['without the tag that says nothing', 'llama3.2', { listing: 'ollama', listed: listing('llama3.2:latest') }, true],
    ['not under another tag', 'llama3.2', { listing: 'ollama', listed: listing('llama3.2:1b') }, false],
    ['without its folder', 'models/gemini-2.5-flash', { listing: 'gemini', listed: listing('gemini-2.5-flash') }, true],
    ['without how it is routed', 'openai/gpt-4.1:nitro', { listed: listing('openai/gpt-4.1') }, true],
    ['not without what makes it another', 'openai/gpt-oss-20b:free', { listed: listing('openai/gpt-oss-20b') }, false],
  ])('%s', ([, model, change, expected]) => {
    expect(isFound({ ...use(model), ...change })).toBe(expected);
  });
});
