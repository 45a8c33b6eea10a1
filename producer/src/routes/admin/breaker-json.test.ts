/** What an operator is shown of breakers: states in words, what they come to for a provider, and no made-up numbers. */
import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { BreakerReading } from '@waybill/shared/coordination/coordination.ts';
import type { BreakerState } from '@waybill/shared/routing/breaker.ts';
import { expect, test } from 'vitest';
import { type BreakerJson, breakerList, configuredTargets, type SeenOfBreakers } from './breaker-json.ts';

const parsed = parseEnvironment({});
if (parsed.kind === 'faults') throw new Error('the environment of the test');
const entry = { preset: 'openai-compatible', base_url: 'https://one.example/v1' };
const settings = settingsOf(
  {
    providers: { one: { ...entry, models: { named: {} } }, two: entry },
    chains: { default: { targets: ['one/b', 'one/a', 'two/org/c'] }, other: { targets: ['one/a'] } },
  },
  parsed.environment,
  'the test',
);
const nowMs = Date.parse('2026-11-21T12:00:00Z');
const closed: BreakerState = { kind: 'closed' };
const outage = { cooldownMs: 60_000, why: 'failure_rate', sinceMs: nowMs - 5_000 } as const;
const open: BreakerState = { kind: 'open', untilMs: nowMs + 60_000, ...outage };
const half: BreakerState = { kind: 'half_open', successes: 1, ...outage };
const byHand = (untilMs: number | null): BreakerState => ({
  ...{ kind: 'open', untilMs, cooldownMs: 0, why: 'manual', sinceMs: nowMs - 1_000 },
});
const reading = (
  target: string,
  state: BreakerState,
  counts: Partial<BreakerReading['counts']> = {},
): BreakerReading => ({
  ...{ target, version: 1, state },
  counts: { consecutive: 0, ok: 0, failed: 0, latencyMs: 0, usual: { ok: 0, failed: 0, latencyMs: 0 }, ...counts },
});
const list = (readings: readonly BreakerReading[], more: Partial<SeenOfBreakers> = {}) =>
  breakerList(settings, { readings, usual: new Map(), whole: new Map(), nowMs, ...more });

test('the targets of chains and models are configured, each once', () => {
  expect(configuredTargets(settings)).toEqual(['one/a', 'one/b', 'one/named', 'two/org/c']);
});

test.for<[string, BreakerState, Partial<BreakerJson>]>([
  ['closed', closed, { state: 'closed', why: null, since: null, until: null, successes: 0 }],
  [
    'open',
    open,
    { state: 'open', why: 'failure_rate', since: '2026-11-21T11:59:55.000Z', until: '2026-11-21T12:01:00.000Z' },
  ],
  ['half-open', half, { state: 'half_open', why: 'failure_rate', until: null, successes: 1 }],
  ['opened by hand for good', byHand(null), { state: 'open', why: 'manual', until: null }],
])('one that is %s', ([, state, expected]) => {
  expect(list([reading('one/a', state)]).data).toMatchObject([{ target: 'one/a', provider: 'one', ...expected }]);
});

test('numbers are those that were counted, and what nobody knows is null', () => {
  const counted = { consecutive: 1, ok: 3, failed: 2, latencyMs: 301 };
  const usual = new Map([['one/a', { latencyMs: 812.4, reliability: 0.98765 }]]);
  const { data } = list([reading('two/x', closed), reading('one/a', closed, counted)], { usual });
  expect(data).toMatchObject([
    {
      ...{ target: 'one/a', is_configured: true, usual: { latency_ms: 812, reliability: 0.988 } },
      counts: { calls: 5, failed: 2, consecutive_failures: 1, latency_ms: 100 },
    },
    {
      ...{ target: 'two/x', is_configured: false, usual: { latency_ms: null, reliability: null } },
      counts: { calls: 0, failed: 0, consecutive_failures: 0, latency_ms: null },
    },
  ]);
});

test.for<[string, BreakerState[], BreakerState | null, string, boolean]>([
  ['closed ones alone', [closed, closed], null, 'closed', false],
  ['none', [], null, 'closed', false],
  ['some open', [closed, open], null, 'degraded', false],
  ['all open', [open, open], null, 'open', false],
  ['one that is tried', [open, half], null, 'half_open', false],
  ['all of it opened by hand', [closed], byHand(null), 'open', true],
  ['all of it opened until later', [closed], byHand(nowMs + 1), 'open', true],
  ['an opening of all that is over', [closed], byHand(nowMs), 'closed', false],
])('a provider with %s', ([, states, whole, state, isOpened]) => {
  const readings = states.map((each, n) => reading(`one/${n}`, each));
  const { providers } = list(readings, { whole: whole === null ? new Map() : new Map([['one/*', whole]]) });
  expect(providers.map(({ provider }) => provider)).toEqual(['one', 'two']);
  expect(providers[0]).toMatchObject({ provider: 'one', state });
  expect(providers[0]?.opened !== null).toBe(isOpened);
  expect(providers[1]).toMatchObject({ state: 'closed', opened: null });
});
