import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { JobBody } from '@waybill/shared/routing/request-needs.ts';
import { expect, test } from 'vitest';
import { findRoute, type RouteInput, startOf, type Wish } from './choose-route.ts';

const parsed = parseEnvironment({});
if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
const priced = (usd: string) => ({ input_usd_per_million: usd, output_usd_per_million: usd });
const cloud = { preset: 'openai', base_url: 'http://127.0.0.1:1/v1', api_key: 'test' };
const file = {
  providers: {
    dear: { ...cloud, models: { m: priced('9') } },
    fair: { ...cloud, labels: ['eu'], models: { m: priced('2') }, limits: { tpm: 3_000 } },
    home: { ...cloud, labels: ['local'] },
  },
  chains: {
    default: { targets: ['dear/m', 'fair/m', 'home/m'] },
    cheap: { targets: ['dear/m', 'fair/m', 'home/m'], strategy: 'cheapest' },
    turns: { targets: ['dear/m', 'fair/m', 'home/m'], strategy: 'round_robin' },
    cloud: { targets: ['dear/m', 'fair/m'] },
  },
  classify: { auto: { tools: 'turns', short: 'cheap', otherwise: 'default', long_from: 1_000 } },
  tenants: { acme: { chain: 'cheap', require: ['eu'], exclude_providers: ['dear'] }, sorted: { chain: 'auto' } },
};
const bodyOf = (content: string, more: object = {}): JobBody =>
  ({
    endpoint: '/v1/chat/completions',
    request: { model: 'default', messages: [{ role: 'user', content }], max_tokens: 10, ...more },
  }) as JobBody;

function route(wish: Partial<Wish> = {}, more: { tenantId?: string; turn?: number; change?: object } = {}) {
  const settings = settingsOf(
    { ...file, ...more.change },
    parsed.kind === 'ok' ? parsed.environment : ({} as never),
    'x',
  );
  const state = {
    ...{ pauses: new Map(), breakers: new Map(), usual: new Map(), throughput: new Map(), switches: new Map() },
    ...{ windows: new Map(), credentialsOf: () => [{ id: 'k#1', account: 'default' }] },
  } as unknown as RouteInput['state'];
  const input = { tenantId: more.tenantId ?? 'ten_default', settings, state, turn: more.turn ?? 0, nowMs: 0 };
  const asked: Wish = {
    ...{ body: bodyOf('hello'), model: 'default', require: [], excludeProviders: [], historyTokens: 0 },
    ...wish,
  };
  return findRoute(asked, { ...input, random: () => 0.5 });
}
const reasonsOf = ({ candidates }: ReturnType<typeof route>) =>
  candidates.map((each) => `${each.target} ${each.kind === 'eligible' ? 'eligible' : each.reason}`);

test('a chain is tried in its order, a target alone', () => {
  expect(route()).toMatchObject({ chainName: 'default', require: [], detected: [] });
  expect(startOf(route())).toEqual({ targets: ['dear/m', 'fair/m', 'home/m'], target: 'dear/m' });
  expect(route({ model: 'fair/other' })).toMatchObject({ chainName: null });
  expect(startOf(route({ model: 'fair/other' }))).toEqual({ targets: ['fair/other'], target: 'fair/other' });
});

test('a strategy orders it for each job', () => {
  expect(startOf(route({ model: 'cheap' })).targets).toEqual(['home/m', 'fair/m', 'dear/m']);
  expect([0, 1, 2, 3].map((turn) => startOf(route({ model: 'turns' }, { turn })).target)).toEqual([
    ...['dear/m', 'fair/m', 'home/m', 'dear/m'],
  ]);
});

test('a tenant has a default chain of its own, and what it requires and excludes', () => {
  const own = route({ require: ['local'], excludeProviders: ['x'] }, { tenantId: 'ten_acme' });
  expect(own).toMatchObject({ chainName: 'cheap', require: ['local', 'eu'], excludeProviders: ['x', 'dear'] });
  expect(reasonsOf(route({}, { tenantId: 'ten_acme' }))).toEqual(['home/m label', 'fair/m eligible', 'dear/m label']);
  expect(route({ model: 'turns' }, { tenantId: 'ten_acme' }).chainName).toBe('turns');
  expect(route({}, { tenantId: 'ten___proto__' }).chainName).toBe('default');
});

