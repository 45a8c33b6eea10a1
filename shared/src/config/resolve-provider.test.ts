/** Where a provider is called, what is sent with every call, and what is known of its models. */
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parseEnvironment } from './environment.ts';
import { concurrencyOf, modelSettings, placesOf } from './model-settings.ts';
import { resolveSettings } from './resolve.ts';
import { configSchema } from './schema.ts';
import type { ProviderSettings } from './settings.ts';

function resolve(providers: object, env: NodeJS.ProcessEnv = {}) {
  const parsed = parseEnvironment(env);
  if (parsed.kind !== 'ok') throw new Error(JSON.stringify(parsed.faults));
  return resolveSettings(configSchema.parse({ providers }) ?? {}, parsed.environment);
}
function providerOf(id: string, change: object = {}, env: NodeJS.ProcessEnv = {}): ProviderSettings {
  const { settings, faults } = resolve({ [id]: { api_key: 'own', ...change } }, env);
  expect(faults).toEqual([]);
  const provider = settings.providers[id];
  if (!provider) throw new Error('no provider');
  return provider;
}
const urlsOf = ({ endpoints }: ProviderSettings) => endpoints.map(({ url }) => url);

describe('the addresses of a provider', () => {
  test.for<[string, string, object, NodeJS.ProcessEnv, string[]]>([
    ["are the preset's", 'openai', {}, {}, ['https://api.openai.com/v1']],
    ["are gemini's", 'gemini', {}, {}, ['https://generativelanguage.googleapis.com/v1beta']],
    ["are cohere's", 'cohere', {}, {}, ['https://api.cohere.com']],
    [
      'come from endpoints',
      'openai',
      { endpoints: ['http://h:1/v1', 'http://h:2'] },
      {},
      ['http://h:1/v1', 'http://h:2'],
    ],
    ['come from base_url, without its last slash', 'openai', { base_url: 'http://h:1/v1/' }, {}, ['http://h:1/v1']],
    ['come from OPENAI_BASE_URL', 'openai', {}, { OPENAI_BASE_URL: 'http://e/v1/' }, ['http://e/v1']],
    [
      'come from the file before OPENAI_BASE_URL',
      'openai',
      { base_url: 'http://f' },
      { OPENAI_BASE_URL: 'http://e' },
      ['http://f'],
    ],
    ['come from GEMINI_API_URL', 'gemini', {}, { GEMINI_API_URL: 'http://e/v1beta/' }, ['http://e/v1beta']],
    [
      'come from the file before GEMINI_API_URL',
      'gemini',
      { base_url: 'http://f' },
      { GEMINI_API_URL: 'http://e' },
      ['http://f'],
    ],
    [
      'of one do not come from the variable of another',
      'groq',
      {},
      { GEMINI_API_URL: 'http://e', OPENAI_BASE_URL: 'http://e' },
      ['https://api.groq.com/openai/v1'],
    ],
  ])('%s', ([, id, change, env, expected]) => {
    expect(urlsOf(providerOf(id, change, env))).toEqual(expected);
  });

  test('may have limits of their own', () => {
    const endpoints = ['http://h:1/', { url: 'http://h:2/', concurrency: 4 }, { url: 'http://h:3' }];
    expect(providerOf('ollama', { endpoints }).endpoints).toEqual([
      { url: 'http://h:1', concurrency: null },
      { url: 'http://h:2', concurrency: 4 },
      { url: 'http://h:3', concurrency: null },
    ]);
  });

  test('of Azure must be named, and are then used', () => {
    expect(resolve({ 'azure-openai': { api_key: 'k' } }).faults).toMatchObject([
      { message: expect.stringMatching(/has no address/) },
    ]);
    const provider = providerOf('azure-openai', {
      base_url: 'https://mine.openai.azure.com',
      api_version: '2024-10-21',
    });
    expect(provider).toMatchObject({ dialect: 'azure-openai', apiVersion: '2024-10-21', pricesAs: 'azure' });
  });

  test.for(['gemini', 'cohere'])('%s is a preset like any other', (id) => {
    expect(providerOf(id)).toMatchObject({ id, preset: id, dialect: id, enabled: true });
  });

  test('GEMINI_API_URL without gemini is worth no word', () => {
    expect(resolve({ openai: { api_key: 'k' } }, { GEMINI_API_URL: 'http://e' }).settings.notes).toEqual([]);
  });
});

describe('the places of a target', () => {
  const accounts = [
    { stored: 'one', account: 'main' },
    { stored: 'two', account: 'main' },
    { stored: 'three', account: 'backup' },
  ];
  const two = { endpoints: ['http://h:1', { url: 'http://h:2', concurrency: 3 }], api_key: undefined };
  test.for<[string, object, object[], number]>([
    [
      'are one for a server that asks for no credential',
      { endpoints: ['http://h:1'], api_key: undefined },
      [{ id: 'default', concurrency: 32 }],
      32,
    ],
    [
      'are one for each account, however many credentials it has',
      { endpoints: ['http://h:1'], api_key: undefined, credentials: accounts },
      [
        { id: 'main', account: 'main', endpoint: 'http://h:1' },
        { id: 'backup', account: 'backup', endpoint: 'http://h:1' },
      ],
      64,
    ],
    [
      'are one for each account at each address, with the limits of the address',
      { ...two, credentials: accounts, limits: { concurrency: 5 } },
      [
        { id: 'main', concurrency: 5, endpoint: 'http://h:1' },
        { id: 'main@2', concurrency: 3, endpoint: 'http://h:2' },
        { id: 'backup', concurrency: 5, endpoint: 'http://h:1' },
        { id: 'backup@2', concurrency: 3, endpoint: 'http://h:2' },
      ],
      16,
    ],
    [
      'have the limits of the model where the address has none',
      { ...two, models: { m: { limits: { concurrency: 2 } } } },
      [
        { id: 'default', concurrency: 2 },
        { id: 'default@2', concurrency: 3 },
      ],
      5,
    ],
  ])('%s', ([, change, expected, sum]) => {
    const provider = providerOf('mine', change);
    expect(placesOf(provider, 'm')).toMatchObject(expected);
    expect(placesOf(provider, 'm')).toHaveLength(expected.length);
    expect(concurrencyOf(provider, 'm')).toBe(sum);
  });
});

