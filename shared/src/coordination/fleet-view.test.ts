import { expect, test } from 'vitest';
import type { FleetState } from './coordination.ts';
import { createFleetView } from './fleet-view.ts';

const stateOf = (n: number): FleetState => ({ throughput: new Map([['p/m', n]]), pauses: new Map() });

/** A store that counts how often it is asked, and answers with that. */
function startStore() {
  const errors: Error[] = [];
  const store = {
    asked: 0,
    nowMs: 0,
    answer: (n: number): Promise<FleetState> => Promise.resolve(stateOf(n)),
  };
  const fleetState = () => {
    store.asked += 1;
    return store.answer(store.asked);
  };
  const view = createFleetView(
    { fleetState },
    (error) => errors.push(error),
    () => store.nowMs,
  );
  return Object.assign(store, { view, errors });
}

test('however many ask at once, the store is asked once, and again after half a second', async () => {
  const store = startStore();
  const all = await Promise.all(Array.from({ length: 50 }, () => store.view.read()));
  expect(new Set(all)).toEqual(new Set([all[0]]));
  store.nowMs = 499;
  expect(await store.view.read()).toEqual(stateOf(1));
  expect(store.asked).toBe(1);
  store.nowMs = 500;
  expect(await store.view.read()).toEqual(stateOf(2));
  expect(store.asked).toBe(2);
});

test('what was just changed here is seen here', async () => {
  const store = startStore();
  await store.view.read();
  store.view.forget();
  expect(await store.view.read()).toEqual(stateOf(2));
});

test('what was changed here while the store was being read is seen as well', async () => {
  const store = startStore();
  const before = Promise.withResolvers<FleetState>();
  store.answer = () => before.promise;
  const reading = store.view.read();
  store.view.forget();
  store.answer = (n) => Promise.resolve(stateOf(n));
  before.resolve(stateOf(0));
  await reading;
  expect(await store.view.read()).toEqual(stateOf(2));
});

test('when the store does not answer, what it said last holds, and it is left alone for five seconds', async () => {
  const store = startStore();
  await store.view.read();
  store.answer = () => Promise.reject(new Error('frozen'));
  store.nowMs = 1_000;
  expect(await store.view.read()).toEqual(stateOf(1));
  expect(await store.view.read()).toEqual(stateOf(1));
  expect(store.asked, 'a store that does not answer is not asked by everybody').toBe(2);
  expect(store.errors.map(({ message }) => message)).toEqual(['frozen']);
  store.answer = (n) => Promise.resolve(stateOf(n));
  store.nowMs = 5_999;
  expect(await store.view.read()).toEqual(stateOf(1));
  expect(store.asked).toBe(2);
  store.nowMs = 6_000;
  expect(await store.view.read()).toEqual(stateOf(3));
});

test('a store that never answered leaves nothing known', async () => {
  const store = startStore();
  store.answer = () => Promise.reject(new Error('away'));
  expect(await store.view.read()).toEqual({ throughput: new Map(), pauses: new Map() });
});
