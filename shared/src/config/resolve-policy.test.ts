import { expect, test } from 'vitest';
import { faultsOf } from '../domain/strict-object.ts';
import { parseEnvironment } from './environment.ts';
import { rateLimitsOf } from './model-settings.ts';
import { resolveSettings } from './resolve.ts';
import { configSchema } from './schema.ts';

const base = {
  providers: { ollama: {} },
  chains: { default: { targets: ['ollama/llama3.2'] }, other: { targets: ['ollama/m'] } },
};
function resolve(file: object, env: NodeJS.ProcessEnv = {}) {
  const parsed = parseEnvironment(env);
  if (parsed.kind !== 'ok') throw new Error(JSON.stringify(parsed.faults));
  return resolveSettings(configSchema.parse({ ...base, ...file }) ?? {}, parsed.environment);
}
const settingsOf = (file: object, env?: NodeJS.ProcessEnv) => {
  const { settings, faults } = resolve(file, env);
  expect(faults).toEqual([]);
  return settings;
};
const faultsIn = (file: object) => {
  const parsed = configSchema.safeParse({ ...base, ...file });
  return (parsed.success ? resolve(file).faults : faultsOf(parsed.error)).map(
    ({ path, message }) => `${path}: ${message}`,
  );
};

test('without a word, everything is as it is without a file', () => {
  expect(settingsOf({})).toMatchObject({
    classifiers: {},
    breaker: { consecutiveFailures: 5, failureRate: 0.5, minimumCalls: 10, windowMs: 60_000, cooldownMs: 60_000 },
    privacy: { isCloudOn: true, detect: [], unreadFiles: 'found', require: ['local'] },
    budgets: [],
    tenants: {},
    hasRouteHeaders: true,
  });
});

test('a breaker is as the file says, in every field', () => {
  const breaker = {
    ...{ consecutive_failures: 3, failure_rate: 0.2, minimum_calls: 4, window: '30s', cooldown: '5s' },
    ...{ max_cooldown: '1m', successes_to_close: 1, adaptive: true, latency_spike: 4 },
  };
  expect(settingsOf({ breaker }).breaker).toEqual({
    ...{ consecutiveFailures: 3, failureRate: 0.2, minimumCalls: 4, windowMs: 30_000, cooldownMs: 5_000 },
    ...{ maxCooldownMs: 60_000, successesToClose: 1, isAdaptive: true, latencySpike: 4 },
  });
});

test('the cooldown comes from the environment where the file has none, and the longest is no shorter', () => {
  const env = { LLM_PROVIDER_COOLDOWN_SEC: '900' };
  expect(settingsOf({}, env).breaker).toMatchObject({ cooldownMs: 900_000, maxCooldownMs: 900_000 });
  expect(settingsOf({ breaker: { cooldown: '5s' } }, env).breaker).toMatchObject({
    cooldownMs: 5_000,
    maxCooldownMs: 600_000,
  });
});

test.for<[string, object, NodeJS.ProcessEnv, boolean]>([
  ['on', {}, {}, true],
  ['off by the file', { privacy: { cloud: 'off' } }, {}, false],
  ['off as older YAML reads it', { privacy: { cloud: false } }, {}, false],
  ['off by the environment', { privacy: { cloud: 'on' } }, { WAYBILL_CLOUD: 'OFF' }, false],
  ['off by the file, whatever the environment says', { privacy: { cloud: 'off' } }, { WAYBILL_CLOUD: 'on' }, false],
])('the cloud is %s', ([, file, env, isOn]) => {
  expect(settingsOf(file, env).privacy.isCloudOn).toBe(isOn);
});

test.for(['found', 'pass'] as const)('a file that is not text counts as %s', (rule) => {
  expect(settingsOf({ privacy: { unread_files: rule } }).privacy.unreadFiles).toBe(rule);
});

test('LLM_FALLBACK_MODE=manual makes the chain of the environment ask', () => {
  const file = { chains: { other: base.chains.other }, providers: { ollama: { models: { m: {} } } } };
  expect(settingsOf(file, { LLM_FALLBACK_MODE: 'manual' }).chains.default?.mode).toBe('manual');
});

