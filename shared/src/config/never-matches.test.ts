import { expect, test } from 'vitest';
import { parseEnvironment } from './environment.ts';
import { neverMatches } from './never-matches.ts';
import { resolveSettings } from './resolve.ts';
import { configSchema } from './schema.ts';

/** Two that are called by network, and one of one's own. */
const providers = {
  near: { preset: 'openai-compatible', base_url: 'http://localhost:1/v1', labels: ['local', 'eu'] },
  far: { preset: 'openai-compatible', base_url: 'http://far:1/v1', labels: ['eu'] },
  away: { preset: 'openai-compatible', base_url: 'http://away:1/v1' },
};
const targets = ['near/m', 'far/m', 'away/m'];

function said(file: object, env: NodeJS.ProcessEnv = {}): string[] {
  const parsed = parseEnvironment(env);
  if (parsed.kind !== 'ok') throw new Error(JSON.stringify(parsed.faults));
  const { settings, faults } = resolveSettings(configSchema.parse(file) ?? {}, parsed.environment);
  expect(faults).toEqual([]);
  const found = neverMatches(settings);
  expect(settings.notes, 'it is said at start').toEqual(expect.arrayContaining(found));
  return found;
}
const ofChain = (chain: object, more: object = {}) =>
  said({ providers, chains: { default: { targets, ...chain } }, ...more });

test('a plain configuration is not talked about', () => {
  expect(ofChain({})).toEqual([]);
  expect(said({ providers: {} })).toEqual([]);
});

test('a disabled provider is named where a chain counts on it', () => {
  const off = { ...providers, far: { ...providers.far, enabled: false } };
  expect(said({ providers: off, chains: { default: { targets }, own: { targets: ['far/x'] } } })).toEqual([
    'chains.default: never called, because disabled: "far/m"',
    'chains.own: every provider of it is disabled, so its jobs wait until one is enabled',
  ]);
  const one = { providers, chains: { default: { targets: ['near/m', 'away/m'] } } };
  expect(said(one, { WAYBILL_DISABLE: 'away' })).toEqual(['chains.default: never called, because disabled: "away/m"']);
});

test('with the cloud off, a chain without a local target serves nothing', () => {
  const chains = { default: { targets }, cloud: { targets: ['far/m', 'away/m'] } };
  const expected = ['chains.cloud: the cloud is off and no target of it is local, so every job of it is refused'];
  expect(said({ providers, chains, privacy: { cloud: 'off' } })).toEqual(expected);
  expect(said({ providers, chains }, { WAYBILL_CLOUD: 'off' })).toEqual(expected);
  expect(said({ providers, chains })).toEqual([]);
});

test('the same model at the same address is no fallback; with another credential it is', () => {
  const twin = { preset: 'openai-compatible', base_url: 'http://localhost:1/v1/' };
  const chains = { default: { targets: ['near/m', 'away/m', 'twin/m'] }, other: { targets: ['near/m', 'twin/n'] } };
  expect(said({ providers: { ...providers, twin }, chains })).toEqual([
    'chains.default: "twin/m" is the same model at the same address as "near/m": falling back to it helps nobody',
  ]);
  const env = { TWIN_KEY: 'k' };
  const keyed = { ...twin, credentials: [{ env: 'TWIN_KEY' }] };
  expect(said({ providers: { ...providers, twin: keyed }, chains }, env)).toEqual([]);
});

const heavy = { target: 'far/m', weight: 2 };
const idle = 'chains.default: the weight of "far/m" has no effect: ';
test.for<[string, object, string[]]>([
  ['alone in its turn', { targets: ['near/m', heavy] }, [`${idle}a weight counts among targets that share a tier`]],
  ['in a tier', { targets: ['near/m', [heavy, 'away/m']] }, []],
  [
    'round robin, alone',
    { targets: [heavy, 'near/m'], strategy: 'round_robin' },
    [`${idle}a weight counts among targets that share a tier`],
  ],
  ['balanced, which sees one tier', { targets: ['near/m', heavy], strategy: 'balanced' }, []],
  [
    'balanced, the only one',
    { targets: [heavy], strategy: 'balanced' },
    [`${idle}a weight counts among targets that share a tier`],
  ],
  [
    'cheapest',
    { targets: [['near/m', heavy]], strategy: 'cheapest' },
    [`${idle}the strategy "cheapest" has no weights`],
  ],
])('a weight: %s', ([, chain, expected]) => {
  expect(ofChain(chain)).toEqual(expected);
});

test.for<[object, string[]]>([
  [{ strategy: 'scored' }, []],
  [{ strategy: 'scored', score: { cost: 1 } }, []],
  [
    { strategy: 'scored', score: { cost: 0, latency: 0, reliability: 0 } },
    ['chains.default.score: all weights are 0, so targets stay in the order they are written in'],
  ],
  [
    { strategy: 'fastest', score: { cost: 1 } },
    ['chains.default.score has no effect: the strategy is "fastest", not "scored"'],
  ],
])('a score: %j', ([chain, expected]) => {
  expect(ofChain(chain)).toEqual(expected);
});

