/** Health of providers on both stores: many write one row at once, and what a server says of itself is read with care. */
import type { HealthPolicy, Observation } from '@waybill/shared/routing/health.ts';
import { type EndpointName, noteObservations, readHealth, readServerWindows } from '@waybill/shared/store/health.ts';
import { migrate } from '@waybill/shared/store/migrate.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StoreUnderTest, storesUnderTest } from '../support/stores.ts';

const policy: HealthPolicy = { failuresToUnhealthy: 3, successesToRecover: 2, leastSuccessRate: 0, everyMs: 30_000 };
const ok: Observation = { by: 'call', kind: 'success', latencyMs: 120, failure: null, atMs: 1_000_000 };
const bad: Observation = { ...ok, kind: 'failure', latencyMs: 9, failure: 'network' };
const times = <T>(n: number, each: T): T[] => Array.from({ length: n }, () => each);
const listed = (models: Record<string, unknown>) =>
  JSON.stringify({ models: Object.entries(models).map(([id, context_window]) => ({ id, context_window })) });

describe.each(storesUnderTest)('health on the $name store', ({ start }) => {
  let store: StoreUnderTest;
  let count = 0;

  beforeAll(async () => {
    store = await start();
    console.info(`The store under test: ${store.source}`);
    await migrate(store.database);
  }, 120_000);
  afterAll(() => store?.stop());

  const newName = (): EndpointName => {
    count += 1;
    return { provider: `provider-${count}`, endpoint: 1 };
  };
  const note = (name: EndpointName, seen: readonly Observation[], facts: string | null = null) =>
    noteObservations(store.database, name, seen, policy, facts);
  const read = async ({ provider, endpoint }: EndpointName) =>
    (await readHealth(store.database)).find((each) => each.provider === provider && each.endpoint === endpoint);

  it('reads what was noted, to the last field', async () => {
    const name = newName();
    const { health, change } = await note(name, [ok, bad, bad, { ...bad, atMs: 1_010_000 }], '{"models":[]}');
    expect(change).toBe('unhealthy');
    expect(health).toEqual({
      ...{ status: 'unhealthy', changedAtMs: 1_010_000, checkedAtMs: 1_010_000 },
      ...{ consecutiveFailures: 3, consecutiveSuccesses: 0, calls: [120, -10, -10, -10] },
      ...{ healthyS: 10, watchedS: 10, lastFailure: 'network' },
    });
    expect(await read(name)).toEqual({ ...name, health, facts: '{"models":[]}' });
  });

  it('loses no observation of many that come at once, in groups, to a row that did not exist', async () => {
    const name = newName();
    await Promise.all(Array.from({ length: 24 }, (_, n) => note(name, times(4, { ...ok, latencyMs: n }))));
    const known = await read(name);
    expect(known?.health.consecutiveSuccesses).toBe(96);
    expect(known?.health.calls.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 96 }, (_, n) => n >> 2));
  });

  it('tells each change to exactly one of those who saw it', async () => {
    const name = newName();
    const told = async (each: Observation) =>
      (await Promise.all(Array.from({ length: 16 }, () => note(name, [each]))))
        .map(({ change }) => change)
        .filter((change) => change !== null);
    expect(await told(bad)).toEqual(['unhealthy']);
    expect(await told(bad)).toEqual([]);
    expect(await told(ok)).toEqual(['recovered']);
    expect(await told(ok)).toEqual([]);
    expect(await told(bad)).toEqual(['unhealthy']);
  });

  it('keeps addresses of one provider apart', async () => {
    const first = newName();
    const second = { ...first, endpoint: 2 };
    await Promise.all([note(first, times(3, bad)), note(second, [ok])]);
    expect([(await read(first))?.health.status, (await read(second))?.health.status]).toEqual(['unhealthy', 'healthy']);
  });

  it('stores a failure in any words, cut to a length', async () => {
    const name = newName();
    await note(name, [{ ...bad, failure: `nul \u0000 lone \ud800 ${'x'.repeat(1_000)}` }]);
    const said = (await read(name))?.health.lastFailure;
    expect(said).toMatch(/^nul {2}lone . x+…$/u);
    expect(said?.length).toBeLessThanOrEqual(200);
  });

  describe('what a server says of itself', () => {
    it('stays when the next look brings nothing new, or too much', async () => {
      const name = newName();
      await note(name, [ok], listed({ m: 4_096 }));
      await note(name, [bad]);
      await note(name, [ok], listed({ ['x'.repeat(64 * 1_024)]: 1 }));
      expect((await read(name))?.facts).toBe(listed({ m: 4_096 }));
      await note(name, [ok], listed({ m: 8_192 }));
      expect((await readServerWindows(store.database)).get(`${name.provider}/m`)).toBe(8_192);
    });

    it.each<[string, readonly string[], Record<string, number | undefined>]>([
      ['is its context window', [listed({ m: 4_096, 'org/n': 8_192 })], { m: 4_096, 'org/n': 8_192 }],
      ['is unknown where it says nothing', [listed({ m: null })], { m: undefined }],
      ['holds with and without ":latest"', [listed({ 'm:latest': 4_096 })], { m: 4_096, 'm:latest': 4_096 }],
      ['holds for one tag and not for others', [listed({ 'm:7b': 4_096 })], { 'm:7b': 4_096, m: undefined }],
      [
        'is the smallest of its addresses',
        [listed({ m: 8_192 }), listed({ m: 4_096 }), listed({ m: 6_000 })],
        { m: 4_096 },
      ],
      ['is that of the one address that knows', [listed({ m: null }), listed({ m: 4_096 })], { m: 4_096 }],
    ])('%s', async (_, facts, expected) => {
      const name = newName();
      for (const [index, each] of facts.entries()) await note({ ...name, endpoint: index + 1 }, [ok], each);
      const windows = await readServerWindows(store.database);
      const found = Object.keys(expected).map((model) => [model, windows.get(`${name.provider}/${model}`)]);
      expect(Object.fromEntries(found)).toEqual(expected);
    });

    it.each([
      ['no JSON', '{"models":[{'],
      ['nothing', ''],
      ['another shape', '{"models":{"m":1}}'],
      ['null', 'null'],
      ['a list', '[1]'],
      ['a window that is none', listed({ m: -1 })],
      ['a window in words', listed({ m: 'many' })],
    ])('does not harm the reading of others when it is %s', async (_, garbage) => {
      const [broken, sound] = [newName(), newName()];
      await note(broken, [ok], garbage);
      await note(sound, [ok], listed({ m: 4_096 }));
      const windows = await readServerWindows(store.database);
      expect(windows.get(`${sound.provider}/m`)).toBe(4_096);
      expect(windows.has(`${broken.provider}/m`)).toBe(false);
      expect((await read(broken))?.health.status).toBe('healthy');
    });
  });
});
