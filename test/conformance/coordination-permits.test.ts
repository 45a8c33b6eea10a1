/** What coordination promises about permits and epochs, the same on every store it can be on. */
import { soleAccount } from '@waybill/shared/config/model-settings.ts';
import type { Coordination, HeldPermit, PermitAnswer } from '@waybill/shared/coordination/coordination.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  allTaken,
  type CoordinationUnderTest,
  callEnd,
  coordinationOverRedis,
  coordinationsUnderTest,
  goAt,
} from '../support/coordination-under-test.ts';
import { startRedisServer } from '../support/redis-server.ts';

const placesFor = (concurrency: number) => [{ id: soleAccount, concurrency }];

describe.each(coordinationsUnderTest)('permits on $name', ({ start }) => {
  let store: CoordinationUnderTest;
  /** Two processes. */
  let here: Coordination;
  let there: Coordination;
  let provider: string;
  let target: string;
  let tokens = 0;

  beforeAll(async () => {
    store = await start();
    console.info(`The coordination under test: ${store.source}`);
    here = await store.open();
    there = await store.open();
  }, 120_000);
  afterAll(() => store.stop());
  beforeEach(async () => {
    provider = store.newProvider();
    target = `${provider}/a-model`;
    await here.restore(provider, 'epoch-1', []);
  });

  const newPermit = (): HeldPermit => ({ token: `token-${tokens++}`, target, place: soleAccount });
  const take = (process: Coordination, permit: HeldPermit, concurrency: number, epoch = 'epoch-1') =>
    process.takePermit({ ...permit, places: placesFor(concurrency), epoch });
  const kindOf = async (answer: Promise<PermitAnswer>) => (await answer).kind;
  const settle = (process: Coordination, permit: HeldPermit) => process.settlePermit({ ...callEnd, ...permit });

  it('never exceed the limit, however many ask at once from two processes', async () => {
    const asked = Array.from({ length: 200 }, (_, n) => ({ permit: newPermit(), process: n % 2 ? here : there }));
    const answers = await Promise.all(
      asked.map(async ({ permit, process }) => ({ permit, answer: await take(process, permit, 7) })),
    );
    const went = answers.filter(({ answer }) => answer.kind === 'go');
    expect(went).toHaveLength(7);
    expect((await store.permits(target)).toSorted()).toEqual(went.map(({ permit }) => permit.token).toSorted());
    expect(new Set(answers.map(({ answer }) => answer.kind))).toEqual(new Set(['go', 'wait']));
    const refused = answers.find(({ answer }) => answer.kind === 'wait');
    expect(refused?.answer).toEqual(allTaken);
  });

  it('go to who asks first, also within one tick', async () => {
    const asked = Array.from({ length: 5 }, newPermit);
    const answers = await Promise.all(asked.map((permit) => kindOf(take(here, permit, 3))));
    expect(answers).toEqual(['go', 'go', 'go', 'wait', 'wait']);
    expect(await kindOf(take(there, newPermit(), 3))).toBe('wait');
    expect(await kindOf(take(there, newPermit(), 4))).toBe('go');
  });

  it('of different targets do not meet', async () => {
    const other = { ...newPermit(), target: `${provider}/vendor/another-model` };
    expect(await kindOf(take(here, newPermit(), 1))).toBe('go');
    expect(await kindOf(take(here, newPermit(), 1))).toBe('wait');
    expect(await kindOf(take(here, other, 1))).toBe('go');
    await there.givePermitBack(other);
    expect(await store.permits(other.target)).toEqual([]);
    expect(await store.permits(target)).toHaveLength(1);
  });

  it('are none where no place is open, or when the limit was lowered below what is out', async () => {
    const nowhere = { ...newPermit(), places: [], epoch: 'epoch-1' };
    expect(await here.takePermit(nowhere)).toEqual(allTaken);
    const held = [newPermit(), newPermit(), newPermit()];
    for (const permit of held) expect(await kindOf(take(here, permit, 3))).toBe('go');
    expect(await kindOf(take(there, newPermit(), 1))).toBe('wait');
    expect(await store.permits(target)).toHaveLength(3);
  });

  it('that are given back free their place, and count for nothing', async () => {
    const permit = newPermit();
    await take(here, permit, 1);
    await here.givePermitBack(permit);
    await here.givePermitBack(permit);
    expect(await kindOf(take(there, newPermit(), 1))).toBe('go');
    expect((await there.fleetState()).throughput.get(target)).toBeUndefined();
  });

  it('of a call that ended free their place, and count for the throughput of the last ten seconds', async () => {
    const held = [newPermit(), newPermit(), newPermit()];
    for (const permit of held) await take(here, permit, 3);
    await Promise.all(held.map((permit) => settle(here, permit)));
    const seen = (await there.fleetState()).throughput.get(target) ?? 0;
    expect(seen).toBeGreaterThan(0);
    expect(seen).toBeLessThanOrEqual(0.3);
    expect(await store.permits(target)).toEqual([]);
    await store.ageThroughput(provider, 5);
    expect((await here.fleetState()).throughput.get(target) ?? 0).toBeLessThanOrEqual(0.3);
    await store.ageThroughput(provider, 20);
    expect((await here.fleetState()).throughput.get(target)).toBeUndefined();
  });

  it('tell who waits that a place is free: always when given back, at the end of a call when all were taken', async () => {
    const heard: string[] = [];
    const unsubscribe = here.subscribe((signal) => void heard.push(JSON.stringify(signal)));
    const freed = JSON.stringify({ type: 'permit_freed', target });
    const [first, second] = [newPermit(), newPermit()];
    await take(here, first, 1);
    await here.settlePermit({ ...callEnd, ...first, concurrency: 1 });
    expect(heard).toEqual([freed]);
    await take(here, second, 1);
    await here.givePermitBack(second);
    expect(heard).toEqual([freed, freed]);
    unsubscribe();
  });

  it('that nobody renews expire, and their places are taken', async () => {
    const lost = newPermit();
    await take(here, lost, 1);
    expect(await kindOf(take(there, newPermit(), 1))).toBe('wait');
    await store.endPermits(target, -1_000);
    const next = newPermit();
    expect(await kindOf(take(there, next, 1))).toBe('go');
    expect(await store.permits(target)).toEqual([next.token]);
    // The late end of the first call takes nothing from the second.
    await settle(here, lost);
    expect(await store.permits(target)).toEqual([next.token]);
  });

  it('are renewed while they are there, and not made again when they are lost', async () => {
    const [kept, lost] = [newPermit(), newPermit()];
    await take(here, kept, 2);
    await take(here, lost, 2);
    await store.losePermit(target, lost.token);
    const other = newPermit();
    expect(await kindOf(take(there, other, 2))).toBe('go');
    await here.renewPermits();
    expect(await store.permits(target)).toEqual([kept.token, other.token].toSorted());
    await store.endPermits(target, 200);
    await here.renewPermits();
    const next = newPermit();
    await expect.poll(() => kindOf(take(here, next, 2)), { timeout: 20_000 }).toBe('go');
    // The one that its own process renewed is there; the other's has expired.
    expect(await store.permits(target)).toEqual([kept.token, next.token].toSorted());
  });

  it('that were dropped, given back or settled are not renewed any more', async () => {
    const permits = [newPermit(), newPermit(), newPermit()];
    for (const permit of permits) await take(here, permit, 3);
    here.dropPermits();
    await here.renewPermits();
    await store.endPermits(target, -1);
    await here.renewPermits();
    expect(await kindOf(take(there, newPermit(), 1))).toBe('go');
    expect(await store.permits(target)).toHaveLength(1);
  });

  it('are not given in an epoch that the store does not hold', async () => {
    for (const epoch of ['epoch-2', 'epoch', 'epoch-1:', '', 'epoch-1 '])
      expect(await take(here, newPermit(), 9, epoch)).toEqual({ kind: 'epoch_lost' });
    const unknown = { ...newPermit(), target: `${provider}-unknown/a-model` };
    for (const epoch of ['epoch-1', '']) expect(await kindOf(take(here, unknown, 9, epoch))).toBe('epoch_lost');
    expect(await here.holdsEpoch(provider, 'epoch-1')).toBe(true);
    for (const epoch of ['epoch-2', '']) expect(await here.holdsEpoch(provider, epoch)).toBe(false);
    expect(await store.permits(target)).toEqual([]);
  });

  it('are refused to the wrong epoch, also where one tick holds the right one too', async () => {
    const asked = Array.from({ length: 8 }, (_, n) => take(here, newPermit(), 9, n % 2 ? 'epoch-1' : 'epoch-2'));
    const answers = await Promise.all(asked.map(kindOf));
    expect(answers.filter((kind, n) => n % 2 === 0 && kind !== 'epoch_lost')).toEqual([]);
    expect(answers.filter((kind) => kind === 'go').length).toBe((await store.permits(target)).length);
  });

  it('are after a restore exactly those given, and the old epoch is over', async () => {
    const other = `${provider}/another-model`;
    await take(here, newPermit(), 5);
    await take(here, newPermit(), 5);
    await take(here, { ...newPermit(), target: other }, 5);
    const back = [newPermit(), newPermit()];
    await there.restore(provider, 'epoch-2', back);
    expect(await store.permits(target)).toEqual(back.map(({ token }) => token).toSorted());
    expect(await kindOf(take(here, newPermit(), 5, 'epoch-1'))).toBe('epoch_lost');
    expect(await kindOf(take(here, newPermit(), 2, 'epoch-2'))).toBe('wait');
    expect(await kindOf(take(here, newPermit(), 3, 'epoch-2'))).toBe('go');
    // Of a target that nothing is under way for, none is left either.
    expect(await store.permits(other)).toEqual([]);
  });

  it('that are restored count for a whole lease, whatever the store still held of them', async () => {
    const permit = newPermit();
    await take(here, permit, 1);
    await store.endPermits(target, -1_000);
    await there.restore(provider, 'epoch-2', [permit]);
    expect(await kindOf(take(there, newPermit(), 1, 'epoch-2'))).toBe('wait');
    // Its own process renews it as before.
    await here.renewPermits();
    expect(await store.permits(target)).toEqual([permit.token]);
  });

  it('of a provider do not go with the restore of another', async () => {
    const other = store.newProvider();
    await here.restore(other, 'epoch-o', [{ token: `${other}-1`, target: `${other}/m`, place: soleAccount }]);
    await take(here, newPermit(), 1);
    await here.restore(provider, 'epoch-2', []);
    expect(await store.permits(`${other}/m`)).toEqual([`${other}-1`]);
    expect(await here.holdsEpoch(other, 'epoch-o')).toBe(true);
  });

  it('are not given after the store was wiped, by any process', async () => {
    await take(here, newPermit(), 5);
    await store.wipe();
    expect(await here.holdsEpoch(provider, 'epoch-1')).toBe(false);
    for (const process of [here, there]) expect(await kindOf(take(process, newPermit(), 5))).toBe('epoch_lost');
    await here.renewPermits();
    expect(await store.permits(target)).toEqual([]);
  });

  it('keep to the limit and lose no place, whatever is taken, given back and settled at once', async () => {
    const step = fc.record({ kind: fc.constantFrom('take', 'take', 'give back', 'settle'), holder: fc.nat(2) });
    const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), rounds, async (limit, batches) => {
        target = `${provider}/model-${tokens++}`;
        const held: HeldPermit[][] = [[], [], []];
        const processes = [here, there, here];
        for (const batch of batches) {
          const before = held.flat().length;
          const answers = batch.map(async ({ kind, holder }) => {
            const process = processes[holder] as Coordination;
            const mine = held[holder] as HeldPermit[];
            if (kind === 'take') {
              const permit = newPermit();
              return (await take(process, permit, limit)).kind === 'go' ? { holder, permit } : 'wait';
            }
            const permit = mine.shift();
            if (permit) await (kind === 'settle' ? settle(process, permit) : process.givePermitBack(permit));
            return 'freed';
          });
          const results = await Promise.all(answers);
          for (const result of results) if (typeof result === 'object') held[result.holder]?.push(result.permit);
          const inStore = await store.permits(target);
          expect(inStore).toEqual(
            held
              .flat()
              .map(({ token }) => token)
              .toSorted(),
          );
          expect(inStore.length).toBeLessThanOrEqual(limit);
          // Who waits does so because the places were taken.
          if (results.includes('wait')) expect(before + results.length).toBeGreaterThan(limit);
        }
        for (const permit of held.flat()) await here.givePermitBack(permit);
        const all = await Promise.all(Array.from({ length: limit + 1 }, () => kindOf(take(here, newPermit(), limit))));
        expect(all.filter((kind) => kind === 'go')).toHaveLength(limit);
      }),
      { numRuns: 15 },
    );
  });
});

describe('a Redis that starts again', () => {
  it('is not believed, although its file has kept the epoch', async () => {
    const server = await startRedisServer({ controllable: true, appendfsync: 'always' });
    const store = await coordinationOverRedis(server);
    try {
      const provider = store.newProvider();
      const target = `${provider}/a-model`;
      const coordination = await store.open();
      await coordination.restore(provider, 'epoch-1', [{ token: 'kept', target, place: soleAccount }]);
      await server.control.kill();
      await server.control.start();
      await expect.poll(() => store.permits(target).catch(String), { timeout: 20_000 }).toEqual(['kept']);
      await expect
        .poll(() => coordination.holdsEpoch(provider, 'epoch-1').catch(String), { timeout: 20_000 })
        .toBe(false);
      const request = { token: 'new', target, places: placesFor(9), epoch: 'epoch-1' };
      expect(await coordination.takePermit(request)).toEqual({ kind: 'epoch_lost' });
      await coordination.restore(provider, 'epoch-2', []);
      expect(await coordination.holdsEpoch(provider, 'epoch-2')).toBe(true);
      expect(await coordination.takePermit({ ...request, epoch: 'epoch-2' })).toMatchObject(goAt(soleAccount));
    } finally {
      await store.stop();
    }
  });
});
