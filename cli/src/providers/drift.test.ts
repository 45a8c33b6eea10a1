/** How grave each finding of drift is, in words and a remedy. */
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import { type ListedModel, listedModel } from '@waybill/shared/providers/listing/listed-model.ts';
import { expect, test } from 'vitest';
import { findDrift } from './drift.ts';

const parsed = parseEnvironment({ OPENAI_API_KEY: 'k' });
if (parsed.kind === 'faults') throw new Error('the environment of the test');
const settings = settingsOf(
  {
    providers: {
      openai: {
        models: { 'my-tune': { context_window: 9_000, input_usd_per_million: '1', output_usd_per_million: '2' } },
      },
      azure: {
        preset: 'openai-compatible',
        base_url: 'http://h/v1',
        models: {
          m: { deployment: 'd' },
          p: { deployment: 'e', input_usd_per_million: '1', output_usd_per_million: '2' },
        },
      },
      ollama: {},
    },
    chains: { default: { targets: ['openai/gpt-4.1-mini', 'openai/my-tune', 'ollama/qwen3', 'azure/m'] } },
  },
  parsed.environment,
  'the test',
);
const named = (id: string): ProviderSettings => {
  const provider = settings.providers[id];
  if (!provider) throw new Error(id);
  return provider;
};
const nowMs = Date.parse('2026-11-21T12:00:00Z');
const mini = listedModel('gpt-4.1-mini', {});
const tune = listedModel('my-tune', {});
const drift = (id: string, models: readonly ListedModel[], isComplete = true) =>
  findDrift(named(id), settings, 'http://h', { kind: 'models', models, isComplete }, nowMs);

test('lists that say what is believed have no drift', () => {
  expect(drift('openai', [mini, tune])).toEqual([]);
  expect(drift('ollama', [listedModel('qwen3:latest', {})])).toEqual([]);
});

test.for<[string, ListedModel[], object]>([
  ['the default is gone', [tune], { severity: 'error', kind: 'default_model_vanished', model: 'gpt-4.1-mini' }],
  ['a model in use is gone', [mini], { severity: 'error', kind: 'model_not_listed', model: 'my-tune' }],
  [
    'a model in use is retired',
    [mini, listedModel('my-tune', { lifecycle: 'retired', replacement: 'my-next' })],
    { severity: 'error', kind: 'model_retired', detail: 'retired', remedy: 'use my-next' },
  ],
  [
    'one will end',
    [mini, listedModel('my-tune', { endsAtMs: Date.parse('2027-01-01') })],
    { severity: 'warning', kind: 'model_expires', detail: 'will end, ends 2027-01-01' },
  ],
  [
    'one is deprecated',
    [mini, listedModel('my-tune', { lifecycle: 'deprecated' })],
    { severity: 'warning', kind: 'model_deprecated' },
  ],
  [
    'a window is configured too large',
    [mini, listedModel('my-tune', { contextWindow: 8_000 })],
    { severity: 'error', kind: 'context_window_differs', remedy: 'configure context_window: 8000' },
  ],
  [
    'a window is believed wrong',
    [listedModel('gpt-4.1-mini', { contextWindow: 8_000 }), tune],
    { severity: 'warning', kind: 'context_window_differs', model: 'gpt-4.1-mini' },
  ],
  [
    'a configured price is not the listed one',
    [mini, listedModel('my-tune', { price: { input: 1, output: 3 } })],
    {
      severity: 'warning',
      kind: 'price_differs',
      detail: 'output: listed $3, billed here by $2 per million tokens',
    },
  ],
])('%s', ([, models, expected]) => {
  expect(drift('openai', models)).toMatchObject([{ provider: 'openai', endpoint: 'http://h', ...expected }]);
});

test('a list that is not whole proves nothing gone', () => {
  expect(drift('openai', [], false)).toEqual([]);
});

test('a server of one’s own is asked for what is in use, and its tokens need no price', () => {
  expect(drift('ollama', [])).toMatchObject([{ severity: 'error', kind: 'model_not_listed', model: 'qwen3' }]);
});

test('a model is looked for under the name the server knows, and named as here; a price nobody knows is said', () => {
  const listed = [listedModel('d', {}), listedModel('e', {})];
  expect(drift('azure', listed)).toMatchObject([{ severity: 'warning', kind: 'price_unknown', model: 'm' }]);
  expect(drift('azure', listed.slice(0, 1))).toMatchObject([
    { kind: 'price_unknown', model: 'm' },
    { severity: 'error', kind: 'model_not_listed', model: 'p' },
  ]);
});
