import { expect, test } from 'vitest';
import { parseEnvironment } from './environment.ts';
import { resolveSettings } from './resolve.ts';
import { chainOfTarget } from './resolve-chain.ts';
import { configSchema } from './schema.ts';

function resolve(file: object, env: NodeJS.ProcessEnv = {}) {
  const parsed = parseEnvironment(env);
  if (parsed.kind !== 'ok') throw new Error(JSON.stringify(parsed.faults));
  return resolveSettings(configSchema.parse(file) ?? {}, parsed.environment);
}
const key = { OPENAI_API_KEY: 'sk-from-env' };
const openai = (change: object = {}, env: NodeJS.ProcessEnv = key) => {
  const { settings, faults } = resolve({ providers: { openai: change } }, env);
  expect(faults).toEqual([]);
  return settings.providers.openai;
};
const two = { ollama: {}, openai: {} };
const chainOf = (change: object, env: NodeJS.ProcessEnv = {}) =>
  resolve({ providers: two, chains: { default: { targets: ['openai/gpt-4.1-mini'], ...change } } }, { ...key, ...env })
    .settings.chains.default;

test('a provider named like a preset takes its dialect, address, credential and quirks', () => {
  const provider = openai();
  expect(provider).toMatchObject({
    id: 'openai',
    dialect: 'openai',
    preset: 'openai',
    endpoints: [{ url: 'https://api.openai.com/v1', concurrency: null }],
    enabled: true,
    credentials: [{ name: 'OPENAI_API_KEY', account: 'default', source: { kind: 'fixed' } }],
    apiVersion: null,
    headers: {},
    labels: [],
    isLocal: false,
    concurrency: 32,
    timeouts: { connectMs: 2_000, firstByteMs: 60_000, idleMs: 60_000, totalMs: 600_000 },
    quirks: { maxTokensField: 'max_completion_tokens' },
    pricesAs: 'openai',
  });
});

test('a provider of another name may say which preset it is', () => {
  const { settings } = resolve(
    { providers: { 'claude-eu': { preset: 'anthropic', labels: ['eu'] } } },
    { ANTHROPIC_API_KEY: 'k' },
  );
  expect(settings.providers['claude-eu']).toMatchObject({ dialect: 'anthropic', labels: ['eu'] });
});

test('a provider nobody knows speaks the OpenAI format at its address', () => {
  const { settings, faults } = resolve({ providers: { mine: { base_url: 'http://h:1/v1' } } });
  expect(faults).toEqual([]);
  expect(settings.providers.mine).toMatchObject({
    ...{ dialect: 'openai', preset: 'openai-compatible', credentials: [] },
    endpoints: [{ url: 'http://h:1/v1', concurrency: null }],
  });
});

test('a local server is labelled local, waits longer for its first byte and needs no credential', () => {
  const { settings } = resolve({ providers: { ollama: { labels: ['eu', 'local'] } } });
  expect(settings.providers.ollama).toMatchObject({
    labels: ['local', 'eu'],
    isLocal: true,
    credentials: [],
    concurrency: 1,
    timeouts: { firstByteMs: 180_000 },
  });
});

test.for<[string, object, NodeJS.ProcessEnv, object]>([
  ['enabled: false', { enabled: false }, {}, { enabled: false }],
  ['WAYBILL_DISABLE', {}, { WAYBILL_DISABLE: 'openai' }, { enabled: false }],
  ['limits.concurrency', { limits: { concurrency: 4 } }, {}, { concurrency: 4 }],
  [
    'timeouts.first_byte',
    { timeouts: { first_byte: '5s' } },
    { PROVIDER_TIMEOUT: '7' },
    { timeouts: { firstByteMs: 5_000 } },
  ],
  [
    'LLM_PROVIDER_TIMEOUTS',
    {},
    { LLM_PROVIDER_TIMEOUTS: 'openai:20', PROVIDER_TIMEOUT: '7' },
    { timeouts: { firstByteMs: 20_000 } },
  ],
  [
    'PROVIDER_TIMEOUT',
    {},
    { PROVIDER_TIMEOUT: '7', LLM_PROVIDER_TIMEOUTS: 'ollama:20' },
    { timeouts: { firstByteMs: 7_000 } },
  ],
  ['a total that follows the first byte', {}, { PROVIDER_TIMEOUT: '1200' }, { timeouts: { totalMs: 1_200_000 } }],
])('%s decides', ([, change, env, expected]) => {
  expect(openai(change, { ...key, ...env })).toMatchObject(expected);
});

