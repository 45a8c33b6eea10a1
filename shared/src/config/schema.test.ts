import { expect, test } from 'vitest';
import { faultsOf } from '../domain/strict-object.ts';
import { configSchema, modes, strategies } from './schema.ts';

function faultsIn(file: unknown) {
  const parsed = configSchema.safeParse(file);
  return parsed.success ? [] : faultsOf(parsed.error).map(({ path, code, message }) => ({ path, code, message }));
}
const provider = (change: object) => ({ providers: { openai: change } });
const chain = (change: object) => ({ chains: { default: { targets: ['openai/gpt-4.1-mini'], ...change } } });

test.for<[string, unknown]>([
  ['nothing', null],
  ['an empty object', {}],
  ['a provider without settings', { providers: { openai: null } }],
  [
    'a whole provider',
    provider({
      preset: 'openai',
      enabled: true,
      endpoints: ['https://api.openai.com/v1', { url: 'http://gpu-2:8000/v1', concurrency: 4 }, { url: 'http://c' }],
      credentials: [
        { env: 'OPENAI_API_KEY', account: 'main' },
        { stored: 'openai-backup', account: 'backup' },
        { file: '/run/secrets/openai' },
      ],
      organization: 'org-1',
      project: 'proj_1',
      api_version: '2024-10-21',
      headers: { 'x-portkey-api-key': 'k', 'Helicone-Auth': '' },
      quirks: { max_tokens_field: 'max_tokens', json_mode: 'json_object', efforts: ['low', 'high'], drop: ['seed'] },
      health: {
        every: '30s',
        timeout: '5s',
        failures_to_unhealthy: 3,
        successes_to_recover: 2,
        least_success_rate: 0.5,
        probe: false,
      },
      labels: ['eu', 'zero_retention'],
      limits: { concurrency: 32 },
      timeouts: { connect: '2s', first_byte: '60s', idle: '60s', total: '600s' },
      models: {
        'my-finetune': {
          limits: { concurrency: 2 },
          deployment: 'my-deployment',
          defaults: { temperature: 0.2, max_tokens: 800, stop: ['END'], reasoning_effort: 'low' },
          context_window: 128_000,
          capabilities: ['tools', 'json_schema'],
          input_usd_per_million: '0.4',
          output_usd_per_million: 1.6,
        },
      },
    }),
  ],
  [
    'a whole chain',
    chain({
      targets: [
        'ollama/llama3.2',
        { target: 'openrouter/openai/gpt-4.1-mini', weight: 1, params: { max_tokens: 800 } },
      ],
      strategy: 'ordered',
      mode: 'graceful',
      same_target_retries: 3,
      max_attempts: 10,
      on_limit: { interactive: '5s', normal: '60s', bulk: 'wait' },
      backoff: { initial: '1s', factor: 2, max: '60s', jitter: 'full' },
      on: { content_filter: 'fallback', refusal: 'fallback' },
      timeouts: { total: '5m' },
      on_length: 'fallback',
      resume: 'continue',
    }),
  ],
  ['webhooks', { webhooks: { allow_networks: ['10.0.0.0/8', '::1/128'], timeout: '10s' } }],
  ['aliases', provider({ base_url: 'http://localhost:1234/v1/', api_key: 'x' })],
])('%s is accepted', ([, file]) => {
  expect(faultsIn(file)).toEqual([]);
});

/** Every field of the design's configuration that is not built: a value that asks for it, and values that do not. */
const notBuilt: [path: string, (value: unknown) => object, asks: unknown, neutral: unknown[]][] = [
  ['retention', (retention) => ({ retention }), { jobs: '30d' }, [null, {}]],
  ['telemetry', (telemetry) => ({ telemetry }), { capture_content: true }, [null, {}, { capture_content: false }]],
];

test.for(notBuilt)('%s is refused by its name, and neutral values pass', ([path, fileWith, asks, neutral]) => {
  const name = path.split('.').at(-1);
  expect(faultsIn(fileWith(asks))).toEqual([
    { path, code: 'not_supported_yet', message: `"${name}" is not supported yet; remove it` },
  ]);
  for (const value of [undefined, ...neutral]) expect(faultsIn(fileWith(value)), JSON.stringify(value)).toEqual([]);
});