test('budgets of certain names come before those of all, each with what it leaves open', () => {
  const budgets = [
    { per: 'tenant', period: 'day', limit_usd: '1.50' },
    {
      per: 'metadata',
      field: 'team',
      only: ['x'],
      period: 'month',
      limit_usd: 20,
      alert_at: [1, 0.5, 1],
      reserve: 'max',
    },
    {
      per: 'tenant',
      period: 'day',
      only: ['vip'],
      limit_usd: '9',
      on_exceeded: 'local_only',
      on_unknown_price: 'block',
    },
  ];
  expect(settingsOf({ budgets }).budgets).toMatchObject([
    { id: 'metadata.team/month', only: ['x'], limitNano: 20_000_000_000n, alertAt: [0.5, 1], reserve: 'max' },
    { id: 'tenant/day', only: ['vip'], onExceeded: 'local_only', onUnknownPrice: 'block' },
    {
      ...{ id: 'tenant/day', only: null, limitNano: 1_500_000_000n, alertAt: [0.5, 0.8, 1], reserve: 'expected' },
      ...{ onExceeded: 'reject', onUnknownPrice: 'reserve_max' },
    },
  ]);
});

test('classes and tenants are as the file says', () => {
  const file = {
    classify: { auto: { short: 'other', otherwise: 'default', long_from: 100 }, plain: { otherwise: 'other' } },
    tenants: { acme: { weight: 3, chain: 'other', require: ['eu'], exclude_providers: ['ollama'] }, plain: {} },
    api: { route_headers: false },
  };
  const none = { vision: null, tools: null, short: null, long: null };
  expect(settingsOf(file)).toMatchObject({
    classifiers: {
      auto: { ...none, short: 'other', otherwise: 'default', longFrom: 100 },
      plain: { ...none, otherwise: 'other', longFrom: 8_000 },
    },
    tenants: {
      acme: { weight: 3, chain: 'other', require: ['eu'], excludeProviders: ['ollama'] },
      plain: { weight: 1, chain: null, require: [], excludeProviders: [] },
    },
    hasRouteHeaders: false,
  });
});