test.for<[string, object, NodeJS.ProcessEnv, string, RegExp]>([
  ['no address', { providers: { mine: {} } }, {}, 'providers.mine', /has no address/],
  [
    'a total shorter than the first byte',
    { providers: { ollama: { timeouts: { total: '10s' } } } },
    {},
    'providers.ollama.timeouts',
    /total \(10000 ms\) is shorter than first_byte \(180000 ms\)/,
  ],
  [
    'the same in a chain',
    {
      providers: { ollama: {} },
      chains: { a: { targets: ['ollama/m'], timeouts: { total: '1s', first_byte: '2s' } } },
    },
    {},
    'chains.a.timeouts',
    /total \(1000 ms\) is shorter/,
  ],
  [
    'a target of no provider',
    { providers: { ollama: {} }, chains: { a: { targets: ['ollama/m', 'olama/m'] } } },
    {},
    'chains.a.targets[1]',
    /no provider "olama" is configured; did you mean "ollama"/,
  ],
  [
    'a target twice',
    { providers: { ollama: {} }, chains: { a: { targets: ['ollama/m', 'ollama/m'] } } },
    {},
    'chains.a.targets[1]',
    /stands in the chain twice/,
  ],
])('%s is a fault', ([, file, env, path, message]) => {
  const { faults } = resolve(file, env);
  expect(faults).toMatchObject([{ path, message: expect.stringMatching(message) }]);
});

test('all faults come at once', () => {
  const { faults } = resolve({
    providers: { openai: {}, 'azure-openai': { api_key: 'k' }, mine: {} },
    chains: { a: { targets: ['x/y'] } },
  });
  expect(faults.map((fault) => fault.path)).toEqual([
    'providers.openai.credentials',
    'providers.azure-openai',
    'providers.mine',
    'chains.a.targets[0]',
  ]);
});

test('a provider that is off needs no credential', () => {
  expect(openai({ enabled: false }, {})).toMatchObject({ enabled: false, credentials: [] });
});

test('a chain without settings has the defaults of the design', () => {
  expect(chainOf({})).toEqual({
    name: 'default',
    targets: ['openai/gpt-4.1-mini'],
    tiers: [['openai/gpt-4.1-mini']],
    weights: { 'openai/gpt-4.1-mini': 1 },
    score: { cost: 1, latency: 1, reliability: 1 },
    onUnavailable: 'next',
    lastResort: null,
    params: { 'openai/gpt-4.1-mini': {} },
    strategy: 'ordered',
    mode: 'graceful',
    sameTargetRetries: 3,
    maxAttempts: 10,
    onLimitMs: { interactive: 5_000, normal: 60_000, bulk: null },
    backoff: { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'full' },
    on: {},
    timeouts: {},
    onLength: 'accept',
    resume: 'restart',
  });
});

test.for<[string, object, object]>([
  [
    'on_limit, where "wait" is for ever',
    { on_limit: { normal: 'wait', bulk: '1h' } },
    { onLimitMs: { interactive: 5_000, normal: null, bulk: 3_600_000 } },
  ],
  [
    'backoff',
    { backoff: { initial: '100ms', jitter: 'none' } },
    { backoff: { initialMs: 100, factor: 2, maxMs: 60_000, jitter: 'none' } },
  ],
  ['no retries', { same_target_retries: 0 }, { sameTargetRetries: 0 }],
  ['on', { on: { refusal: 'fallback' } }, { on: { refusal: 'fallback' } }],
  ['timeouts', { timeouts: { total: '10s' } }, { timeouts: { totalMs: 10_000 } }],
  ['on_length', { on_length: 'fallback' }, { onLength: 'fallback' }],
  ['resume', { resume: 'continue' }, { resume: 'continue' }],
  [
    'what targets add to a request, each its own',
    { targets: ['ollama/m', { target: 'openai/gpt-4.1', params: { max_tokens: 800, temperature: 0 } }] },
    {
      targets: ['ollama/m', 'openai/gpt-4.1'],
      params: { 'ollama/m': {}, 'openai/gpt-4.1': { max_tokens: 800, temperature: 0 } },
    },
  ],
])('a chain takes %s', ([, change, expected]) => {
  expect(chainOf(change)).toMatchObject(expected);
});

