import { describe, expect, test } from 'vitest';
import type { ModelSettings, ProviderSettings, Settings } from '../config/settings.ts';
import { type Pauses, pauseScopeKey, targetFacts } from './target-facts.ts';

const provider: ProviderSettings = {
  id: 'openai',
  dialect: 'openai',
  endpoint: 'http://127.0.0.1:1/v1',
  enabled: true,
  credential: null,
  labels: ['eu'],
  isLocal: false,
  concurrency: 1,
  timeouts: { connectMs: 1, firstByteMs: 1, idleMs: 1, totalMs: 1 },
  quirks: { maxTokensField: 'max_tokens', drop: [], streamUsage: true },
  pricesAs: null,
  models: {},
};
const model: ModelSettings = { concurrency: null, contextWindow: null, capabilities: null, price: null };
const settingsWith = (change: Partial<ProviderSettings>): Settings => ({
  version: 'v1',
  providers: { openai: { ...provider, ...change } },
  chains: {},
  webhooks: { allowNetworks: [], timeoutMs: 1 },
  notes: [],
});
const known = {
  isConfigured: true,
  isEnabled: true,
  labels: ['eu'],
  capabilities: null,
  lacks: [],
  contextWindow: null,
  pausedUntilMs: null,
};

describe('targetFacts', () => {
  test.for<[string, Partial<ProviderSettings>, string, object]>([
    ['leaves unknown what nobody knows', {}, 'openai/mine', known],
    [
      'marks a provider that is not configured',
      {},
      'gone/mine',
      { ...known, isConfigured: false, isEnabled: false, labels: [] },
    ],
    ['marks a provider that is off', { enabled: false }, 'openai/mine', { ...known, isEnabled: false }],
    ['knows a window from the catalogue', {}, 'openai/gpt-4.1-mini', { ...known, contextWindow: 1_047_576 }],
    [
      'prefers the configured window',
      { models: { 'gpt-4.1-mini': { ...model, contextWindow: 9 } } },
      'openai/gpt-4.1-mini',
      { ...known, contextWindow: 9 },
    ],
    [
      'takes configured capabilities',
      { models: { mine: { ...model, capabilities: ['tools'] } } },
      'openai/mine',
      { ...known, capabilities: ['tools'] },
    ],
    [
      'knows what a model of the catalogue lacks',
      {},
      'openai/llama-3.3-70b-versatile',
      { ...known, contextWindow: 131_072, lacks: ['vision'] },
    ],
    [
      'keeps the slashes of a model',
      { models: { 'a/b': { ...model, contextWindow: 7 } } },
      'openai/a/b',
      {
        ...known,
        contextWindow: 7,
      },
    ],
  ])('%s', ([, change, target, expected]) => {
    expect(targetFacts(settingsWith(change), new Map())(target)).toEqual(expected);
  });

  test('knows what a dialect lacks', () => {
    const lacks = targetFacts(settingsWith({ dialect: 'anthropic' }), new Map())('openai/mine').lacks;
    expect(lacks).toContain('multiple_choices');
  });
});

describe('a pause', () => {
  const target = 'openai/mine';
  test.for<[string, Pauses, number | null]>([
    ['of the model holds', new Map([['model:openai/mine', { kind: 'permission', untilMs: 5 }]]), 5],
    ['of the credential holds', new Map([['credential:openai', { kind: 'auth', untilMs: 6 }]]), 6],
    ['of the provider holds', new Map([['provider:openai', { kind: 'region', untilMs: 7 }]]), 7],
    ['of another model does not', new Map([['model:openai/other', { kind: 'permission', untilMs: 5 }]]), null],
    ['of another provider does not', new Map([['provider:groq', { kind: 'region', untilMs: 5 }]]), null],
    [
      'that ends last counts',
      new Map([
        ['model:openai/mine', { kind: 'permission', untilMs: 5 }],
        ['provider:openai', { kind: 'region', untilMs: 9 }],
        ['credential:openai', { kind: 'auth', untilMs: 6 }],
      ]),
      9,
    ],
  ])('%s', ([, pauses, expected]) => {
    expect(targetFacts(settingsWith({}), pauses)(target).pausedUntilMs).toBe(expected);
  });

  test.for([
    ['model', 'model:openai/a/b'],
    ['credential', 'credential:openai'],
    ['provider', 'provider:openai'],
  ] as const)('of scope %s is kept as %s', ([scope, expected]) => {
    expect(pauseScopeKey(scope, 'openai/a/b')).toBe(expected);
  });
});
