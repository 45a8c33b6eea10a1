import type { Place } from '@waybill/shared/config/model-settings.ts';
import { noRateLimits } from '@waybill/shared/config/resolve-limits.ts';
import type { Coordination, PermitAnswer, PermitRequest, Signal } from '@waybill/shared/coordination/coordination.ts';
import type { Epochs } from '@waybill/shared/coordination/epochs.ts';
import { type RateLimit, rateLimits } from '@waybill/shared/routing/limits.ts';
import { expect, test } from 'vitest';
import { isTooLate, type Permit, takePermit, unusedPermit } from './permit.ts';

const place = (id: string, concurrency: number): Place => ({ id, account: id, endpoint: 'http://p', concurrency });
const places = [place('main', 7), place('backup', 3)];

const go: PermitAnswer = { kind: 'go', place: 'backup', atMs: 5_000, isProbe: false };
const wait: PermitAnswer = { kind: 'wait', reason: 'concurrency', retryAfterMs: null, forAllMs: null };
const resting = (retryAfterMs: number | null, forAllMs: number | null = null): PermitAnswer => ({
  kind: 'wait',
  reason: 'rate_limit',
  retryAfterMs,
  forAllMs,
});
const size = { inputTokens: 30, outputTokens: 10 };
const epochLost: PermitAnswer = { kind: 'epoch_lost' };

/** A store that gives these answers in turn, the last one for ever. */
function startStore(...answers: readonly [PermitAnswer, ...PermitAnswer[]]) {
  const asked: PermitRequest[] = [];
  const lost: string[] = [];
  const listeners = new Set<(signal: Signal) => void>();
  let epoch = 1;
  const coordination = {
    async takePermit(request: PermitRequest) {
      asked.push(request);
      return answers[Math.min(asked.length, answers.length) - 1] ?? wait;
    },
    subscribe(listener: (signal: Signal) => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  } as unknown as Coordination;
  const epochs: Pick<Epochs, 'of' | 'lost'> = {
    of: async (id) => `${id} ${epoch}`,
    lost(id, old) {
      lost.push(old);
      if (old === `${id} ${epoch}`) epoch += 1;
    },
  };
  const abort = new AbortController();
  const take = (limits: readonly RateLimit[] = []) =>
    takePermit({ target: 'p/m', places, rates: { jobId: 'job_1', size, limits } }, abort.signal, {
      coordination,
      epochs: epochs as Epochs,
    });
  const tell = (signal: Signal) => {
    for (const listener of listeners) listener(signal);
  };
  const whenListening = async () => {
    while (listeners.size === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  return { asked, lost, listeners, take, tell, abort, whenListening };
}

test('a permit is for one of the places that are open, in the epoch of the provider', async () => {
  const store = startStore(go);
  expect(await store.take()).toEqual({
    kind: 'permit',
    permit: {
      token: expect.any(String),
      target: 'p/m',
      epoch: 'p 1',
      place: places[1],
      isAlone: false,
      isProbe: false,
      reservation: null,
      takenAtMs: expect.any(Number),
    },
  });
  expect(store.asked[0]).toMatchObject({ places });
  expect(store.asked[0], 'nothing limits the rate').not.toHaveProperty('rates');
  await store.take();
  expect(new Set(store.asked.map(({ token }) => token)).size).toBe(2);
});

test('a permit for a place that nobody asked for is not used', async () => {
  await expect(startStore({ ...go, place: 'other' }).take()).rejects.toThrow('"other" was not asked for');
});

test('a place that comes free is asked for as soon as that is told, under a new token', async () => {
  const store = startStore(wait, go);
  const taking = store.take();
  await store.whenListening();
  store.tell({ type: 'work' });
  store.tell({ type: 'permit_freed', target: 'p/other' });
  expect(store.asked).toHaveLength(1);
  store.tell({ type: 'permit_freed', target: 'p/m' });
  expect(await taking).toMatchObject({ kind: 'permit', permit: { token: store.asked[1]?.token } });
  expect(store.asked[0]?.token).not.toBe(store.asked[1]?.token);
  expect(store.listeners.size).toBe(0);
});

test('a store that lost its epoch is asked again with the one that was agreed on then', async () => {
  const store = startStore(epochLost, epochLost, go);
  expect(await store.take()).toMatchObject({ permit: { epoch: 'p 3' } });
  expect(store.lost).toEqual(['p 1', 'p 2']);
});

test('when nothing comes free for a while, the slot is left to others', async () => {
  const store = startStore(wait);
  expect(await store.take()).toEqual({ kind: 'wait', reason: 'turn', delayMs: 1_000 });
  expect(store.asked.length).toBeGreaterThan(1);
});

test('a short rest is waited for in the slot', async () => {
  const store = startStore(resting(30), go);
  expect(await store.take()).toMatchObject({ kind: 'permit' });
  expect(store.asked).toHaveLength(2);
});

test.for([
  ['of which nobody knows how long others wait', resting(5_000), 5_000, null],
  ['of an hour, that no call could avoid', resting(3_600_000, 3_000_000), 3_600_000, 3_000_000],
] as const)('a long rest is not waited for in the slot, %s', async ([, answer, delayMs, forAllMs]) => {
  const store = startStore(answer);
  expect(await store.take()).toEqual({ kind: 'wait', reason: 'rate_limit', delayMs, forAllMs });
  expect(store.asked, 'asked once').toHaveLength(1);
});

const limits: readonly RateLimit[] = rateLimits({ ...noRateLimits, requestsPerMinute: 60, tokensPerMinute: 10_000 });

test('what a call reserves of its rates stands in the permit, with the moment it was reserved at', async () => {
  const store = startStore(go);
  expect(await store.take(limits)).toMatchObject({ permit: { reservation: { size, limits, atMs: 5_000 } } });
  expect(store.asked[0]?.rates).toEqual({ jobId: 'job_1', size, limits });
});

test.for([12_000, null])('an open breaker is not waited for in the slot: %s', async (retryAfterMs) => {
  const store = startStore({ kind: 'breaker', retryAfterMs });
  expect(await store.take()).toEqual({ kind: 'breaker', waitMs: retryAfterMs });
  expect(store.asked).toHaveLength(1);
});

test('a probe knows that it is one, and gives its turn back with what it reserved', async () => {
  const taken = await startStore({ ...go, isProbe: true }).take(limits);
  if (taken.kind !== 'permit') throw new Error('a permit was given');
  expect(unusedPermit(taken.permit)).toEqual({
    token: taken.permit.token,
    target: 'p/m',
    place: 'backup',
    isProbe: true,
    reservation: { size, limits, atMs: 5_000 },
  });
  expect(unusedPermit({ ...taken.permit, reservation: null })).not.toHaveProperty('reservation');
});

const limited = { size, limits, atMs: 0 };
test.for<[string, number, Permit['reservation'], boolean]>([
  ['in time', -3_600_000, limited, false],
  ['late, where its rates are limited', 3_600_000, limited, true],
  ['late, where nothing limits them', 3_600_000, null, false],
])('a call that begins %s', ([, agoMs, reservation, isLate]) => {
  const permit = { token: 't', target: 'p/m', epoch: 'e', place: place('main', 7), isAlone: true, isProbe: false };
  expect(isTooLate({ ...permit, reservation, takenAtMs: performance.now() - agoMs })).toBe(isLate);
});

test('an entry that is given up waits no longer', async () => {
  const store = startStore(wait);
  const taking = store.take();
  await store.whenListening();
  store.abort.abort();
  expect(await taking).toMatchObject({ kind: 'wait', reason: 'turn' });
  expect(store.listeners.size).toBe(0);
});
