/** What an operator is shown of a provider: switches, health in numbers, the pauses that concern it, no secret. */
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import { unknownHealth } from '@waybill/shared/routing/health.ts';
import { credentialId } from '@waybill/shared/security/credential-id.ts';
import { Secret } from '@waybill/shared/security/secret.ts';
import type { KnownHealth } from '@waybill/shared/store/health.ts';
import { expect, test } from 'vitest';
import { partsOfScope, providerJson, type SeenOfProviders } from './provider-json.ts';

const canary = 'sk-canary-77aa';
const parsed = parseEnvironment({ OPENAI_API_KEY: canary });
if (parsed.kind === 'faults') throw new Error('the environment of the test');
const settings = settingsOf(
  {
    providers: {
      openai: {
        endpoints: [`https://one.example/v1?key=${canary}`, { url: 'https://two.example/v1', concurrency: 4 }],
        credentials: [
          { env: 'OPENAI_API_KEY', account: 'main' },
          { stored: 'spare', account: 'backup' },
        ],
        headers: { 'x-secret': canary },
        labels: ['eu'],
        models: { 'gpt-4.1-mini': {} },
      },
    },
    chains: { default: { targets: ['openai/gpt-4.1'] } },
  },
  parsed.environment,
  'the test',
);
const nowMs = Date.parse('2026-11-21T12:00:00Z');
const nothing: SeenOfProviders = {
  switches: new Map(),
  pauses: new Map(),
  health: [],
  storedIds: new Map([['spare', 'spare#0000aaaa']]),
  nowMs,
};
const openai = settings.providers.openai;
const shown = (seen: Partial<SeenOfProviders> = {}) => {
  if (!openai) throw new Error('not configured');
  return providerJson(openai, settings, { ...nothing, ...seen });
};
const health = (endpoint: number, more: Partial<KnownHealth['health']>): KnownHealth => ({
  provider: 'openai',
  endpoint,
  health: { ...unknownHealth(nowMs), ...more },
  facts: null,
});

test('what nobody has seen is unknown, and no number is made up', () => {
  expect(shown()).toMatchObject({
    id: 'openai',
    enabled: true,
    enabled_by: 'configuration',
    status: 'unknown',
    labels: ['eu'],
    models: ['gpt-4.1-mini', 'gpt-4.1'],
    chains: ['default'],
    credentials: [
      { name: 'OPENAI_API_KEY', account: 'main', source: 'environment' },
      { name: 'spare', account: 'backup', source: 'stored' },
    ],
    pauses: [],
  });
  expect(shown().endpoints).toEqual([
    {
      url: 'https://one.example/v1',
      concurrency: null,
      status: 'unknown',
      changed_at: null,
      checked_at: null,
      success_rate: null,
      calls: 0,
      latency_p50_ms: null,
      latency_p95_ms: null,
      availability: null,
      consecutive_failures: 0,
      consecutive_successes: 0,
      last_failure: null,
    },
    expect.objectContaining({ url: 'https://two.example/v1', concurrency: 4, status: 'unknown' }),
  ]);
});

test('no secret is shown, wherever it stands', () => {
  expect(JSON.stringify(shown())).not.toContain(canary);
});

test('a switch wins over the configuration, and says so', () => {
  expect(shown({ switches: new Map([['openai', false]]) })).toMatchObject({ enabled: false, enabled_by: 'switch' });
  expect(shown({ switches: new Map([['other', false]]) })).toMatchObject({
    enabled: true,
    enabled_by: 'configuration',
  });
});

test('health in numbers: failed calls have no place among the latencies', () => {
  const calls = [...Array.from({ length: 19 }, (_, index) => (index + 1) * 10), -5];
  const [first] = shown({
    health: [health(1, { status: 'healthy', calls, healthyS: 90, watchedS: 120, checkedAtMs: nowMs })],
  }).endpoints;
  expect(first).toMatchObject({
    status: 'healthy',
    success_rate: 0.95,
    calls: 20,
    latency_p50_ms: 100,
    latency_p95_ms: 190,
    availability: 0.75,
    checked_at: '2026-11-21T12:00:00.000Z',
  });
});

test.for<[string, KnownHealth[], string]>([
  ['one address that is well', [health(1, { status: 'unhealthy' }), health(2, { status: 'healthy' })], 'healthy'],
  ['one that loads', [health(1, { status: 'unhealthy' }), health(2, { status: 'loading' })], 'loading'],
  ['none that is well', [health(1, { status: 'unhealthy' })], 'unhealthy'],
  ['another provider', [{ ...health(1, { status: 'unhealthy' }), provider: 'other' }], 'unknown'],
])('the status of a provider with %s', ([, seen, status]) => {
  expect(shown({ health: seen }).status).toBe(status);
});

const current = credentialId('OPENAI_API_KEY', new Secret(canary));
test.for<[string, string, object[]]>([
  ['the whole of it', 'provider:openai', [{ scope: 'provider', subject: null }]],
  ['a model', 'model:openai/gpt-4.1', [{ scope: 'model', subject: 'gpt-4.1' }]],
  ['a model with slashes', 'model:openai/a/b', [{ scope: 'model', subject: 'a/b' }]],
  [
    'a credential, without its mark',
    `credential:openai/${current}`,
    [{ scope: 'credential', subject: 'OPENAI_API_KEY' }],
  ],
  [
    'a credential for one model',
    `credential_model:openai/${current}/gpt-4.1`,
    [{ scope: 'credential_model', subject: 'OPENAI_API_KEY/gpt-4.1' }],
  ],
  ['a secret that was replaced since', 'credential:openai/OPENAI_API_KEY#00000000', []],
  ['a stored one', 'credential:openai/spare#0000aaaa', [{ scope: 'credential', subject: 'spare' }]],
  ['a stored one that was replaced since', 'credential:openai/spare#ffffffff', []],
  ['another provider', 'provider:openai-eu', []],
])('a pause of %s', ([, scope, pauses]) => {
  const seen = new Map([[scope, { kind: 'auth', untilMs: nowMs + 1_000 }]]);
  const expected = pauses.map((each) => ({ ...each, kind: 'auth', until: '2026-11-21T12:00:01.000Z' }));
  expect(shown({ pauses: seen }).pauses).toEqual(expected);
  expect(shown({ pauses: new Map([[scope, { kind: 'auth', untilMs: nowMs }]]) }).pauses).toEqual([]);
});

test('a key that is no scope concerns nobody', () => {
  expect(partsOfScope('nonsense', 'openai')).toBeNull();
});
