import { describe, expect, test } from 'vitest';
import { credentialRefs } from '../config/credential-refs.ts';
import { parseEnvironment } from '../config/environment.ts';
import { settingsOf } from '../config/load.ts';
import { noRateLimits } from '../config/resolve-limits.ts';
import type { BreakerState } from './breaker.ts';
import { rateLimits } from './limits.ts';
import { type SharedState, targetFacts, wholeProvider } from './target-facts.ts';

const nowMs = 1_000;
const unpaused: SharedState = {
  pauses: new Map(),
  breakers: new Map(),
  switches: new Map(),
  windows: new Map(),
  credentialsOf: credentialRefs,
};
function factsOf(file: object, target: string, change: Partial<SharedState> = {}) {
  const parsed = parseEnvironment({ OPENAI_API_KEY: 'a-secret' });
  if (parsed.kind === 'faults') throw new Error(JSON.stringify(parsed.faults));
  const providers = { openai: { labels: ['eu'], ...file } };
  const settings = settingsOf({ providers }, parsed.environment, 'the test');
  return targetFacts(settings, { ...unpaused, ...change }, nowMs)(target);
}
const known = {
  isConfigured: true,
  isEnabled: true,
  labels: ['eu'],
  capabilities: null,
  lacks: [],
  contextWindow: null,
  limits: [],
  breaker: null,
  closed: null,
};
const models = (name: string, change: object) => ({ models: { [name]: change } });

describe('targetFacts', () => {
  test.for<[string, object, string, object]>([
    ['leaves unknown what nobody knows', {}, 'openai/mine', known],
    [
      'marks a provider that is not configured',
      {},
      'gone/mine',
      { ...known, isConfigured: false, isEnabled: false, labels: [] },
    ],
    ['marks a provider that is off', { enabled: false }, 'openai/mine', { ...known, isEnabled: false }],
    [
      'takes configured capabilities',
      models('mine', { capabilities: ['tools'] }),
      'openai/mine',
      { ...known, capabilities: ['tools'] },
    ],
    [
      'takes the limits of the provider, and those of the model before them',
      { limits: { rpm: 60, tpm: 9_000 }, models: { mine: { limits: { tpm: 500, rpd: 70 } } } },
      'openai/mine',
      {
        ...known,
        limits: rateLimits({ ...noRateLimits, requestsPerMinute: 60, tokensPerMinute: 500, requestsPerDay: 70 }),
      },
    ],
    [
      'keeps the slashes of a model',
      models('a/b', { context_window: 7 }),
      'openai/a/b',
      { ...known, contextWindow: 7 },
    ],
  ])('%s', ([, change, target, expected]) => {
    expect(factsOf(change, target)).toEqual(expected);
  });

  const said: Partial<SharedState> = { windows: new Map([['openai/gpt-4.1-mini', 500]]) };
  test.for<[string, object, Partial<SharedState>, number]>([
    ['the catalogue knows', {}, {}, 1_047_576],
    ['the server says, before the catalogue', {}, said, 500],
    ['is configured, before all', models('gpt-4.1-mini', { context_window: 9 }), said, 9],
  ])('takes the window that %s', ([, change, state, expected]) => {
    expect(factsOf(change, 'openai/gpt-4.1-mini', state).contextWindow).toBe(expected);
  });

  test.for<[string, object, string, string]>([
    ['a dialect', { preset: 'anthropic', api_key: 'x' }, 'openai/mine', 'multiple_choices'],
    ['a provider', { preset: 'groq', api_key: 'x' }, 'openai/mine', 'multiple_choices'],
    ['its quirks', { quirks: { json_mode: 'json_object' } }, 'openai/mine', 'json_schema'],
    ['a model of the catalogue', { preset: 'groq', api_key: 'x' }, 'openai/llama-3.3-70b-versatile', 'vision'],
  ])('knows what %s lacks', ([, change, target, expected]) => {
    expect(factsOf(change, target).lacks).toContain(expected);
  });

  test.for([
    ['on', false, true, true],
    ['off', true, false, false],
  ] as const)('an operator switches a provider %s, whatever is configured', ([, enabled, isOn, expected]) => {
    const switches = new Map([
      ['openai', isOn],
      ['groq', !isOn],
    ]);
    expect(factsOf({ enabled }, 'openai/mine', { switches }).isEnabled).toBe(expected);
  });
});