const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }];
test.for<[string, Partial<Wish>, string]>([
  ['tools', { body: bodyOf('hi', { tools }) }, 'turns'],
  ['a short request', { body: bodyOf('hi') }, 'cheap'],
  ['one of middle length', { body: bodyOf('word '.repeat(400)) }, 'default'],
  ['a short turn of a long conversation', { historyTokens: 500 }, 'default'],
])('a class is the chain of %s', ([, wish, name]) => {
  expect(route({ ...wish, model: 'auto' }).chainName).toBe(name);
  expect(route({ ...wish, model: 'default' }, { tenantId: 'ten_sorted' }).chainName).toBe(name);
});

test('what is found in the request requires its labels, and is kept by its kind', () => {
  const change = { privacy: { detect: ['email'], require: ['local'] } };
  const found = route({ body: bodyOf('write to ann.lee@example.com') }, { change });
  expect(found).toMatchObject({ require: ['local'], detected: ['email'] });
  expect(startOf(found)).toEqual({ targets: ['home/m'], target: 'home/m' });
  expect(route({}, { change })).toMatchObject({ require: [], detected: [] });
});

test('with the cloud off, only what is local is called; the job itself does not require it', () => {
  const off = route({}, { change: { privacy: { cloud: 'off' } } });
  expect(reasonsOf(off)).toEqual(['dear/m label', 'fair/m label', 'home/m eligible']);
  expect(off.require).toEqual([]);
  expect(() => startOf(route({ model: 'cloud' }, { change: { privacy: { cloud: 'off' } } }))).toThrow(
    'lacks the label',
  );
});

test('a request larger than a limit never goes there, and is refused where it fits nowhere', () => {
  const large = { body: bodyOf('word '.repeat(4_000)) };
  expect(reasonsOf(route(large))[1]).toBe('fair/m exceeds_limit');
  expect(startOf(route(large)).targets).toEqual(['dear/m', 'home/m']);
  expect(() => startOf(route({ ...large, model: 'fair/m' }))).toThrow(/exceed its limit of 3000 \(tpm\)/);
  expect(reasonsOf(route({ historyTokens: 5_000 }))[1], 'its history counts').toBe('fair/m exceeds_limit');
});

test('of a history counts what fits the largest window, and all of it where nobody knows one', () => {
  const window = (context_window: number) => ({ ...cloud, models: { m: { ...priced('9'), context_window } } });
  const providers = { dear: window(2_000), fair: window(1_000), home: { ...cloud, labels: ['local'] } };
  const tokensIn = (model: string, historyTokens: number) =>
    route({ model, historyTokens }, { change: { providers } }).needs;
  const [none, some, much] = [0, 500, 1_000_000].map((tokens) => tokensIn('cloud', tokens));
  expect(some?.inputTokens).toBe((none?.inputTokens ?? 0) + 500);
  expect(much?.inputTokens).toBe(2_000 - 10);
  expect(much?.estimatedTokens).toBe(2_000);
  expect(route({ model: 'cloud', historyTokens: 1_000_000 }, { change: { providers } }).ownTokens).toBe(
    none?.estimatedTokens,
  );
  expect(much?.windowTokens, 'it need not fit').toBe(none?.windowTokens);
  expect(tokensIn('default', 1_000_000).estimatedTokens, 'home/m may have any window').toBeGreaterThan(1_000_000);
});

test.for(['constructor', '__proto__', 'defualt', 'nobody/m', 'fair/', 'fair/a b'])('%s is no model', (model) => {
  expect(() => route({ model })).toThrow(expect.objectContaining({ code: 'model_not_found' }));
});

test('without a provider there is nothing to route to', () => {
  const off = { providers: { home: { ...cloud, enabled: false } }, chains: {}, classify: {}, tenants: {} };
  expect(() => route({}, { change: off })).toThrow(expect.objectContaining({ code: 'no_provider_configured' }));
});
