/** Breakers that all processes share: what is counted, who changes the state, who may probe. The same on every store. */
import type {
  BreakerReading,
  Coordination,
  PermitAnswer,
  PermitEnd,
} from '@waybill/shared/coordination/coordination.ts';
import { type BreakerState, closeByHand } from '@waybill/shared/routing/breaker.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CoordinationUnderTest, callEnd, coordinationsUnderTest } from '../support/coordination-under-test.ts';
import { shortLimit, sizeOf } from '../support/rated-calls.ts';

const minute = 60_000;
const places = [{ id: 'default', concurrency: 100 }];
const closed: BreakerState = { kind: 'closed' };

describe.each(coordinationsUnderTest)('breakers on $name', ({ start }) => {
  let store: CoordinationUnderTest;
  /** Four processes, two of them named. */
  let fleet: Coordination[];
  let here: Coordination;
  let there: Coordination;
  let provider: string;
  let target: string;
  let tokens = 0;

  beforeAll(async () => {
    store = await start();
    fleet = await Promise.all(Array.from({ length: 4 }, () => store.open()));
    [here, there] = fleet as [Coordination, Coordination];
  }, 120_000);
  afterAll(() => store.stop());
  beforeEach(async () => {
    provider = store.newProvider();
    target = `${provider}/vendor/a-model`;
    await here.restore(provider, 'epoch-1', []);
  });

  const newToken = () => `token-${tokens++}`;
  const ask = (from = here, token = newToken(), of = target) =>
    from.takePermit({ token, target: of, places, epoch: 'epoch-1' });
  const end = (change: Partial<PermitEnd> = {}, from = here) =>
    from.settlePermit({ ...callEnd, token: newToken(), target, place: 'default', ...change });
  const succeed = (heldMs = 100) => end({ outcome: 'success', heldMs });
  const fail = () => end({ outcome: 'failure' });
  const read = (from = there, of = target): Promise<BreakerReading> => from.readBreaker(of, minute);
  const counted = async () => {
    const { consecutive, ok, failed, latencyMs } = (await read()).counts;
    return { consecutive, ok, failed, latencyMs };
  };
  const openUntil = (untilMs: number | null): BreakerState => ({
    ...{ kind: 'open', untilMs, cooldownMs: minute, why: 'failure_rate', sinceMs: 1_795_293_027_515 },
  });
  const halfOpen = (successes: number): BreakerState => ({
    ...{ kind: 'half_open', successes, cooldownMs: minute, why: 'failure_rate', sinceMs: 1_795_293_027_515 },
  });
  const due = () => openUntil(Date.now() - 1);
  const set = async (next: BreakerState, of = target) =>
    expect(await here.swapBreaker(await read(here, of), next, null)).toBe(true);
  /** The one probe; its token. */
  const probe = async (from = here): Promise<string> => {
    const token = newToken();
    expect(await ask(from, token)).toMatchObject({ kind: 'go', isProbe: true });
    return token;
  };
  const busy: PermitAnswer = { kind: 'breaker', retryAfterMs: null };

  describe('count', () => {
    it('answers and failures, failures in a row, and the time that answers took', async () => {
      expect(await counted()).toEqual({ consecutive: 0, ok: 0, failed: 0, latencyMs: 0 });
      await fail();
      await fail();
      expect(await counted()).toEqual({ consecutive: 2, ok: 0, failed: 2, latencyMs: 0 });
      await succeed(120.4);
      await end({ outcome: 'success', heldMs: 1_000 }, there);
      await fail();
      expect(await counted()).toEqual({ consecutive: 1, ok: 2, failed: 3, latencyMs: 1_120 });
    });

    it('calls of one tick in the order they ended', async () => {
      await Promise.all([fail(), fail(), succeed(10), fail(), fail(), fail()]);
      expect(await counted()).toEqual({ consecutive: 3, ok: 1, failed: 5, latencyMs: 10 });
      await Promise.all([fail(), fail()]);
      expect((await counted()).consecutive).toBe(5);
      await Promise.all([fail(), succeed(10)]);
      expect((await counted()).consecutive).toBe(0);
    });

    it('nothing for a call that says nothing of the target', async () => {
      await fail();
      await end({ outcome: 'neither' });
      expect(await counted()).toEqual({ consecutive: 1, ok: 0, failed: 1, latencyMs: 0 });
    });

    it('neither probes nor calls that end while it is not closed', async () => {
      await fail();
      for (const state of [openUntil(null), due(), halfOpen(1)]) {
        await set(state);
        await succeed();
        await fail();
        await end({ outcome: 'failure', isProbe: true });
      }
      expect(await counted()).toEqual({ consecutive: 1, ok: 0, failed: 1, latencyMs: 0 });
      expect((await read()).counts.usual).toMatchObject({ ok: 0 });
    });

    it('all processes together, and each target by itself', async () => {
      await Promise.all(
        Array.from({ length: 40 }, (_, n) => end({ outcome: n % 4 ? 'success' : 'failure' }, fleet[n % 4])),
      );
      expect(await counted()).toMatchObject({ ok: 30, failed: 10, latencyMs: 3_000 });
      expect((await read(here, `${provider}/vendor/a`)).counts).toMatchObject({ ok: 0, failed: 0 });
    });

    it('what is usual, which all can read', async () => {
      for (let n = 0; n < 3; n++) await succeed(400);
      await succeed(800);
      await fail();
      const { usual } = (await read()).counts;
      expect(usual.ok).toBeCloseTo(4, 1);
      expect(usual.failed).toBeCloseTo(1, 1);
      expect(usual.latencyMs / usual.ok).toBeCloseTo(500, 0);
      const told = (await there.fleetState()).usual.get(target);
      expect(told?.latencyMs).toBeCloseTo(500, 0);
      expect(told?.reliability).toBeCloseTo(0.8, 2);
    });

    it('from the beginning after it has closed; what is usual stays', async () => {
      for (let n = 0; n < 4; n++) await succeed();
      await fail();
      await set(openUntil(null));
      await set(closed);
      expect(await counted()).toEqual({ consecutive: 0, ok: 0, failed: 0, latencyMs: 0 });
      expect((await read()).counts.usual.ok).toBeCloseTo(4, 1);
      await fail();
      expect(await counted()).toEqual({ consecutive: 1, ok: 0, failed: 1, latencyMs: 0 });
    });
  });

  describe('are told to who ended a call', () => {
    it('where it may have to open, be it only by latency', async () => {
      expect(await succeed()).toBeNull();
      expect(await end({ outcome: 'neither' })).toBeNull();
      expect(await fail()).toMatchObject({ target, version: 0, state: closed, counts: { consecutive: 1, ok: 1 } });
      expect(await end({ isLatencyWatched: true, heldMs: 50 })).toMatchObject({ counts: { ok: 2, latencyMs: 150 } });
    });

    it('where a probe ended, whatever its outcome', async () => {
      await set(due());
      const token = await probe();
      const reading = await end({ token, isProbe: true, outcome: 'neither' });
      expect(reading).toMatchObject({ state: halfOpen(0), version: 2 });
    });
  });

  describe('change', () => {
    it.each<[string, BreakerState]>([
      ['open, until somebody closes it', openUntil(null)],
      ['open for a while', openUntil(1_795_293_027_515)],
      ['half open', halfOpen(1)],
      ['closed', closed],
    ])('to what was decided: %s', async (_, next) => {
      await set(openUntil(1));
      await set(next);
      expect(await read()).toMatchObject({ state: next, version: 2 });
      expect((await there.fleetState()).breakers.get(target)).toEqual(next.kind === 'closed' ? undefined : next);
    });

    it('for one of all who decide at once', async () => {
      const seen = await read();
      const nexts = Array.from({ length: 12 }, (_, n) => openUntil(n + 1));
      const won = await Promise.all(
        nexts.map((next, n) => (fleet[n % 4] as Coordination).swapBreaker(seen, next, null)),
      );
      expect(won.filter((each) => each)).toHaveLength(1);
      expect(await read()).toMatchObject({ state: nexts[won.indexOf(true)], version: seen.version + 1 });
      expect(await here.swapBreaker(seen, closed, null)).toBe(false);
    });

    it('to nothing by a reset, which forgets what is usual too; who had seen it before changes nothing', async () => {
      for (let n = 0; n < 3; n++) await fail();
      await succeed();
      await set(openUntil(null));
      const seen = await read();
      await there.resetBreaker(target);
      const now = await read();
      expect(now).toMatchObject({ state: closed, counts: { consecutive: 0, ok: 0, failed: 0 } });
      expect(now.counts.usual).toEqual({ ok: 0, failed: 0, latencyMs: 0 });
      expect((await here.fleetState()).usual.get(target)).toBeUndefined();
      expect(await here.swapBreaker(seen, openUntil(null), null)).toBe(false);
      expect(await ask()).toMatchObject({ kind: 'go', isProbe: false });
    });

    it('while calls end, are taken and given back, without waiting for each other for ever', async () => {
      const rounds = Array.from({ length: 30 }, (_, n) => n);
      const running = fleet.map(async (each, who) => {
        for (const n of rounds) {
          const token = newToken();
          const answer = await ask(each, token);
          await each.swapBreaker(await read(each), (n + who) % 2 ? due() : closed, null);
          if ((n + who) % 5 === 0) await each.resetBreaker(target);
          const permit = { token, target, place: 'default' };
          if (answer.kind !== 'go') continue;
          if (n % 3 === 0) await each.givePermitBack({ ...permit, isProbe: answer.isProbe });
          else await end({ token, outcome: n % 2 ? 'failure' : 'success', isProbe: answer.isProbe }, each);
        }
      });
      await Promise.all(running);
      await here.resetBreaker(target);
      expect(await counted()).toEqual({ consecutive: 0, ok: 0, failed: 0, latencyMs: 0 });
      expect(await store.permits(target)).toEqual([]);
    });
  });

  describe('that are open', () => {
    it('let nothing through, and say when they may', async () => {
      await set(openUntil(Date.now() + minute));
      for (const each of fleet) {
        const answer = await ask(each);
        const { retryAfterMs } = answer as { retryAfterMs: number };
        expect(answer.kind).toBe('breaker');
        expect(retryAfterMs).toBeGreaterThan(minute / 2);
        expect(retryAfterMs).toBeLessThanOrEqual(minute);
      }
      expect(await store.permits(target)).toEqual([]);
      expect(await ask(here, newToken(), `${provider}/vendor/another`)).toMatchObject({ kind: 'go' });
    });

    it('reserve nothing', async () => {
      await set(openUntil(null));
      const limits = [shortLimit('requests', 1, 1_000)];
      const rates = { jobId: 'j', size: sizeOf(1), limits };
      const request = { token: newToken(), target, places, epoch: 'epoch-1', rates };
      expect(await here.takePermit(request)).toEqual(busy);
      await set(closed);
      expect(await here.takePermit(request)).toMatchObject({ kind: 'go' });
    });

    it('by hand for a provider let nothing through to any of its targets, whatever their own say', async () => {
      const [all, other] = [`${provider}/*`, `${provider}/other`];
      await set(openUntil(Date.now() + minute), other);
      await set(openUntil(null), all);
      expect(await ask()).toEqual(busy);
      expect(await ask(there, newToken(), other)).toEqual(busy);
      expect((await there.fleetState()).breakers.get(all)).toEqual(openUntil(null));
      await set(openUntil(Date.now() + 2 * minute), all);
      const { retryAfterMs } = (await ask(here, newToken(), other)) as { retryAfterMs: number };
      expect(retryAfterMs, 'the later of both').toBeGreaterThan(minute);
      await set(openUntil(Date.now() - 1), all);
      expect(await ask(), 'its time is over').toMatchObject({ kind: 'go', isProbe: false });
      await set(closeByHand(), all);
      expect(await ask()).toMatchObject({ kind: 'go', isProbe: false });
    });
  });

  describe('whose time has come', () => {
    it('let one call through, of all that ask at once in all processes', async () => {
      await set(due());
      const asked = await Promise.all(Array.from({ length: 40 }, (_, n) => ask(fleet[n % 4])));
      expect(asked.filter(({ kind }) => kind === 'go')).toHaveLength(1);
      expect(asked.find(({ kind }) => kind === 'go')).toMatchObject({ isProbe: true });
      expect(asked.filter(({ kind }) => kind === 'breaker')).toHaveLength(39);
      expect(await read()).toMatchObject({ state: halfOpen(0), version: 2 });
      expect(await ask(there)).toEqual(busy);
    });

    it('let one through when they become due while they are asked', async () => {
      await set(openUntil(Date.now() + 150));
      await expect
        .poll(() => ask(there), { timeout: 10_000, interval: 5 })
        .toMatchObject({ kind: 'go', isProbe: true });
      expect(await ask()).toEqual(busy);
    });

    it('have no probe where no place is free, and keep its turn', async () => {
      await set(due());
      const full = { token: newToken(), target, places: [], epoch: 'epoch-1' };
      expect(await here.takePermit(full)).toMatchObject({ kind: 'wait', reason: 'concurrency' });
      expect(await read()).toMatchObject({ state: { kind: 'open' }, version: 1 });
      await probe(there);
    });

    it('let the next one through when the first has led to a state, and not before', async () => {
      await set(due());
      const token = await probe();
      const reading = (await end({ token, isProbe: true, outcome: 'success' })) as BreakerReading;
      expect(await ask(there), 'it has ended, what follows is not decided').toEqual(busy);
      expect(await here.swapBreaker(reading, halfOpen(1), 'another token'), 'it has no turn').toBe(false);
      expect(await ask(there)).toEqual(busy);
      expect(await here.swapBreaker(await read(), halfOpen(1), token)).toBe(true);
      await probe(there);
      expect((await read()).state, 'a probe changes nothing of a state that is half open').toEqual(halfOpen(1));
    });

    it('let the next one through when the first is given back, and only if it was the probe', async () => {
      await set(due());
      const token = await probe();
      await here.givePermitBack({ token: 'another', target, place: 'default', isProbe: true });
      expect(await ask(there)).toEqual(busy);
      await here.givePermitBack({ token, target, place: 'default', isProbe: true });
      await probe(there);
    });

    it('let the next one through when nobody renews the first, and not while somebody does', async () => {
      await set(due());
      await probe();
      await store.endProbe(target, 100);
      const overMs = performance.now() + 100;
      await here.renewPermits();
      await expect.poll(() => performance.now()).toBeGreaterThan(overMs);
      expect(await ask(there)).toEqual(busy);
      await store.endProbe(target, -1);
      await probe(there);
      await store.endProbe(target, -1);
      // The first has no turn any more, whoever renews it.
      await here.renewPermits();
      await probe(there);
    });

    it('let calls through like any when they have closed', async () => {
      await set(due());
      const token = await probe();
      expect(await here.swapBreaker(await read(), closed, token)).toBe(true);
      for (const each of fleet) expect(await ask(each)).toMatchObject({ kind: 'go', isProbe: false });
      await set(due());
      await probe();
    });
  });
});
