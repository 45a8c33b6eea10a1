import { expect, test } from 'vitest';
import { parseEnvironment } from '../config/environment.ts';
import { settingsOf } from '../config/load.ts';
import { callPrices, costsNothing, isFreeTarget } from './call-prices.ts';
import { dearestPrice } from './estimate.ts';

const parsed = parseEnvironment({ OPENAI_API_KEY: 'test', GEMINI_API_KEY: 'test' });
if (parsed.kind === 'faults') throw new Error('the environment is valid');
const model = { input_usd_per_million: '2', output_usd_per_million: '8' };
const settings = settingsOf(
  {
    providers: {
      openai: { models: { 'a/named': model } },
      gemini: null,
      ollama: { base_url: 'http://127.0.0.1:1' },
      other: { preset: 'openai-compatible', base_url: 'http://127.0.0.1:1/v1' },
    },
  },
  parsed.environment,
  'the test',
);
const nowMs = Date.UTC(2026, 5, 1);
function pricesOf(target: string, inputTokens = 1_000) {
  const provider = settings.providers[target.split('/')[0] ?? ''];
  if (!provider) throw new Error('the provider is configured');
  return { provider, prices: callPrices(provider, target, inputTokens, nowMs) };
}
const free = { inputPerMillion: 0n, outputPerMillion: 0n };

test('a configured price is the expected and the largest one; slashes belong to the model', () => {
  const { prices } = pricesOf('openai/a/named');
  const own = { inputPerMillion: 2_000_000_000n, outputPerMillion: 8_000_000_000n };
  expect(prices).toMatchObject({ expected: own, largest: own, maxOutputTokens: null });
});

test('a model of the tables has its price, no more than the largest, and the longest answer it can give', () => {
  const { prices } = pricesOf('openai/gpt-4.1-mini');
  expect(prices.expected).toEqual({ inputPerMillion: 400_000_000n, outputPerMillion: 1_600_000_000n });
  expect(prices.largest?.inputPerMillion).toBeGreaterThanOrEqual(400_000_000n);
  expect(prices.maxOutputTokens).toBe(32_768);
});

test('a long prompt has the price of its tier', () => {
  const { prices: short } = pricesOf('gemini/gemini-2.5-pro', 1_000);
  const { prices: long } = pricesOf('gemini/gemini-2.5-pro', 300_000);
  expect(long.expected?.inputPerMillion).toBeGreaterThan(short.expected?.inputPerMillion ?? 0n);
  expect(long.largest?.outputPerMillion).toBeGreaterThan(short.largest?.outputPerMillion ?? 0n);
});

test('a model that nobody knows is not free: the dearest one stands beside it', () => {
  const { provider, prices } = pricesOf('openai/nobody-knows-this-model');
  expect(prices).toEqual({
    expected: null,
    largest: null,
    dearest: dearestPrice(provider, new Date(nowMs)),
    maxOutputTokens: null,
  });
  expect(prices.dearest.inputPerMillion).toBeGreaterThan(0n);
  expect(prices.dearest.outputPerMillion).toBeGreaterThan(0n);
});

test('a server of no known provider has no price, and a local one costs nothing', () => {
  expect(pricesOf('other/m').prices).toMatchObject({ expected: null, largest: null, maxOutputTokens: null });
  expect(pricesOf('ollama/llama3.2').prices).toMatchObject({ expected: free, largest: free });
});

test.for([
  ['ollama/any', true],
  ['openai/gpt-4.1-mini', false],
  ['openai/nobody-knows-it', false],
  ['gone/m', false],
  ['constructor/m', false],
] as const)('%s is known to cost nothing: %s', ([target, isFree]) => {
  expect(isFreeTarget(target, settings.providers, 1_000, nowMs)).toBe(isFree);
});

test('nothing is what costs neither for what is read nor for what is written', () => {
  expect(costsNothing(free)).toBe(true);
  expect(costsNothing({ ...free, outputPerMillion: 1n })).toBe(false);
  expect(costsNothing({ ...free, inputPerMillion: 1n })).toBe(false);
  expect(costsNothing(null)).toBe(false);
  expect(costsNothing(undefined)).toBe(false);
});