test.for<[string, object]>([
  ['a tier, with weights', chain({ targets: [['openai/a', { target: 'openai/b', weight: 2 }], 'openai/c'] })],
  ...strategies.map((strategy): [string, object] => [`the strategy ${strategy}`, chain({ strategy })]),
  ...modes.map((mode): [string, object] => [`the mode ${mode}`, chain({ mode })]),
  ['weights of a score', chain({ strategy: 'scored', score: { cost: 1, latency: 0.5, reliability: 0 } })],
  ['a last resort', chain({ last_resort: { content: 'Sorry.' } })],
  ['the cheapest that is left', chain({ on_unavailable: 'cheapest' })],
  ['rates', provider({ limits: { rpm: 1, tpm: 1, rpd: null, tpd: 1, input_tpm: 1, output_tpm: null } })],
])('%s is accepted', ([, file]) => {
  expect(faultsIn(file)).toEqual([]);
});

test.for<[string, object]>([
  ['endpoints', { endpoints: [] }],
  ['models', { models: {} }],
  ['credentials', { credentials: [] }],
  ['health', { health: {} }],
  ['quirks', { quirks: {} }],
  ['headers', { headers: {} }],
  ['defaults', { models: { m: { defaults: {} } } }],
])('an empty "%s" says nothing, or that it is empty', ([name, change]) => {
  const faults = faultsIn(provider(change));
  expect(faults.map(({ path }) => path)).toEqual(name === 'endpoints' ? ['providers.openai.endpoints'] : []);
});

test.for<[string, object, string, string]>([
  ['at the top', { provider: {} }, '', 'providers'],
  ['in a provider', provider({ base_ur: 'http://a' }), 'providers.openai', 'base_url'],
  ['in limits', provider({ limits: { max_concurency: 1, concurency: 1 } }), 'providers.openai.limits', 'concurrency'],
  ['in timeouts', provider({ timeouts: { firstbyte: '1s' } }), 'providers.openai.timeouts', 'first_byte'],
  ['in a model', provider({ models: { m: { context_windw: 1 } } }), 'providers.openai.models.m', 'context_window'],
  ['in quirks', provider({ quirks: { max_token_field: 'max_tokens' } }), 'providers.openai.quirks', 'max_tokens_field'],
  ['in health', provider({ health: { evry: '1s' } }), 'providers.openai.health', 'every'],
  [
    'in a credential',
    provider({ credentials: [{ env: 'A', acount: 'b' }] }),
    'providers.openai.credentials[0]',
    'account',
  ],
  [
    'in defaults',
    provider({ models: { m: { defaults: { temprature: 1 } } } }),
    'providers.openai.models.m.defaults',
    'temperature',
  ],
  [
    'in params',
    chain({ targets: [{ target: 'openai/m', params: { max_token: 1 } }] }),
    'chains.default.targets[0].params',
    'max_tokens',
  ],
  ['in a chain', chain({ max_attempt: 1 }), 'chains.default', 'max_attempts'],
  ['among failure kinds', chain({ on: { ratelimit: 'retry' } }), 'chains.default.on', 'rate_limit'],
  [
    'in a merge key that is not merged',
    provider({ '<<': { api_key: 'x' }, api_kee: 'x' }),
    'providers.openai',
    'api_key',
  ],
])('an unknown field %s names the nearest', ([, file, path, near]) => {
  expect(faultsIn(file)).toMatchObject([
    { path, code: 'unknown_field', message: expect.stringContaining(`did you mean "${near}"?`) },
  ]);
});