const day = { per: 'tenant', period: 'day', limit_usd: '1' };
test.for<[string, object, string]>([
  [
    'a class of a chain that is not there',
    { classify: { a: { otherwise: 'defualt' } } },
    'classify.a.otherwise: no chain "defualt" is configured; did you mean "default"?',
  ],
  [
    'a class named like a chain',
    { classify: { other: { otherwise: 'default' } } },
    'classify.other: a chain has the name "other" too',
  ],
  [
    'a tenant whose chain is not there',
    { tenants: { t: { chain: 'otter' } } },
    'tenants.t.chain: no chain "otter" is configured; did you mean "other"?',
  ],
  [
    'a longest cooldown below the first',
    { breaker: { cooldown: '5m', max_cooldown: '1m' } },
    'breaker.max_cooldown: max_cooldown (60000 ms) is shorter than cooldown (300000 ms)',
  ],
  ['two budgets of all', { budgets: [day, day] }, 'budgets[1]: another budget counts the same'],
  [
    'two budgets of one name',
    {
      budgets: [
        { ...day, only: ['a', 'b'] },
        { ...day, only: ['b'] },
      ],
    },
    'budgets[1]: another budget counts the same',
  ],
  [
    'a budget of metadata without its field',
    { budgets: [{ ...day, per: 'metadata' }] },
    'budgets[0]: a budget per metadata needs "field"',
  ],
  [
    'a field of another budget',
    { budgets: [{ ...day, field: 'x' }] },
    'budgets[0]: a budget per metadata needs "field"',
  ],
  ['a budget of nothing', { budgets: [{ ...day, limit_usd: '0' }] }, 'budgets[0].limit_usd: expected more than 0'],
  ['a budget in words', { budgets: [{ ...day, limit_usd: 'much' }] }, 'budgets[0].limit_usd: expected US dollars'],
  ['a budget per week', { budgets: [{ ...day, period: 'week' }] }, 'budgets[0].period:'],
  ['a threshold of nothing', { budgets: [{ ...day, alert_at: [0] }] }, 'budgets[0].alert_at[0]:'],
  ['a detector that is not there', { privacy: { detect: ['e-mail'] } }, 'privacy.detect[0]:'],
  ['a rule for unread files that is none', { privacy: { unread_files: 'ignore' } }, 'privacy.unread_files:'],
  ['no label', { privacy: { require: [] } }, 'privacy.require:'],
  ['a cloud of words', { privacy: { cloud: 'sometimes' } }, 'privacy.cloud:'],
  ['a rate of nothing', { breaker: { failure_rate: 0 } }, 'breaker.failure_rate:'],
  ['a spike of nothing', { breaker: { latency_spike: 1 } }, 'breaker.latency_spike:'],
  ['a window of no time', { breaker: { window: '1s' } }, 'breaker.window:'],
  ['an unknown field of a budget', { budgets: [{ ...day, limit: 1 }] }, 'budgets[0]: unknown field "limit"'],
  [
    'an unknown field of the breaker',
    { breaker: { cooldwn: '1s' } },
    'breaker: unknown field "cooldwn"; did you mean "cooldown"?',
  ],
  [
    'an unknown field of privacy',
    { privacy: { detects: [] } },
    'privacy: unknown field "detects"; did you mean "detect"?',
  ],
  [
    'an unknown field of a tenant',
    { tenants: { t: { wieght: 1 } } },
    'tenants.t: unknown field "wieght"; did you mean "weight"?',
  ],
  [
    'an unknown field of a class',
    { classify: { a: { otherwise: 'default', shrt: 'default' } } },
    'classify.a: unknown field "shrt"; did you mean "short"?',
  ],
  [
    'an unknown field of the API',
    { api: { route_header: true } },
    'api: unknown field "route_header"; did you mean "route_headers"?',
  ],
  [
    'an unknown limit',
    { providers: { ollama: { limits: { rpn: 1 } } } },
    'providers.ollama.limits: unknown field "rpn"; did you mean "rpm"?',
  ],
  ['a limit of nothing', { providers: { ollama: { limits: { tpm: 0 } } } }, 'providers.ollama.limits.tpm:'],
  [
    'a strategy that is not there',
    { chains: { default: { targets: ['ollama/m'], strategy: 'best' } } },
    'chains.default.strategy:',
  ],
  [
    'a weight of a score beyond one',
    { chains: { default: { targets: ['ollama/m'], score: { cost: 2 } } } },
    'chains.default.score.cost:',
  ],
  [
    'a last resort without words',
    { chains: { default: { targets: ['ollama/m'], last_resort: { content: '' } } } },
    'chains.default.last_resort.content:',
  ],
])('%s is a fault', ([, file, expected]) => {
  const found = faultsIn(file);
  expect(
    found.some((fault) => fault.startsWith(expected)),
    found.join('\n'),
  ).toBe(true);
});

test('rates stand at the provider, and one by one at the model; null takes one away', () => {
  const limits = { rpm: 60, rpd: 1_000, tpm: 10_000, tpd: 100_000, input_tpm: 8_000, output_tpm: 2_000 };
  const models = { m: { limits: { rpm: 5, tpm: null } }, n: {} };
  const { ollama } = settingsOf({ providers: { ollama: { limits, models } } }).providers;
  if (!ollama) throw new Error('the provider is configured');
  const all = {
    ...{ requestsPerMinute: 60, requestsPerDay: 1_000, tokensPerMinute: 10_000, tokensPerDay: 100_000 },
    ...{ inputTokensPerMinute: 8_000, outputTokensPerMinute: 2_000 },
  };
  expect(rateLimitsOf(ollama, 'n')).toEqual(all);
  expect(rateLimitsOf(ollama, 'any')).toEqual(all);
  expect(rateLimitsOf(ollama, 'm')).toEqual({ ...all, requestsPerMinute: 5, tokensPerMinute: null });
});

test('a change of any policy is another version of the configuration', () => {
  const files = [
    {},
    { privacy: { cloud: 'off' } },
    { privacy: { unread_files: 'pass' } },
    { budgets: [day] },
    { breaker: { adaptive: true } },
    { tenants: { t: {} } },
  ];
  expect(new Set(files.map((file) => settingsOf(file).version)).size).toBe(files.length);
});
