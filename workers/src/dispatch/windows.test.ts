import { parseEnvironment } from '@waybill/shared/config/environment.ts';
import { settingsOf } from '@waybill/shared/config/load.ts';
import type { FleetKnowledge } from '@waybill/shared/coordination/fleet-view.ts';
import type { BreakerState } from '@waybill/shared/routing/breaker.ts';
import { expect, test } from 'vitest';
import { windowsOf } from './windows.ts';

const parsed = parseEnvironment({});
if (parsed.kind === 'faults') throw new Error('the empty environment is valid');
const provider = { preset: 'openai-compatible', base_url: 'http://127.0.0.1:1/v1', limits: { concurrency: 5 } };
const settings = settingsOf({ providers: { p: provider } }, parsed.environment, 'the test');

const outage = { cooldownMs: 60_000, why: 'consecutive_failures', sinceMs: 1_000 } as const;
const open: BreakerState = { kind: 'open', untilMs: null, ...outage };
const halfOpen: BreakerState = { kind: 'half_open', successes: 1, ...outage };
const knowledge = { pauses: new Map(), usual: new Map(), switches: new Map(), windows: new Map() };

test.for<[string, string, number, BreakerState | null, number]>([
  ['follows the configured concurrency', 'p/m', 0, null, 10],
  ['follows the throughput of the fleet', 'p/m', 50, null, 200],
  ['of a provider that is gone is that of the usual concurrency', 'gone/m', 0, null, 64],
  ['of an open target is one place', 'p/m', 50, open, 1],
  ['of a target that is tried again is one place', 'p/m', 50, halfOpen, 1],
])('a window %s', async ([, target, perSecond, breaker, expected]) => {
  const known: FleetKnowledge = {
    ...knowledge,
    throughput: new Map([[target, perSecond]]),
    breakers: new Map(breaker === null ? [] : [[target, breaker]]),
  };
  const windowOf = await windowsOf({ read: () => Promise.resolve(known), forget: () => undefined }, settings);
  expect(windowOf(target)).toBe(expected);
});

test('the breaker of one target leaves the windows of the others as they are', async () => {
  const known: FleetKnowledge = { ...knowledge, throughput: new Map(), breakers: new Map([['p/ill', open]]) };
  const windowOf = await windowsOf({ read: () => Promise.resolve(known), forget: () => undefined }, settings);
  expect([windowOf('p/ill'), windowOf('p/m')]).toEqual([1, 10]);
});
