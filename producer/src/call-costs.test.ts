import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { expect, test } from 'vitest';
import { callCosts } from './call-costs.ts';

const parsed = parseEnvironment({ OPENAI_API_KEY: 'k' });
if (parsed.kind !== 'ok') throw new Error(JSON.stringify(parsed.faults));
const local = { preset: 'openai-compatible', base_url: 'http://h:1/v1' };
const settings = settingsOf(
  {
    providers: {
      openai: {},
      ollama: {},
      own: { ...local, models: { m: { input_usd_per_million: '1', output_usd_per_million: '2' } } },
    },
    chains: { default: { targets: ['own/m'] } },
  },
  parsed.environment,
  'the test',
);
const needs = { inputTokens: 1_000, outputTokens: 500, inputBound: 4_000, outputBound: 500 };
const of = (target: string, change: object = {}) =>
  callCosts(target, { ...needs, ...change }, settings, Date.UTC(2026, 10, 1));

test('what is expected is of the estimate; the largest is of the bounds', () => {
  expect(of('own/m')).toMatchObject({ expectedNano: 2_000_000n, largestNano: 5_000_000n, reason: null });
  expect(of('own/m').ceilingNano).toBe(5_000_000n);
});

test('without a bound nothing is the largest, unless the model has one, or it costs nothing', () => {
  expect(of('own/m', { outputBound: null })).toMatchObject({
    ...{ expectedNano: 2_000_000n, largestNano: null, ceilingNano: 2_000_000n },
    reason: 'nothing bounds the output; max_tokens would',
  });
  const known = of('openai/gpt-4.1-mini', { outputBound: null });
  expect(known.reason).toBeNull();
  expect(known.largestNano ?? 0n).toBeGreaterThan(of('openai/gpt-4.1-mini').largestNano ?? 0n);
  expect(of('ollama/llama3.2', { outputBound: null })).toMatchObject({
    expectedNano: 0n,
    largestNano: 0n,
    reason: null,
  });
});

test('a price that nobody knows is unknown, never zero; a job with a maximum is held against the dearest', () => {
  const found = of('own/strange');
  expect(found).toMatchObject({ expectedNano: null, largestNano: null, reason: 'no price is known of "strange"' });
  expect(found.ceilingNano ?? 0n).toBeGreaterThan(of('own/m').ceilingNano ?? 0n);
  expect(of('gone/m')).toMatchObject({ prices: null, ceilingNano: null, reason: 'no provider "gone" is configured' });
});
