import type { Settings } from '@waybill/shared/config/settings.ts';
import { type BudgetStanding, standingWord } from '@waybill/shared/store/budget-standing.ts';
import { expect, test } from 'vitest';
import type { CallCosts } from './call-costs.ts';
import type { Route } from './choose-route.ts';
import { budgetJson, type EstimateInput, toEstimateJson } from './estimate-json.ts';

const nowMs = Date.UTC(2026, 0, 1);
const standing: BudgetStanding = {
  ...{ target: 'a/m', id: 'tenant/month', subject: 'acme', per: 'tenant', onExceeded: 'reject' },
  ...{ windowStart: new Date(nowMs), limitNano: 100n, committedNano: 0n, reservedNano: 0n, amountNano: 40n },
};
const tokenPrice = (rate: bigint) => ({ inputPerMillion: rate, outputPerMillion: rate });
const cost = (rate: bigint): CallCosts => ({
  prices: { expected: tokenPrice(rate), largest: tokenPrice(rate), dearest: tokenPrice(9n), maxOutputTokens: null },
  ...{ expectedNano: rate, largestNano: rate, ceilingNano: rate, reason: null },
});
const route = {
  chain: { mode: 'graceful' },
  chainName: 'default',
  needs: { inputTokens: 5, outputTokens: 10, outputBound: 10 },
  ...{ require: [], excludeProviders: [], detected: [] },
  candidates: [{ target: 'a/m', kind: 'eligible' }],
} as unknown as Route;
const plain: EstimateInput = {
  ...{ job: { runAt: null, maxCostNano: null, conversation: null }, model: 'default', route, target: 'a/m', nowMs },
  ...{ standings: [], place: { position: 1, etaMs: null }, isBehindTurn: false, seesAll: true },
  costs: new Map([['a/m', cost(7n)]]),
  settings: { version: 'v1', privacy: { isCloudOn: true } } as Settings,
};
const of = (change: Partial<EstimateInput>) => toEstimateJson({ ...plain, ...change });

test.for<[string, Partial<BudgetStanding>, string]>([
  ['room for it', {}, 'fit'],
  ['exactly enough', { committedNano: 60n }, 'fit'],
  ['spent', { committedNano: 61n }, 'exceed'],
  ['reserved by others', { committedNano: 30n, reservedNano: 31n }, 'wait'],
  ['a price that is unknown and blocks', { amountNano: null }, 'exceed'],
  ['a call for nothing, when all is spent', { amountNano: 0n, committedNano: 200n }, 'fit'],
])('a budget with %s', ([, change, word]) => {
  expect(standingWord({ ...standing, ...change })).toBe(word);
});

test('a target tells the strictest word of its budgets; the list is of the first target', () => {
  const standings = [
    standing,
    { ...standing, id: 'provider/day', per: 'provider' as const, committedNano: 80n },
    { ...standing, target: 'b/n' },
  ];
  const found = of({ standings });
  expect(found.targets[0]?.budget).toBe('exceed');
  expect(found.budgets.map(({ budget, would }) => [budget, would])).toEqual([
    ['tenant/month', 'fit'],
    ['provider/day', 'exceed'],
  ]);
});

test('a budget of several tenants keeps its amounts from who may not see them', () => {
  const shared = { ...standing, per: 'model' } as const;
  expect(budgetJson(shared, false)).toMatchObject({
    limit_usd: null,
    committed_usd: null,
    reserved_usd: null,
    would: 'fit',
  });
  expect(budgetJson(shared, true)).toMatchObject({ limit_usd: '0.0000001', committed_usd: '0.00' });
  expect(budgetJson(standing, false)).toMatchObject({ limit_usd: '0.0000001' });
});

const skipped = (reason: 'breaker' | 'limited' | 'paused', untilMs: number | null) =>
  ({ ...route, candidates: [{ target: 'a/m', kind: 'skipped', reason, detail: 'not now', untilMs }] }) as Route;
const wait = { detail: 'a/m: not now', until: null, position: null, eta_ms: null };
test.for<[string, Partial<EstimateInput>, object[]]>([
  ['for nothing', {}, []],
  [
    'for a breaker',
    { route: skipped('breaker', nowMs + 1_000) },
    [{ ...wait, reason: 'breaker', until: '2026-01-01T00:00:01.000Z' }],
  ],
  ['for a limit', { route: skipped('limited', null) }, [{ ...wait, reason: 'rate_limit' }]],
  ['for a pause to end', { route: skipped('paused', null) }, [{ ...wait, reason: 'recovery' }]],
  [
    'for many others',
    { place: { position: null, etaMs: null } },
    [{ ...wait, reason: 'turn', detail: 'more than 1,000 of your jobs wait for a/m before it' }],
  ],
  [
    'for some others',
    { place: { position: 3, etaMs: 900 } },
    [{ ...wait, reason: 'turn', detail: '2 of your jobs wait for a/m before it', position: 3, eta_ms: 900 }],
  ],
  [
    'for what is reserved of a budget',
    { standings: [{ ...standing, committedNano: 30n, reservedNano: 31n }] },
    [{ ...wait, reason: 'budget', detail: 'calls under way have reserved what is left of tenant/month' }],
  ],
])('it would wait %s', ([, change, expected]) => {
  expect(of(change).waits).toEqual(expected);
});

test('a spent budget refuses a submit whose first target costs something, and no other', () => {
  const spent = { ...standing, committedNano: 100n };
  const refused = ['The budget tenant/month of "acme" is spent: POST /v1/jobs would refuse it with budget_exceeded'];
  expect(of({ standings: [spent] }).warnings).toEqual(refused);
  const freeLater = new Map([...plain.costs, ['b/n', cost(0n)] as const]);
  expect(of({ standings: [spent], costs: freeLater }).warnings).toEqual(refused);
  const free = new Map([['a/m', cost(0n)] as const]);
  expect(of({ standings: [{ ...spent, amountNano: 0n }], costs: free }).warnings).toEqual([]);
  const moves = [expect.stringContaining('go on to a target that may be paid for')];
  expect(of({ standings: [{ ...spent, onExceeded: 'local_only' }] }).warnings).toEqual(moves);
  expect(of({ standings: [{ ...spent, per: 'provider' }] }).warnings).toEqual(moves);
});

test('with the cloud off it says so, whoever can serve it', () => {
  const settings = { ...plain.settings, privacy: { isCloudOn: false } } as Settings;
  expect(of({ settings }).warnings).toEqual([expect.stringContaining('"local"')]);
  expect(of({ settings, target: null })).toMatchObject({
    target: null,
    waits: [],
    warnings: [expect.anything(), expect.stringContaining('local')],
  });
});