test('variables of other tools shape the default chain, not one that is written', () => {
  const env = { LLM_FALLBACK_MODE: 'immediate', PROVIDER_RETRY_ATTEMPTS: '0', PROVIDER_LOAD_BALANCE: 'true' };
  expect(resolve({ providers: two }, { ...key, ...env }).settings.chains.default).toMatchObject({
    mode: 'immediate',
    sameTargetRetries: 0,
    strategy: 'round_robin',
  });
  expect(chainOf({}, env)).toMatchObject({ mode: 'graceful', sameTargetRetries: 3, strategy: 'ordered' });
});

const cloud = { ...key, GROQ_API_KEY: 'gsk' };
test.for<[string, NodeJS.ProcessEnv, string[]]>([
  ['local first, then as they stand', {}, ['ollama/llama3.2', 'openai/gpt-4.1-mini', 'groq/llama-3.3-70b-versatile']],
  [
    'LLM_PROVIDER_PRIORITY',
    { LLM_PROVIDER_PRIORITY: 'groq,openai' },
    ['groq/llama-3.3-70b-versatile', 'openai/gpt-4.1-mini'],
  ],
  [
    'PRIMARY, SECONDARY and FALLBACK',
    { PRIMARY_PROVIDER: 'openai', FALLBACK_PROVIDER: 'ollama' },
    ['openai/gpt-4.1-mini', 'ollama/llama3.2'],
  ],
  [
    'the priority before PRIMARY',
    { LLM_PROVIDER_PRIORITY: 'groq', PRIMARY_PROVIDER: 'openai' },
    ['groq/llama-3.3-70b-versatile'],
  ],
  ['<PROVIDER>_MODEL', { OPENAI_MODEL: 'gpt-4.1', LLM_PROVIDER_PRIORITY: 'openai' }, ['openai/gpt-4.1']],
  ['the provider system off: the first alone', { ENABLE_PROVIDER_SYSTEM: 'false' }, ['ollama/llama3.2']],
])('without a chain of that name, default is: %s', ([, env, expected]) => {
  const file = { providers: { openai: {}, ollama: {}, groq: {} } };
  expect(resolve(file, { ...cloud, ...env }).settings.chains.default?.targets).toEqual(expected);
});

test.for(['WAYBILL_DISABLE', 'LLM_PROVIDER_PRIORITY', 'PRIMARY_PROVIDER'])(
  '%s naming a provider that is not there is worth a word',
  (variable) => {
    expect(resolve({ providers: { openai: {} } }, { ...key, [variable]: 'opnai' }).settings.notes).toEqual([
      `${variable} names "opnai", which is not configured; did you mean "openai"?`,
    ]);
  },
);

test('the version follows the settings, never the secrets', () => {
  const versionOf = (change: object, env: NodeJS.ProcessEnv) =>
    resolve({ providers: { openai: change } }, env).settings.version;
  expect(versionOf({}, { OPENAI_API_KEY: 'a' })).toBe(versionOf({}, { OPENAI_API_KEY: 'b' }));
  expect(versionOf({ limits: { concurrency: 1 } }, key)).not.toBe(versionOf({}, key));
  expect(versionOf({ models: { m: { input_usd_per_million: '1', output_usd_per_million: '2' } } }, key)).toMatch(
    /^[0-9a-f]{12}$/,
  );
});

test('a target asked for by name is a chain of its own, with the default policy', () => {
  expect(chainOfTarget('openai/gpt-4.1')).toMatchObject({
    targets: ['openai/gpt-4.1'],
    mode: 'graceful',
    maxAttempts: 10,
  });
});

test('a chain may name a target with a model of many words, and is resolved without a fault', () => {
  const { faults } = resolve({ providers: two, chains: { a: { targets: [{ target: 'ollama/org/m:1' }] } } }, key);
  expect(faults).toEqual([]);
});
