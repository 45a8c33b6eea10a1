/** Health as a table: what was seen, and what it makes of a server. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { failureKinds } from '../domain/failure.ts';
import {
  type Health,
  type HealthPolicy,
  keptCalls,
  type Observation,
  observationOfCall,
  observe,
  successRate,
  unknownHealth,
} from './health.ts';

const policy: HealthPolicy = { failuresToUnhealthy: 3, successesToRecover: 2, leastSuccessRate: 0.5, everyMs: 30_000 };
const ok: Observation = { by: 'call', kind: 'success', latencyMs: 120, failure: null, atMs: 1_000 };
const bad: Observation = { by: 'call', kind: 'failure', latencyMs: 90, failure: 'network', atMs: 1_000 };
const loading: Observation = { by: 'probe', kind: 'loading', latencyMs: 5, failure: 'model_loading', atMs: 1_000 };
const fresh = unknownHealth(0);
const ill: Health = { ...fresh, status: 'unhealthy', consecutiveFailures: 3 };
const times = (n: number, each: Observation): Observation[] => Array.from({ length: n }, () => each);

test.for<[string, Health, Observation[], Health['status'], ReturnType<typeof observe>['change']]>([
  ['nothing seen stays unknown', fresh, [], 'unknown', null],
  ['one answer is health', fresh, [ok], 'healthy', null],
  ['one failure alone says little', fresh, [bad], 'unknown', null],
  ['failures in a row are an illness', fresh, times(3, bad), 'unhealthy', 'unhealthy'],
  ['an answer between them breaks the row', fresh, [bad, bad, ok, bad, bad], 'healthy', null],
  ['one answer does not heal', ill, [ok], 'unhealthy', null],
  ['answers in a row heal', ill, [ok, ok], 'healthy', 'recovered'],
  ['a failure begins the row anew', ill, [ok, bad, ok], 'unhealthy', null],
  ['loading is not dead', fresh, times(9, loading), 'loading', null],
  ['loading ends an illness: the server is back', ill, [loading], 'loading', 'recovered'],
  ['a server that has loaded is well', { ...fresh, status: 'loading' }, [ok], 'healthy', null],
  [
    'failing every other call is an illness once there are enough of them',
    { ...fresh, status: 'healthy', calls: [...Array(9).fill(100), ...Array(10).fill(-100)] },
    [bad, ok, bad],
    'unhealthy',
    'unhealthy',
  ],
  [
    'failing now and then is none',
    { ...fresh, status: 'healthy', calls: Array(60).fill(100) },
    [bad, ok, bad, ok],
    'healthy',
    null,
  ],
  ['falling ill and recovering within one look is no change', fresh, [...times(3, bad), ok, ok], 'healthy', null],
])('%s', ([, health, seen, status, change]) => {
  const next = observe(health, seen, policy);
  expect([next.health.status, next.change]).toEqual([status, change]);
});

describe('the record', () => {
  test('keeps the latencies of the last calls, failed ones below zero', () => {
    const { health } = observe(fresh, [ok, bad, { ...bad, latencyMs: 0 }], policy);
    expect(health.calls).toEqual([120, -91, -1]);
    expect(observe(health, times(150, ok), policy).health.calls).toHaveLength(keptCalls);
  });

  test('keeps probes out of the latencies of calls', () => {
    expect(observe(fresh, [{ ...ok, by: 'probe' }, loading], policy).health.calls).toEqual([]);
  });

  test('says when it changed and when it was last looked at', () => {
    const seen = [1, 2, 3].map((n): Observation => ({ ...bad, atMs: n * 1_000 }));
    const { health } = observe(fresh, seen, policy);
    expect(health).toMatchObject({ changedAtMs: 3_000, checkedAtMs: 3_000, lastFailure: 'network' });
    expect(observe(health, [{ ...bad, atMs: 9_000 }], policy).health).toMatchObject({
      changedAtMs: 3_000,
      checkedAtMs: 9_000,
    });
  });

  test('counts the time it was well, and leaves out a long silence', () => {
    const at = (seconds: number, each: Observation): Observation => ({ ...each, atMs: seconds * 1_000 });
    const seen = [at(0, ok), at(20, ok), at(40, bad), at(50, bad), at(60, bad), at(80, ok), at(5_000, ok)];
    const { health } = observe(fresh, seen, policy);
    // Well from 0 to 60, ill from 60 to 80, unwatched after that.
    expect([health.healthyS, health.watchedS]).toEqual([60, 80]);
  });

  test.for([
    [[], 1],
    [[100, 100], 1],
    [[100, -1], 0.5],
    [[-5], 0],
  ] as const)('of calls %j has the success rate %d', ([calls, rate]) => {
    expect(successRate({ calls })).toBe(rate);
  });
});

test.for(failureKinds)('a call that failed as %s speaks of the server, or says nothing of it', (kind) => {
  const seen = observationOfCall(kind, 10, 0);
  const ofServer = ['overloaded', 'server_error', 'timeout', 'network', 'stream_interrupted', 'unknown'];
  expect(seen?.kind ?? null).toBe(ofServer.includes(kind) ? 'failure' : kind === 'model_loading' ? 'loading' : null);
});

test('an answered call is a success', () => {
  expect(observationOfCall(null, 10, 7)).toEqual({
    by: 'call',
    kind: 'success',
    latencyMs: 10,
    failure: null,
    atMs: 7,
  });
});

test('looks told together make the same record as looks told one by one', () => {
  const observation = fc
    .record({ kind: fc.constantFrom<Observation['kind'][]>('success', 'failure', 'loading'), gapMs: fc.nat(200_000) })
    .map(({ kind, gapMs }) => ({ ...ok, kind, failure: kind === 'success' ? null : 'x', atMs: gapMs }));
  fc.assert(
    fc.property(fc.array(observation, { maxLength: 60 }), (list) => {
      let at = 0;
      const seen = list.map((each) => {
        at += each.atMs;
        return { ...each, atMs: at };
      });
      const alone = seen.reduce((health, each) => observe(health, [each], policy).health, fresh);
      expect(observe(fresh, seen, policy).health).toEqual(alone);
      expect(alone.healthyS).toBeLessThanOrEqual(alone.watchedS);
    }),
  );
});
