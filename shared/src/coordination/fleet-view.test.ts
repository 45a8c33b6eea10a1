import { expect, test } from 'vitest';
import type { FleetState } from './coordination.ts';
import { createFleetView, type FleetKnowledge } from './fleet-view.ts';

const stateOf = (n: number): FleetState => ({
  throughput: new Map([['p/m', n]]),
  pauses: new Map(),
  breakers: new Map(),
  usual: new Map(),
});
const noSwitches: ReadonlyMap<string, boolean> = new Map();
const noWindows: ReadonlyMap<string, number> = new Map();
const known = (n: number, more: Partial<FleetKnowledge> = {}): FleetKnowledge => ({
  ...stateOf(n),
  ...{ switches: noSwitches, windows: noWindows, ...more },
});

/** A store that counts how often it is asked, and answers with that. */
function startStore() {
  const errors: Error[] = [];
  const store = {
    asked: 0,
    nowMs: 0,
    answer: (n: number): Promise<FleetState> => Promise.resolve(stateOf(n)),
    switches: () => Promise.resolve(noSwitches),
    windows: () => Promise.resolve(noWindows),
  };
  const fleetState = () => {
    store.asked += 1;
    return store.answer(store.asked);
  };
  const view = createFleetView(
    { fleetState, switches: () => store.switches(), windows: () => store.windows() },
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
  expect(await store.view.read()).toEqual(known(1));
  expect(store.asked).toBe(1);
  store.nowMs = 500;
  expect(await store.view.read()).toEqual(known(2));
  expect(store.asked).toBe(2);
});

test('what was just changed here is seen here', async () => {
  const store = startStore();
  await store.view.read();
  store.view.forget();
  expect(await store.view.read()).toEqual(known(2));
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
  expect(await store.view.read()).toEqual(known(2));
});

test('when the store does not answer, what it said last holds, and it is left alone for five seconds', async () => {
  const store = startStore();
  await store.view.read();
  store.answer = () => Promise.reject(new Error('frozen'));
  store.nowMs = 1_000;
  expect(await store.view.read()).toEqual(known(1));
  expect(await store.view.read()).toEqual(known(1));
  expect(store.asked, 'a store that does not answer is not asked by everybody').toBe(2);
  expect(store.errors.map(({ message }) => message)).toEqual(['frozen']);
  store.answer = (n) => Promise.resolve(stateOf(n));
  store.nowMs = 5_999;
  expect(await store.view.read()).toEqual(known(1));
  expect(store.asked).toBe(2);
  store.nowMs = 6_000;
  expect(await store.view.read()).toEqual(known(3));
});

test('a store that never answered leaves nothing known', async () => {
  const store = startStore();
  store.answer = () => Promise.reject(new Error('away'));
  expect(await store.view.read()).toEqual({ ...known(0), throughput: new Map() });
});

test('what an operator has switched is read with the rest, as fresh as that', async () => {
  const store = startStore();
  store.switches = () => Promise.resolve(new Map([['groq', false]]));
  expect(await store.view.read()).toEqual(known(1, { switches: new Map([['groq', false]]) }));
  store.switches = () => Promise.resolve(new Map([['groq', true]]));
  store.nowMs = 499;
  expect((await store.view.read()).switches.get('groq')).toBe(false);
  store.nowMs = 500;
  expect((await store.view.read()).switches.get('groq')).toBe(true);
});

test('when the switches cannot be read, all holds that was said last', async () => {
  const store = startStore();
  store.switches = () => Promise.resolve(new Map([['groq', false]]));
  await store.view.read();
  store.switches = () => Promise.reject(new Error('no database'));
  store.nowMs = 1_000;
  expect(await store.view.read()).toEqual(known(1, { switches: new Map([['groq', false]]) }));
  expect(store.errors.map(({ message }) => message)).toEqual(['no database']);
});

test('what servers say of their windows is read every ten seconds', async () => {
  const store = startStore();
  const windowNow = async () => (await store.view.read()).windows.get('ollama/m');
  store.windows = () => Promise.resolve(new Map([['ollama/m', 4_096]]));
  expect(await windowNow()).toBe(4_096);
  store.windows = () => Promise.resolve(new Map([['ollama/m', 8_192]]));
  store.nowMs = 9_999;
  expect(await windowNow()).toBe(4_096);
  store.nowMs = 10_500;
  expect(await windowNow()).toBe(8_192);
});
