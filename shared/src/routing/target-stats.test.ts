import { describe, expect, test } from 'vitest';
import { parseEnvironment } from '../config/environment.ts';
import { settingsOf } from '../config/load.ts';
import { targetStats, type UsualState } from './target-stats.ts';

const nowMs = Date.UTC(2026, 0, 1);
const model = { input_usd_per_million: '2', output_usd_per_million: '8', limits: { concurrency: 10 } };
const nothingKnown: UsualState = { throughput: new Map(), usual: new Map() };

function statsOf(target: string, state: UsualState = nothingKnown, size = { inputTokens: 1_000, outputTokens: 100 }) {
  const parsed = parseEnvironment({});
  if (parsed.kind === 'faults') throw new Error(JSON.stringify(parsed.faults));
  const settings = settingsOf(
    { providers: { mine: { preset: 'openai-compatible', base_url: 'http://127.0.0.1:1/v1', models: { m: model } } } },
    parsed.environment,
    'the test',
  );
  return targetStats(settings, state, size, nowMs)(target);
}
const usual = (target: string, latencyMs: number | null, reliability: number | null = null): UsualState['usual'] =>
  new Map([[target, { latencyMs, reliability }]]);

describe('targetStats', () => {
  test('knows nothing of a provider that is not configured, whatever is measured', () => {
    const state = { throughput: new Map([['gone/m', 5]]), usual: usual('gone/m', 100, 1) };
    expect(statsOf('gone/m', state)).toEqual({ costNano: null, latencyMs: null, reliability: null, freeCapacity: 0 });
  });

  test('takes the price of a request of this size, and leaves unknown what was never measured', () => {
    // 1,000 × $2 and 100 × $8 per million.
    expect(statsOf('mine/m')).toEqual({
      costNano: 2_800_000n,
      latencyMs: null,
      reliability: null,
      freeCapacity: 10,
    });
    expect(statsOf('mine/m', nothingKnown, { inputTokens: 0, outputTokens: 1 }).costNano).toBe(8_000n);
  });

  test('does not take an unknown price for none', () => {
    expect(statsOf('mine/nobody-knows-this-model').costNano).toBeNull();
  });

  test('says what is usual', () => {
    expect(statsOf('mine/m', { ...nothingKnown, usual: usual('mine/m', 250, 0.9) })).toMatchObject({
      latencyMs: 250,
      reliability: 0.9,
    });
    expect(statsOf('mine/m', { ...nothingKnown, usual: usual('mine/other', 250, 0.9) })).toMatchObject({
      latencyMs: null,
      reliability: null,
    });
  });

  test.for<[string, number, number | null, number]>([
    ['all of it, where nothing ends', 0, 500, 10],
    ['what calls that end and their time leave', 8, 500, 6],
    ['none, where more are under way than it takes', 100, 500, 0],
    ['all of it, where their time is unknown', 8, null, 10],
  ])('has free %s', ([, perSecond, latencyMs, expected]) => {
    const state = { throughput: new Map([['mine/m', perSecond]]), usual: usual('mine/m', latencyMs) };
    expect(statsOf('mine/m', state).freeCapacity).toBe(expected);
  });
});
