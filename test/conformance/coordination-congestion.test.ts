/** What congestion leaves of a place: lowered at once, raised slowly, and forgotten. The same on every store. */
import type { Coordination, HeldPermit, PermitEnd } from '@waybill/shared/coordination/coordination.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CoordinationUnderTest, callEnd, coordinationsUnderTest } from '../support/coordination-under-test.ts';

const call = { ...callEnd, concurrency: 10, heldMs: 0 };
/** Longer than any test takes: the call was under way before all that happened in it. */
const heldLong = 600_000;

describe.each(coordinationsUnderTest)('congestion on $name', ({ start }) => {
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

  const permitAt = (place: string): HeldPermit => ({ token: `token-${tokens++}`, target, place });
  const end = (pressure: PermitEnd['pressure'], change: Partial<PermitEnd> = {}, process = here) =>
    process.settlePermit({ ...call, ...permitAt('a'), pressure, ...change });
  /** How many calls the place takes at once. */
  const roomAt = async (place: string, concurrency: number): Promise<number> => {
    const asked = Array.from({ length: concurrency + 1 }, () => permitAt(place));
    const answers = await Promise.all(
      asked.map(({ token }) =>
        there.takePermit({ token, target, places: [{ id: place, concurrency }], epoch: 'epoch-1' }),
      ),
    );
    await Promise.all(asked.map((permit) => there.givePermitBack(permit)));
    return answers.filter(({ kind }) => kind === 'go').length;
  };

  it('lowers what a place takes at once to 0.7 of it, and no other place', async () => {
    await end('congested', { heldMs: heldLong });
    expect([await roomAt('a', 10), await roomAt('b', 10)]).toEqual([7, 10]);
  });

  it('lowers it once for all calls that were under way together, and again for one that began after', async () => {
    const many = Array.from({ length: 12 }, (_, n) => end('congested', { heldMs: heldLong }, n % 2 ? here : there));
    await Promise.all(many);
    await end('congested', { heldMs: heldLong });
    expect(await roomAt('a', 10)).toBe(7);
    await end('congested', { heldMs: 0 });
    expect(await roomAt('a', 10)).toBe(4);
  });

  it('never lowers it below one call', async () => {
    for (let n = 0; n < 12; n++) await end('congested', { heldMs: 0 });
    expect(await roomAt('a', 10)).toBe(1);
    await end('congested', { heldMs: 0, concurrency: 1 });
    expect(await roomAt('a', 1)).toBe(1);
  });

  it('that is over raises it slowly, up to what is configured, and is forgotten then', async () => {
    await end('congested', { heldMs: heldLong });
    await end('eased');
    expect(await roomAt('a', 10)).toBe(7);
    for (let n = 0; n < 7; n++) await end('eased');
    expect(await roomAt('a', 10)).toBe(8);
    // 7 -> 10 by 1/n each: some 26 calls that went well.
    for (let n = 0; n < 20; n++) await end('eased');
    expect(await roomAt('a', 10)).toBe(10);
    expect(await roomAt('a', 12), 'nothing is remembered').toBe(12);
  });

  it('is not eased by calls that say nothing of it', async () => {
    await end('congested', { heldMs: heldLong });
    for (let n = 0; n < 30; n++) await end('none');
    expect(await roomAt('a', 10)).toBe(7);
  });

  it('that never was is not made by calls that went well', async () => {
    for (let n = 0; n < 3; n++) await end('eased');
    expect(await roomAt('a', 14)).toBe(14);
  });

  it('leaves at most what is configured now, where that was lowered meanwhile', async () => {
    await end('congested', { heldMs: heldLong });
    expect(await roomAt('a', 3)).toBe(3);
    await end('congested', { heldMs: 0, concurrency: 3 });
    expect(await roomAt('a', 10)).toBe(2);
  });

  it('and calls that end well together at several places are told apart', async () => {
    await Promise.all([
      end('congested', { heldMs: heldLong }),
      end('eased', { place: 'b' }),
      end('none', { place: 'c', restMs: 60_000 }),
    ]);
    expect([await roomAt('a', 10), await roomAt('b', 10), await roomAt('c', 10)]).toEqual([7, 10, 0]);
    await store.endRests(target);
    expect(await roomAt('c', 10)).toBe(10);
  });

  it('of several places at once, in any order, from two processes, is settled for all', async () => {
    const places = ['a', 'b', 'c', 'd'];
    for (let round = 0; round < 8; round++) {
      const ends = (order: readonly string[], process: Coordination) =>
        order.map((place) => end('congested', { place, heldMs: heldLong }, process));
      const all = [...ends(places, here), ...ends(places.toReversed(), there)];
      const failed = (await Promise.allSettled(all)).filter(({ status }) => status === 'rejected');
      expect(failed).toEqual([]);
    }
    expect(await Promise.all(places.map((place) => roomAt(place, 10)))).toEqual([7, 7, 7, 7]);
  });

  it('tells who waits when a place that it lowered comes free', async () => {
    await end('congested', { heldMs: heldLong, concurrency: 2 });
    const permit = permitAt('a');
    const places = [{ id: 'a', concurrency: 2 }];
    expect((await here.takePermit({ ...permit, places, epoch: 'epoch-1' })).kind).toBe('go');
    const heard: string[] = [];
    const stop = here.subscribe((signal) => void heard.push(signal.type));
    await here.settlePermit({ ...call, ...permit, concurrency: 2 });
    expect(heard).toEqual(['permit_freed']);
    stop();
  });

  it('is forgotten with all the rest', async () => {
    await end('congested', { heldMs: heldLong });
    await here.reset();
    await here.restore(provider, 'epoch-1', []);
    expect(await roomAt('a', 10)).toBe(10);
  });
});
