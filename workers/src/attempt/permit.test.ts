import type { Place } from '@waybill/shared/config/model-settings.ts';
import type { Coordination, PermitAnswer, PermitRequest, Signal } from '@waybill/shared/coordination/coordination.ts';
import type { Epochs } from '@waybill/shared/coordination/epochs.ts';
import { expect, test } from 'vitest';
import { takePermit } from './permit.ts';

const place = (id: string, concurrency: number): Place => ({ id, account: id, endpoint: 'http://p', concurrency });
const places = [place('main', 7), place('backup', 3)];

const go: PermitAnswer = { kind: 'go', place: 'backup' };
const wait: PermitAnswer = { kind: 'wait', reason: 'concurrency', retryAfterMs: null };
const resting = (retryAfterMs: number): PermitAnswer => ({ kind: 'wait', reason: 'rate_limit', retryAfterMs });
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
  const take = () => takePermit('p/m', places, abort.signal, { coordination, epochs: epochs as Epochs });
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
      takenAtMs: expect.any(Number),
    },
  });
  expect(store.asked[0]).toMatchObject({ places });
  await store.take();
  expect(new Set(store.asked.map(({ token }) => token)).size).toBe(2);
});

test('a permit for a place that nobody asked for is not used', async () => {
  await expect(startStore({ kind: 'go', place: 'other' }).take()).rejects.toThrow('"other" was not asked for');
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
  ['for as long as it lasts', 5_000, 5_000],
  ['in steps when it is very long', 3_600_000, 10_000],
] as const)('a long rest is not waited for in the slot, but %s', async ([, restMs, delayMs]) => {
  const store = startStore(resting(restMs));
  expect(await store.take()).toEqual({ kind: 'wait', reason: 'rate_limit', delayMs });
  expect(store.asked, 'asked once').toHaveLength(1);
});

test('an entry that is given up waits no longer', async () => {
  const store = startStore(wait);
  const taking = store.take();
  await store.whenListening();
  store.abort.abort();
  expect(await taking).toMatchObject({ kind: 'wait', reason: 'turn' });
  expect(store.listeners.size).toBe(0);
});