test.for<[object, string[]]>([
  [{ on: { timeout: 'retry', content_filter: 'fallback', auth: 'fail' } }, []],
  [
    { mode: 'immediate', on: { timeout: 'retry' } },
    ['chains.default.on.timeout: nothing is retried, because the mode is "immediate"'],
  ],
  [
    { same_target_retries: 0, on: { content_filter: 'retry', rate_limit: 'retry' } },
    ['chains.default.on.content_filter: nothing is retried, because same_target_retries is 0'],
  ],
  [
    { targets: ['near/m'], on: { refusal: 'fallback' } },
    ['chains.default.on.refusal: the chain has one target, so there is none to fall back to'],
  ],
])('what is done on a failure: %j', ([chain, expected]) => {
  expect(ofChain(chain)).toEqual(expected);
});

test('what a tenant requires must be there, in its chains as well', () => {
  const tenants = {
    easy: { require: ['eu'] },
    lost: { require: ['eu', 'mars'], chain: 'own' },
    strict: { require: ['local'], chain: 'own' },
    picky: { exclude_providers: ['near', 'far', 'aawy'] },
  };
  const chains = { default: { targets }, own: { targets: ['far/m'] }, rest: { targets: ['away/m'] } };
  expect(said({ providers, chains, tenants })).toEqual([
    'tenants.easy: jobs of the tenant "easy" are refused in the chain "rest", where no target is with the label "eu"',
    'tenants.lost: there is no provider with all labels of "eu", "mars", so jobs of the tenant "lost" are refused',
    'tenants.strict: jobs of the tenant "strict" are refused in the chains "own", "rest", where no target is with the label "local"; "own" is what it has by default',
    'tenants.picky: jobs of the tenant "picky" are refused in the chain "own", where no target is left for it',
    'tenants.picky.exclude_providers: no provider "aawy" is configured; did you mean "away"?',
  ]);
});

test('what detectors require must be there, when there is a detector', () => {
  const chains = { default: { targets: ['far/m'] } };
  const privacy = { detect: ['email'], require: ['local'] };
  expect(said({ providers, chains, privacy })).toEqual([
    'privacy.require: jobs in which a detector finds something are refused in the chain "default", where no target is with the label "local"',
  ]);
  expect(said({ providers, chains, privacy: { require: ['mars'] } })).toEqual([]);
});

test('a class that no request can be of, or that nothing can serve, is named', () => {
  const models = {
    small: { context_window: 4_000, capabilities: ['tools'] },
    blind: { capabilities: ['json_schema'] },
  };
  const more = { ...providers, near: { ...providers.near, models } };
  const chains = {
    default: { targets },
    small: { targets: ['near/small'] },
    blind: { targets: ['near/blind', 'near/small'] },
  };
  const classOf = (entry: object) =>
    said({ providers: more, chains, classify: { auto: { otherwise: 'default', ...entry } } });
  expect(classOf({ short: 'small', long: 'default', vision: 'default', tools: 'blind' })).toEqual([]);
  expect(classOf({ short: 'small', long: 'small', vision: 'blind', tools: 'small' })).toEqual([
    'classify.auto.long: a request of long_from (8000 tokens) fits no target of the chain "small"',
    'classify.auto.vision: no target of the chain "blind" can do "vision", so such requests are refused',
  ]);
  expect(classOf({ short: 'small', long_from: 40 })).toEqual([
    'classify.auto.short: no chat is shorter than a tenth of long_from (40 tokens)',
  ]);
  expect(classOf({ short: 'small', long_from: 50 })).toEqual([]);
});

test('a budget for what is not there counts nothing', () => {
  const of = (per: string, only: string[]) => ({ per, only, period: 'month', limit_usd: '1' });
  const budgets = [
    of('tenant', ['default', 'acme', 'acne']),
    of('provider', ['far', 'fra']),
    of('model', ['far/any', 'gpt', 'fra/any']),
    of('api_key', ['key_1']),
  ];
  expect(said({ providers, chains: { default: { targets } }, tenants: { acme: {} }, budgets })).toEqual([
    'budgets (tenant/month): only names "acne", which is no tenant of the configuration; did you mean "acme"?',
    'budgets (provider/month): only names "fra", which is no provider of the configuration; did you mean "far"?',
    'budgets (model/month): only names "gpt", which is no target: models are named provider/model',
    'budgets (model/month): only names "fra/any", whose provider is not configured',
  ]);
});

test('limits that are smaller than any request are typing errors', () => {
  const limits = { rpm: 1, tpm: 99, input_tpm: 400, output_tpm: 1_000, tpd: 1_000 };
  const models = { m: { limits: { tpm: 1_001, tpd: null, input_tpm: 50, output_tpm: 999 } }, plain: {} };
  const chains = { default: { targets } };
  expect(said({ providers: { ...providers, far: { ...providers.far, limits, models } }, chains })).toEqual([
    'providers.far.limits.tpm: hardly any request is as small as 99 tokens',
    'providers.far.limits.tpd: a chat without max_tokens is taken for 1000 tokens of output, so 1000 tokens never hold it',
    'providers.far.models.m.limits.input_tpm: hardly any request is as small as 50 tokens',
    'providers.far.models.m.limits.output_tpm: a chat without max_tokens is taken for 1000 tokens of output, so 999 tokens never hold it',
  ]);
});
