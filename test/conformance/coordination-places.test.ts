/** A target that can be called at several places: which one is taken, and what leaves a place alone. On every store. */
import type { Coordination, HeldPermit, PermitEnd, PermitPlace } from '@waybill/shared/coordination/coordination.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  allTaken,
  type CoordinationUnderTest,
  callEnd,
  coordinationsUnderTest,
  goAt,
} from '../support/coordination-under-test.ts';

const minute = 60_000;

describe.each(coordinationsUnderTest)('places on $name', ({ start }) => {
  let store: CoordinationUnderTest;
  /** Two processes. */
  let here: Coordination;
  let there: Coordination;
  let provider: string;
  let target: string;
  let tokens = 0;

  beforeAll(async () => {
    store = await start();
    here = await store.open();
    there = await store.open();
  }, 120_000);
  afterAll(() => store.stop());
  beforeEach(async () => {
    provider = store.newProvider();
    target = `${provider}/a-model`;
    await here.restore(provider, 'epoch-1', []);
  });

  const placesFor = (limits: Record<string, number>): PermitPlace[] =>
    Object.entries(limits).map(([id, concurrency]) => ({ id, concurrency }));
  const ask = (process: Coordination, places: readonly PermitPlace[], token = `token-${tokens++}`) =>
    process.takePermit({ token, target, places, epoch: 'epoch-1' });
  /** One after the other: where each went, or why it waits. */
  const takeEach = async (limits: Record<string, number>, n: number): Promise<string[]> => {
    const went: string[] = [];
    for (let i = 0; i < n; i++) {
      const answer = await ask(i % 2 ? here : there, placesFor(limits));
      went.push(answer.kind === 'go' ? answer.place : answer.kind === 'wait' ? answer.reason : answer.kind);
    }
    return went;
  };
  const take = async (process: Coordination, place: string, concurrency = 100): Promise<HeldPermit> => {
    const token = `token-${tokens++}`;
    expect(await ask(process, [{ id: place, concurrency }], token)).toMatchObject(goAt(place));
    return { token, target, place };
  };
  const settle = (process: Coordination, permit: HeldPermit, change: Partial<PermitEnd> = {}) =>
    process.settlePermit({ ...callEnd, ...permit, ...change });
  const countAt = async (place: string) => (await store.permits(target, place)).length;

  it('are filled by what each has left of its own: the one with most headroom is taken', async () => {
    const went = await takeEach({ a: 6, b: 3 }, 10);
    expect(went.slice(0, 2).toSorted(), 'both are empty: one each').toEqual(['a', 'b']);
    expect(went.slice(0, 6).filter((place) => place === 'b')).toHaveLength(2);
    expect(went.slice(0, 9).filter((place) => place === 'b')).toHaveLength(3);
    expect(went.at(-1)).toBe('concurrency');
  });

  it('are filled the same way by calls of one tick', async () => {
    const answers = await Promise.all(Array.from({ length: 7 }, () => ask(here, placesFor({ a: 4, b: 2 }))));
    expect(answers.at(-1)).toEqual(allTaken);
    expect([await countAt('a'), await countAt('b')]).toEqual([4, 2]);
  });

  it('that are full are left for another, and those that are not open are not asked for', async () => {
    await take(here, 'a');
    expect(await takeEach({ a: 1, b: 2 }, 3)).toEqual(['b', 'b', 'concurrency']);
    expect(await takeEach({ c: 1 }, 2)).toEqual(['c', 'concurrency']);
  });

  it('keep to their own limits, whatever comes, goes and is settled at once', async () => {
    const step = fc.record({ kind: fc.constantFrom('take', 'take', 'give back', 'settle'), process: fc.nat(1) });
    const limits = fc.record({ a: fc.integer({ min: 1, max: 4 }), b: fc.integer({ min: 1, max: 4 }) });
    const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(limits, rounds, async (limit, batches) => {
        target = `${provider}/model-${tokens++}`;
        const held: HeldPermit[] = [];
        for (const batch of batches) {
          const before = held.length;
          const taken: HeldPermit[] = [];
          let waiting = 0;
          const running = batch.map(async ({ kind, process: n }) => {
            const process = n === 0 ? here : there;
            const permit = kind === 'take' ? undefined : held.shift();
            if (kind === 'take') {
              const token = `token-${tokens++}`;
              const answer = await ask(process, placesFor(limit), token);
              if (answer.kind === 'go') taken.push({ token, target, place: answer.place });
              else waiting += 1;
            } else if (permit) await (kind === 'settle' ? settle(process, permit) : process.givePermitBack(permit));
          });
          await Promise.all(running);
          held.push(...taken);
          for (const place of ['a', 'b'] as const) {
            const inStore = await store.permits(target, place);
            expect(inStore).toEqual(
              held
                .filter((permit) => permit.place === place)
                .map(({ token }) => token)
                .toSorted(),
            );
            expect(inStore.length).toBeLessThanOrEqual(limit[place]);
          }
          if (waiting > 0) expect(before + batch.length).toBeGreaterThan(limit.a + limit.b);
        }
      }),
      { numRuns: 12 },
    );
  });

  it('are given back, settled and renewed each by itself', async () => {
    const [a, b, c] = [await take(here, 'a'), await take(here, 'b'), await take(here, 'b')];
    await here.givePermitBack(a);
    await settle(here, b);
    expect([await store.permits(target, 'a'), await store.permits(target, 'b')]).toEqual([[], [c.token]]);
    await here.renewPermits();
    expect([await store.permits(target, 'a'), await store.permits(target, 'b')]).toEqual([[], [c.token]]);
  });

  it('whose permits were restored hold those, and no others', async () => {
    await take(here, 'a');
    await take(here, 'b');
    const kept = { token: 'kept', target, place: 'b' };
    await there.restore(provider, 'epoch-1', [kept, { ...kept, token: 'more', place: 'c@2' }]);
    expect([await countAt('a'), await store.permits(target, 'b'), await store.permits(target, 'c@2')]).toEqual([
      0,
      ['kept'],
      ['more'],
    ]);
    expect(await takeEach({ b: 1, 'c@2': 1 }, 1)).toEqual(['concurrency']);
  });

  it('count the calls of the version before, which knows none, against the account "default"', async () => {
    expect(await store.takeAsBefore(target, 'epoch-1', 2, 'before-1')).toBe(true);
    expect(await store.takeAsBefore(target, 'epoch-1', 2, 'before-2')).toBe(true);
    expect(await ask(here, placesFor({ default: 2 }))).toEqual(allTaken);
    expect(await ask(here, placesFor({ default: 2, main: 1 }))).toMatchObject(goAt('main'));
    const ours = await take(here, 'default', 3);
    expect(await store.takeAsBefore(target, 'epoch-1', 3, 'before-3')).toBe(false);
    expect(await store.permits(target)).toEqual(['before-1', 'before-2', ours.token].toSorted());
  });

  describe('that rest', () => {
    const rest = async (place: string, restMs: number) => settle(here, await take(here, place), { restMs });

    it('are passed over for one that is open', async () => {
      await rest('a', minute);
      expect(await takeEach({ a: 4, b: 2 }, 3)).toEqual(['b', 'b', 'concurrency']);
    });

    it('are waited for as long as the first of them rests', async () => {
      await rest('a', 2 * minute);
      await rest('b', minute);
      const answer = await ask(there, placesFor({ a: 4, b: 4 }));
      expect(answer).toMatchObject({ kind: 'wait', reason: 'rate_limit' });
      const { retryAfterMs } = answer as { retryAfterMs: number };
      expect(retryAfterMs).toBeGreaterThan(minute / 2);
      expect(retryAfterMs).toBeLessThanOrEqual(minute);
      await store.endRests(target);
      expect(await takeEach({ a: 1, b: 1 }, 2)).toEqual(['a', 'b']);
    });

    it('are taken again when they have rested', async () => {
      await rest('a', 200);
      await expect.poll(async () => (await ask(there, placesFor({ a: 4 }))).kind, { timeout: 10_000 }).toBe('go');
    });

    it('and are full besides are waited for as full', async () => {
      const held = await take(here, 'a');
      await rest('a', minute);
      expect(await ask(here, placesFor({ a: 1 }))).toEqual(allTaken);
      await here.givePermitBack(held);
      expect(await ask(here, placesFor({ a: 1 }))).toMatchObject({ reason: 'rate_limit' });
    });

    it('rest until the later of two ends', async () => {
      await Promise.all([take(here, 'a'), take(here, 'a')]).then(async ([long, short]) => {
        await settle(here, long, { restMs: minute });
        await settle(there, short, { restMs: 1 });
      });
      const answer = await ask(here, placesFor({ a: 4 }));
      expect((answer as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(minute / 2);
    });

    it('rest no more after everything was forgotten', async () => {
      await rest('a', minute);
      await here.reset();
      await here.restore(provider, 'epoch-1', []);
      expect(await takeEach({ a: 1 }, 1)).toEqual(['a']);
    });
  });
});