describe('what is sent with every call', () => {
  const change = {
    organization: 'org-canary-1',
    project: 'proj-canary-2',
    headers: { 'X-Portkey-Key': 'canary-3', 'helicone-auth': 'canary-4' },
  };
  const revealed = (provider: ProviderSettings) =>
    Object.fromEntries(Object.entries(provider.headers).map(([name, value]) => [name, value.reveal()]));

  test('are organization, project and the configured headers, by lower-case names', () => {
    expect(revealed(providerOf('openai', change))).toEqual({
      'openai-organization': 'org-canary-1',
      'openai-project': 'proj-canary-2',
      'x-portkey-key': 'canary-3',
      'helicone-auth': 'canary-4',
    });
  });

  test('is shown in no settings that are printed', () => {
    const provider = providerOf('openai', change);
    for (const text of [
      JSON.stringify(provider),
      inspect(provider, { depth: 9 }),
      `${provider.headers['x-portkey-key']}`,
    ])
      expect(text).not.toContain('canary');
  });

  test('changes the version by its names, never by its values', () => {
    const versionOf = (headers: object) => resolve({ openai: { api_key: 'k', headers } }).settings.version;
    expect(versionOf({ 'x-a': '1' })).toBe(versionOf({ 'x-a': '2' }));
    expect(versionOf({ 'x-a': '1' })).not.toBe(versionOf({ 'x-b': '1' }));
  });
});

describe('what differs of a server', () => {
  test('is said in the words of the file, beside the quirks of its preset', () => {
    const { quirks } = providerOf('openai', { quirks: { json_mode: 'json_object', drop: ['seed'], efforts: null } });
    expect(quirks).toMatchObject({
      jsonMode: 'json_object',
      drop: ['seed'],
      efforts: null,
      maxTokensField: 'max_completion_tokens',
    });
    expect(Object.keys(quirks).filter((name) => name.includes('_'))).toEqual([]);
  });

  test.for<[string, object, object]>([
    [
      'the usual values',
      {},
      {
        everyMs: 30_000,
        timeoutMs: 5_000,
        failuresToUnhealthy: 3,
        successesToRecover: 2,
        leastSuccessRate: 0.5,
        isProbed: true,
      },
    ],
    [
      'what is configured',
      {
        every: '1m',
        timeout: '1s',
        failures_to_unhealthy: 5,
        successes_to_recover: 1,
        least_success_rate: 0,
        probe: false,
      },
      {
        everyMs: 60_000,
        timeoutMs: 1_000,
        failuresToUnhealthy: 5,
        successesToRecover: 1,
        leastSuccessRate: 0,
        isProbed: false,
      },
    ],
  ])('its health is watched by %s', ([, health, expected]) => {
    expect(providerOf('openai', { health }).health).toEqual(expected);
  });
});

describe('what is known of a model', () => {
  const unknown = {
    ...{ concurrency: null, limits: {}, contextWindow: null, capabilities: null, price: null },
    ...{ servedAs: null, defaults: {}, lacks: [] },
  };
  const models = {
    mine: { context_window: 10, limits: { concurrency: 2 }, capabilities: ['tools'] },
    'gpt-4.1': { context_window: 20, deployment: 'gpt-41-eu', defaults: { temperature: 0.2, max_tokens: 100 } },
  };

  test.for<[string, string, object]>([
    ['is what is configured', 'mine', { ...unknown, concurrency: 2, contextWindow: 10, capabilities: ['tools'] }],
    ['is nothing where nobody knows', 'new', unknown],
  ])('%s', ([, model, expected]) => {
    expect(modelSettings(providerOf('openai', { models }), model)).toEqual(expected);
  });

  test('is configured before the catalogue is asked', () => {
    const provider = providerOf('openai', { models });
    expect(modelSettings(provider, 'gpt-4.1')).toMatchObject({
      contextWindow: 20,
      servedAs: 'gpt-41-eu',
      defaults: { temperature: 0.2, max_tokens: 100 },
    });
    expect(modelSettings(provider, 'gpt-4.1-mini')).toMatchObject({ contextWindow: 1_047_576, capabilities: null });
  });

  test('is what it lacks by the catalogue, but for what is configured', () => {
    const lacksOf = (capabilities?: string[]) =>
      modelSettings(
        providerOf('groq', { models: { 'llama-3.3-70b-versatile': { capabilities } } }),
        'llama-3.3-70b-versatile',
      ).lacks;
    expect(lacksOf()).toContain('vision');
    expect(lacksOf(['vision'])).not.toContain('vision');
  });
});
