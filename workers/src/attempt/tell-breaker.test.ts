import type { BreakerReading, Signal } from '@waybill/shared/coordination/coordination.ts';
import { type BreakerState, defaultBreaker, type Outcome } from '@waybill/shared/routing/breaker.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { readEvents } from '@waybill/shared/store/events.ts';
import { openEmbeddedDatabase } from '@waybill/shared/store/open-embedded.ts';
import { preparedCacheDirectory } from '@waybill/shared/store/prepared.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { WorkerContext } from '../worker-context.ts';
import { tellBreaker } from './tell-breaker.ts';

let database: Database;
beforeAll(async () => {
  database = await openEmbeddedDatabase({ directory: null, cacheDirectory: preparedCacheDirectory(process.env) });
});
afterEach(async () => void (await database.pool.query('truncate waybill.events')));
afterAll(() => database.close());

const nowMs = Date.parse('2026-01-02T03:04:05.000Z');
const closed: BreakerState = { kind: 'closed' };
const halfOpen = (successes: number): BreakerState => ({
  ...{ kind: 'half_open', successes, cooldownMs: 60_000, why: 'consecutive_failures', sinceMs: 1_000 },
});
const reading = (state: BreakerState, consecutive = 0, version = 3): BreakerReading => ({
  target: 'p/m',
  version,
  state,
  counts: { consecutive, ok: 0, failed: consecutive, latencyMs: 0, usual: { ok: 0, failed: 0, latencyMs: 0 } },
});

/** A store that takes a swap or not, in turn, and says this when it is read again. */
function startStore(takes: readonly boolean[], later: readonly BreakerReading[] = []) {
  const swaps: [seen: BreakerReading, next: BreakerState, probe: string | null][] = [];
  const signals: Signal[] = [];
  const log: string[] = [];
  let reads = 0;
  let forgotten = 0;
  const note = (level: string) => (_: unknown, text: string) => void log.push(`${level} ${text}`);
  const context = {
    coordination: {
      async swapBreaker(seen: BreakerReading, next: BreakerState, probe: string | null) {
        swaps.push([seen, next, probe]);
        return takes[swaps.length - 1] ?? false;
      },
      async readBreaker() {
        const found = later[Math.min(reads++, later.length - 1)];
        if (!found) throw new Error('the store is down');
        return found;
      },
      publish: (signal: Signal) => void signals.push(signal),
    },
    database,
    fleet: {
      forget() {
        forgotten += 1;
      },
    },
    logger: { info: note('info'), warn: note('warn') },
    settings: () => ({ breaker: defaultBreaker }),
    now: () => nowMs,
    random: () => 0.5,
  } as unknown as WorkerContext;
  const tell = (seen: BreakerReading, outcome: Outcome, isProbe = false) =>
    tellBreaker(seen, { token: 't', outcome, isProbe }, context);
  return { swaps, signals, log, tell, reads: () => reads, forgotten: () => forgotten };
}
const eventsOf = async () => (await readEvents(database, 0, 100)).map(({ type, data }) => ({ type, data }));

test('a call that changes nothing costs nothing', async () => {
  const store = startStore([]);
  await store.tell(reading(closed, 4), 'failure');
  expect([store.swaps, store.signals, await eventsOf()]).toEqual([[], [], []]);
});

test('one failure too many opens it: told to the fleet, and noted once', async () => {
  const store = startStore([true]);
  await store.tell(reading(closed, 5), 'failure');
  const until = nowMs + 60_000;
  expect(store.swaps).toEqual([
    [reading(closed, 5), expect.objectContaining({ kind: 'open', untilMs: until, why: 'consecutive_failures' }), null],
  ]);
  expect(store.signals).toEqual([{ type: 'breaker_changed', target: 'p/m' }, { type: 'work' }]);
  expect(store.forgotten()).toBe(1);
  expect(store.log).toEqual(['warn a breaker has opened']);
  const opened = {
    type: 'breaker.opened',
    data: {
      ...{ target: 'p/m', provider: 'p', state: 'open', why: 'consecutive_failures' },
      ...{ until: new Date(until).toISOString(), failures_in_a_row: 5 },
    },
  };
  expect(await eventsOf()).toEqual([opened]);
  // Another process that did the same, and was told that it won as well.
  await startStore([true]).tell(reading(closed, 5), 'failure');
  expect(await eventsOf()).toEqual([opened]);
});

test('who loses looks again, and leaves it when another was first', async () => {
  const open: BreakerState = { ...halfOpen(0), kind: 'open', untilMs: nowMs + 1 } as BreakerState;
  const store = startStore([false], [reading(open, 5, 4)]);
  await store.tell(reading(closed, 5), 'failure');
  expect(store.swaps).toHaveLength(1);
  expect([store.reads(), store.signals, await eventsOf()]).toEqual([1, [], []]);
});

test('who loses for another reason tries again with what it sees then, but not for ever', async () => {
  const store = startStore([false, true], [reading(closed, 6, 4)]);
  await store.tell(reading(closed, 5), 'failure');
  expect(store.swaps.map(([{ version }]) => version)).toEqual([3, 4]);
  expect(await eventsOf()).toHaveLength(1);
  const unlucky = startStore([], [reading(closed, 6, 4)]);
  await unlucky.tell(reading(closed, 5), 'failure');
  expect([unlucky.swaps.length, unlucky.signals]).toEqual([5, []]);
});

test.for<[string, number, Outcome, BreakerState['kind'], string[]]>([
  ['answered, when more are wanted', 0, 'success', 'half_open', []],
  ['answered, when it is the last that was wanted', 1, 'success', 'closed', ['breaker.closed']],
  ['that failed', 1, 'failure', 'open', ['breaker.opened']],
  ['that says nothing', 1, 'neither', 'half_open', []],
])('a probe %s gives its turn back with what follows', async ([, successes, outcome, kind, types]) => {
  const store = startStore([true]);
  await store.tell(reading(halfOpen(successes)), outcome, true);
  expect(store.swaps.map(([, next, probe]) => [next.kind, probe])).toEqual([[kind, 't']]);
  expect((await eventsOf()).map(({ type }) => type)).toEqual(types);
  expect(store.signals.length > 0).toBe(types.length > 0);
});

test('a store that does not answer is a line of the log', async () => {
  const store = startStore([false]);
  await store.tell(reading(closed, 5), 'failure');
  expect(store.log).toEqual(['warn a breaker could not be told of a call']);
});