test.for<[string, object, string, RegExp]>([
  ['an id with a space', { providers: { 'my openai': {} } }, 'providers.my openai', /provider id has 1 to 40/],
  ['an id with a colon', { providers: { 'a:b': {} } }, 'providers.a:b', /provider id has 1 to 40/],
  [
    'a chain name with a slash',
    { chains: { 'a/b': chain({}).chains.default } },
    'chains.a/b',
    /chain name has 1 to 64/,
  ],
  ['an unknown preset', provider({ preset: 'opnai' }), 'providers.openai.preset', /openai/],
  ['no limit at all', provider({ limits: { concurrency: 0 } }), 'providers.openai.limits.concurrency', />=1/],
  ['a negative limit', provider({ limits: { concurrency: -1 } }), 'providers.openai.limits.concurrency', />=1/],
  ['a limit beyond reason', provider({ limits: { concurrency: 3e9 } }), 'providers.openai.limits.concurrency', /<=300/],
  ['NaN', provider({ limits: { concurrency: Number.NaN } }), 'providers.openai.limits.concurrency', /number/],
  [
    'infinity',
    chain({ backoff: { factor: Number.POSITIVE_INFINITY } }),
    'chains.default.backoff.factor',
    /number|Infinity/,
  ],
  [
    'a time without a unit',
    provider({ timeouts: { total: '600' } }),
    'providers.openai.timeouts.total',
    /unit, such as "30s"/,
  ],
  ['a time as a number', provider({ timeouts: { total: 600 } }), 'providers.openai.timeouts.total', /string/],
  [
    'a time of zero',
    provider({ timeouts: { idle: '0s' } }),
    'providers.openai.timeouts.idle',
    /from 100ms to 1h, received 0s/,
  ],
  ['a time of 25 days', chain({ on_limit: { normal: '25d' } }), 'chains.default.on_limit.normal', /"wait".*"30s"/],
  ['a negative time', chain({ backoff: { initial: '-1s' } }), 'chains.default.backoff.initial', /unit/],
  ['no targets', chain({ targets: [] }), 'chains.default.targets', />=1/],
  ['a hundred targets', chain({ targets: Array(100).fill('a/b') }), 'chains.default.targets', /<=32/],
  ['an unknown strategy', chain({ strategy: 'random' }), 'chains.default.strategy', /ordered.*cheapest.*scored/],
  ['an unknown action', chain({ on: { auth: 'ignore' } }), 'chains.default.on.auth', /retry/],
  ['an address of another scheme', provider({ base_url: 'ftp://a' }), 'providers.openai.base_url', /http or https/],
  [
    'an address with a password',
    provider({ base_url: 'http://u:p@a' }),
    'providers.openai.base_url',
    /user name or password/,
  ],
  [
    'both names of the address',
    provider({ base_url: 'http://a', endpoints: ['http://b'] }),
    'providers.openai',
    /give one/,
  ],
  [
    'both forms of the credential',
    provider({ api_key: 'a', credentials: [{ env: 'A' }] }),
    'providers.openai',
    /api_key is another form of credentials: give one/,
  ],
  [
    'a credential without a source',
    provider({ credentials: [{}] }),
    'providers.openai.credentials[0]',
    /env, file or stored/,
  ],
  [
    'a credential with two sources',
    provider({ credentials: [{ env: 'A', file: '/a' }] }),
    'providers.openai.credentials[0]',
    /env, file or stored/,
  ],
  [
    'a negative price',
    provider({ models: { m: { input_usd_per_million: '-1', output_usd_per_million: '1' } } }),
    'providers.openai.models.m.input_usd_per_million',
    /US dollars/,
  ],
  ['half a price', provider({ models: { m: { input_usd_per_million: '1' } } }), 'providers.openai.models.m', /both/],
  [
    'a network that is none',
    { webhooks: { allow_networks: ['10.0.0.0/99'] } },
    'webhooks.allow_networks[0]',
    /10\.0\.0\.0\/8/,
  ],
])('%s is a fault that says what is allowed', ([, file, path, message]) => {
  expect(faultsIn(file)).toEqual([{ path, code: expect.any(String), message: expect.stringMatching(message) }]);
});

test('a target without its model says what a target is', () => {
  expect(faultsIn(chain({ targets: ['gpt-4.1-mini'] }))).toMatchObject([
    { path: 'chains.default.targets[0]', message: expect.stringContaining('provider/model') },
  ]);
});

test('all faults come at once, each with its path', () => {
  const file = {
    providers: { openai: { limits: { concurrency: 0, rpm: 0 }, timeouts: { idle: 'x' } }, 'B B': {} },
    chains: { default: { targets: [] } },
    breaker: { window: 60 },
    extra: 1,
  };
  expect(
    faultsIn(file)
      .map((fault) => fault.path)
      .toSorted(),
  ).toEqual([
    '',
    'breaker.window',
    'chains.default.targets',
    'providers.B B',
    'providers.openai.limits.concurrency',
    'providers.openai.limits.rpm',
    'providers.openai.timeouts.idle',
  ]);
});