describe('a target is closed', () => {
  const pausesOf = (scope: string, kind: string, untilMs: number) => ({
    pauses: new Map([[scope, { kind, untilMs }]]),
  });
  test.for<[string, Partial<SharedState>, object | null]>([
    ['by a failure', pausesOf('provider:openai', 'region', 5_000), { why: 'paused', untilMs: 5_000 }],
    ['by a limit', pausesOf('account:openai/default', 'rate_limit', 5_000), { why: 'limited', untilMs: 5_000 }],
    [
      'for want of a credential that is not refused',
      pausesOf('account:openai/default', 'billing', 5_000),
      { why: 'credentials_exhausted', untilMs: 5_000 },
    ],
    [
      'for want of any credential, until somebody gives one',
      { credentialsOf: () => [] },
      { why: 'credentials_exhausted', untilMs: null },
    ],
    ['no more when the pause has ended', pausesOf('provider:openai', 'region', nowMs), null],
    ['not by a pause of another model', pausesOf('model:openai/other', 'model_not_found', 5_000), null],
  ])('%s', ([, state, expected]) => {
    expect(factsOf({}, 'openai/mine', state).closed).toEqual(expected);
  });
});

describe('the breaker of a target', () => {
  const outage = { cooldownMs: 60_000, why: 'consecutive_failures', sinceMs: 0 } as const;
  const opened = (untilMs: number | null): BreakerState => ({ kind: 'open', untilMs, ...outage });
  const whole = 'openai/*';
  test('is that of its provider too, which has a name that no model has', () => {
    expect(wholeProvider('openai/org/mine')).toBe(whole);
  });

  test.for<[string, Record<string, BreakerState>, object | null]>([
    ['is closed when nobody speaks of it', {}, null],
    ['is closed when it says so', { 'openai/mine': { kind: 'closed' } }, null],
    ['is open until it may be tried', { 'openai/mine': opened(5_000) }, { kind: 'open', untilMs: 5_000 }],
    ['is open until somebody closes it', { 'openai/mine': opened(null) }, { kind: 'open', untilMs: null }],
    ['is half open when it may be tried', { 'openai/mine': opened(nowMs) }, { kind: 'half_open' }],
    [
      'is half open while it is tried',
      { 'openai/mine': { kind: 'half_open', successes: 1, ...outage } },
      { kind: 'half_open' },
    ],
    ['is open with all of the provider', { [whole]: opened(5_000) }, { kind: 'open', untilMs: 5_000 }],
    ['is closed when all of the provider may be called again', { [whole]: opened(nowMs) }, null],
    [
      'is half open by itself when all of the provider may be called again',
      { [whole]: opened(nowMs), 'openai/mine': opened(nowMs) },
      { kind: 'half_open' },
    ],
    [
      'is open as long as the later of both',
      { [whole]: opened(5_000), 'openai/mine': opened(6_000) },
      { kind: 'open', untilMs: 6_000 },
    ],
    [
      'is open until somebody closes it, though the other ends by itself',
      { [whole]: opened(null), 'openai/mine': opened(6_000) },
      { kind: 'open', untilMs: null },
    ],
    ['is not that of another model', { 'openai/other': opened(5_000) }, null],
    ['is not that of another provider', { 'groq/*': opened(5_000), 'groq/mine': opened(5_000) }, null],
  ])('%s', ([, breakers, expected]) => {
    expect(factsOf({}, 'openai/mine', { breakers: new Map(Object.entries(breakers)) }).breaker).toEqual(expected);
  });
});
