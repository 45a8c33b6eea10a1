/** What a call reserves of its account's rates, gives back, and waits for. The same on every store. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordination, PermitAnswer, SpentRate } from '@waybill/shared/coordination/coordination.ts';
import { type CallSize, type RateLimit, rateLimits } from '@waybill/shared/routing/limits.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CoordinationUnderTest, callEnd, coordinationsUnderTest } from '../support/coordination-under-test.ts';
import { type Asking, ask, type RatedCall, settleRated, shortLimit, sizeOf } from '../support/rated-calls.ts';

/** So long that nothing leaves a window while a test runs. */
const longSlotMs = 10_000;
/** Long as well, but no longer than a call waits that room is kept for. */
const keptSlotMs = 900;
const requests = (limit: number) => shortLimit('requests', limit, longSlotMs);
const tokens = (limit: number) => shortLimit('tokens', limit, longSlotMs);
const noLimits = { requestsPerMinute: null, tokensPerMinute: null, inputTokensPerMinute: null };
const daily = rateLimits({ ...noLimits, outputTokensPerMinute: null, requestsPerDay: null, tokensPerDay: 100 });

describe.each(coordinationsUnderTest)('a rate on $name', ({ start }) => {
  let store: CoordinationUnderTest;
  /** Two processes. */
  let here: Coordination;
  let there: Coordination;
  let provider: string;
  let target: string;

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

  const askFor = (limits: readonly RateLimit[], size: CallSize, more: Partial<Asking> = {}, from = here) =>
    ask(from, { target, limits, size, ...more });
  const take = async (limits: readonly RateLimit[], size: CallSize, more: Partial<Asking> = {}): Promise<RatedCall> => {
    const { call, answer } = await askFor(limits, size, more);
    if (!call) throw new Error(`it waits: ${JSON.stringify(answer)}`);
    return call;
  };
  const wait = async (limits: readonly RateLimit[], size: CallSize, more: Partial<Asking> = {}, from = here) => {
    const { answer } = await askFor(limits, size, more, from);
    if (answer.kind !== 'wait') throw new Error(`it does not wait: ${JSON.stringify(answer)}`);
    expect(answer.reason).toBe('rate_limit');
    return { retryAfterMs: answer.retryAfterMs ?? -1, forAllMs: answer.forAllMs ?? -1 };
  };
  /** How many tokens are left, of a limit in tokens: what fits, and one more that does not. The jobs' own room is theirs. */
  const expectRoom = async (limits: readonly RateLimit[], left: number, more: Partial<Asking> = {}) => {
    await wait(limits, sizeOf(left + 1), { ...more, jobId: 'room' }, there);
    if (left > 0) await there.givePermitBack(await take(limits, sizeOf(left), { ...more, jobId: 'room' }));
  };

  it.each<[string, CallSize[], CallSize, CallSize]>([
    ['requests', [sizeOf(1), sizeOf(1)], sizeOf(1), sizeOf(0)],
    ['input', [sizeOf(40, 1)], sizeOf(21, 0), sizeOf(20, 1)],
    ['output', [sizeOf(1, 20)], sizeOf(0, 11), sizeOf(20, 10)],
    ['both', [sizeOf(40, 20)], sizeOf(11, 10), sizeOf(10, 10)],
  ])('counts %s apart', async (what, before, tooMuch, fits) => {
    const limits = {
      requests: [requests(3), tokens(1_000)],
      input: [shortLimit('input', 60, longSlotMs), tokens(1_000)],
      output: [requests(100), shortLimit('output', 30, longSlotMs)],
      both: [tokens(80), requests(100)],
    }[what] as RateLimit[];
    for (const size of before) await take(limits, size, { jobId: 'first' });
    if (what === 'requests') await take(limits, fits);
    await wait(limits, tooMuch, { jobId: 'first' });
    if (what !== 'requests') await take(limits, fits, { jobId: 'first' });
  });

  it('is given room by a call that used less, and loses it to one that used more', async () => {
    const limits = [tokens(100), requests(50)];
    const [less, more] = [await take(limits, sizeOf(20, 20)), await take(limits, sizeOf(10, 10))];
    await expectRoom(limits, 40);
    await settleRated(here, less, sizeOf(20, 5));
    await expectRoom(limits, 55);
    await settleRated(there, more, sizeOf(10, 30));
    await expectRoom(limits, 35);
  });

  it('is corrected for many calls of several accounts that end together', async () => {
    const limits = [tokens(1_000)];
    const places = ['a', 'b'];
    const calls = await Promise.all(Array.from({ length: 20 }, () => take(limits, sizeOf(50), { places })));
    await Promise.all(calls.map((call, n) => settleRated(n % 3 ? here : there, call, sizeOf(20))));
    for (const place of places) {
      const used = 20 * calls.filter((call) => call.place === place).length;
      await expectRoom(limits, 1_000 - used, { places: [place] });
    }
  });

  it('has all of it back, once, when no request was sent', async () => {
    const limits = [tokens(100), requests(1)];
    const call = await take(limits, sizeOf(60, 20));
    await here.givePermitBack(call);
    await here.givePermitBack(call);
    await settleRated(here, await take(limits, sizeOf(100)), sizeOf(0), false);
    await settleRated(here, await take(limits, sizeOf(100)), sizeOf(0), true);
    await wait(limits, sizeOf(1));
    await expectRoom([tokens(100)], 100);
  });

  it('gets nothing back for a permit that is gone, and still counts what was used more', async () => {
    const limits = [tokens(100)];
    const [less, more, unused] = [
      await take(limits, sizeOf(20)),
      await take(limits, sizeOf(20)),
      await take(limits, sizeOf(20)),
    ];
    for (const call of [less, more, unused]) await store.losePermit(target, call.token);
    await settleRated(here, less, sizeOf(1));
    await here.givePermitBack(unused);
    await expectRoom(limits, 40);
    await settleRated(here, more, sizeOf(30));
    await expectRoom(limits, 30);
  });

  it('is corrected once by an end that is told twice', async () => {
    const limits = [tokens(100)];
    const call = await take(limits, sizeOf(80));
    for (const from of [here, there]) await settleRated(from, call, sizeOf(60));
    await expectRoom(limits, 40);
  });

  it('is not freed by the expiry of a permit', async () => {
    const limits = [tokens(100)];
    await take(limits, sizeOf(80), { concurrency: 1 });
    await store.endPermits(target, -1_000);
    await take(limits, sizeOf(5), { concurrency: 1 });
    await store.endPermits(target, -1_000);
    await expectRoom(limits, 15);
  });

  it('belongs to an account: its addresses share it, another account and another model have their own', async () => {
    const limits = [tokens(100)];
    await take(limits, sizeOf(70), { places: ['main'] });
    await wait(limits, sizeOf(31), { places: ['main@2'] });
    await take(limits, sizeOf(90), { places: ['backup'] });
    await take(limits, sizeOf(100), { target: `${provider}/another-model`, places: ['main'] });
    const { call } = await askFor(limits, sizeOf(30), { places: ['main@2', 'backup'] }, there);
    expect(call?.place).toBe('main@2');
  });

  it('of the account with room is taken, although another has more places free', async () => {
    const limits = [tokens(100)];
    for (let n = 0; n < 3; n++) await take(limits, sizeOf(10), { places: ['backup'] });
    await take(limits, sizeOf(95), { places: ['main'] });
    const { call } = await askFor(limits, sizeOf(50), { places: ['main', 'backup'] });
    expect(call?.place).toBe('backup');
  });

  it('that is used up waits for the account that has room first', async () => {
    const limits = [shortLimit('tokens', 100, 500)];
    await take(limits, sizeOf(100), { places: ['first'] });
    const soon = await wait(limits, sizeOf(1), { places: ['first'] });
    await sleep(Math.min(600, soon.retryAfterMs % 500) + 1);
    await take(limits, sizeOf(100), { places: ['second'] });
    const { retryAfterMs: first } = await wait(limits, sizeOf(1), { places: ['first'] });
    const { retryAfterMs: both } = await wait(limits, sizeOf(1), { places: ['second', 'first'] });
    expect(both).toBeLessThanOrEqual(first);
  });

  it('is kept for a large call, which small ones that would fit do not pass', async () => {
    const limits = [shortLimit('tokens', 100, keptSlotMs), shortLimit('requests', 1_000, keptSlotMs)];
    const early = await take(limits, sizeOf(60), { jobId: 'early' });
    await wait(limits, sizeOf(80), { jobId: 'large' });
    // 60 and 10 would fit; 60, 10 and the 80 that wait would not.
    await wait(limits, sizeOf(10), { jobId: 'small' }, there);
    await settleRated(here, early, sizeOf(15));
    await wait(limits, sizeOf(10), { jobId: 'small' }, there);
    await take(limits, sizeOf(5), { jobId: 'tiny' });
    await take(limits, sizeOf(80), { jobId: 'large' });
    await expectRoom(limits, 0);
  });

  it('lets a large call through among many small ones that never stop', async () => {
    const limits = [shortLimit('tokens', 100, 4)];
    let isThrough = false;
    const small = async (from: Coordination) => {
      while (!isThrough) {
        const { answer } = await askFor(limits, sizeOf(10), {}, from);
        if (answer.kind === 'wait') await sleep(1);
      }
    };
    const large = async () => {
      for (let asked = 0; asked < 200 && !isThrough; asked++) {
        const { call, answer } = await askFor(limits, sizeOf(95), { jobId: 'large' });
        isThrough = call !== null;
        if (answer.kind === 'wait') await sleep(answer.retryAfterMs ?? 1);
      }
      const went = isThrough;
      isThrough = true;
      return went;
    };
    const [went] = await Promise.all([large(), small(here), small(there)]);
    expect(went).toBe(true);
  });

  it.each([false, true])(
    'lets who waited as long as it was told go, when nobody else asks (paced: %s)',
    async (isPaced) => {
      const limits = [shortLimit('tokens', 1_000, 5, isPaced), shortLimit('requests', 3, 5)];
      for (let n = 0; n < 6; n++) {
        const own = { jobId: `job-${n}` };
        const { call, answer } = await askFor(limits, sizeOf(400 + n), own);
        if (call) continue;
        const { retryAfterMs } = answer as Extract<PermitAnswer, { kind: 'wait' }>;
        expect(retryAfterMs).toBeGreaterThan(0);
        await sleep((retryAfterMs ?? 0) + 1);
        await take(limits, sizeOf(400 + n), own);
      }
    },
  );

  it('says how long even the smallest call would wait', async () => {
    const limits = [tokens(100)];
    await take(limits, sizeOf(60));
    expect((await wait(limits, sizeOf(80), { jobId: 'a' })).forAllMs).toBe(0);
    await take(limits, sizeOf(40), { jobId: 'a' });
    const { forAllMs, retryAfterMs } = await wait(limits, sizeOf(1), { jobId: 'a' });
    expect(forAllMs).toBeGreaterThan(60 * longSlotMs);
    expect(forAllMs).toBe(retryAfterMs);
  });

  it('of a day is not paced, and keeps no room for hours', async () => {
    await take(daily, sizeOf(60));
    const { retryAfterMs } = await wait(daily, sizeOf(80));
    expect(retryAfterMs).toBeGreaterThan(23 * 3_600_000);
    await take(daily, sizeOf(40));
    await wait(daily, sizeOf(1));
  });

  describe('that was restored', () => {
    const spentOf = (limit: RateLimit, slots: [ago: number, amount: number][], account = 'default'): SpentRate => {
      const current = Math.floor(Date.now() / limit.slotMs);
      return { target, account, limit, slots: new Map(slots.map(([ago, amount]) => [current - ago, amount])) };
    };

    it('goes on as it was', async () => {
      const limit = tokens(100);
      const spent = [
        spentOf(limit, [
          [63, 5],
          [61, 30],
          [10, 20],
          [0, 10],
        ]),
        spentOf(requests(9), [[0, 3]]),
        spentOf(limit, [[5, 99]], 'backup'),
      ];
      await there.restore(provider, 'epoch-2', [], spent);
      const more = { epoch: 'epoch-2' };
      await expectRoom([limit], 40, more);
      const { retryAfterMs } = await wait([limit], sizeOf(60), { ...more, jobId: 'room' });
      expect(retryAfterMs).toBeGreaterThan(0);
      expect(retryAfterMs, 'until the first thirty leave').toBeLessThanOrEqual(2 * longSlotMs);
      await expectRoom([limit], 1, { ...more, places: ['backup'] });
      for (let n = 0; n < 6; n++) await take([requests(9)], sizeOf(1), more);
      await wait([requests(9)], sizeOf(1), more);
    });

    it('begins with an empty bucket', async () => {
      const limit = shortLimit('tokens', 100, longSlotMs, true);
      await there.restore(provider, 'epoch-2', [], [spentOf(limit, [])]);
      await take([limit], sizeOf(30), { epoch: 'epoch-2' }).catch(async () => {
        await sleep(2);
        return take([limit], sizeOf(30), { epoch: 'epoch-2' });
      });
      const { retryAfterMs } = await wait([limit], sizeOf(1), { epoch: 'epoch-2' });
      expect(retryAfterMs).toBeGreaterThan((0.29 * limit.periodMs) | 0);
    });

    it('counts what a faster clock had put into a slot that has not begun', async () => {
      const limit = tokens(100);
      const slots: [number, number][] = [
        [-2, 40],
        [-1, 10],
        [0, 5],
      ];
      await there.restore(provider, 'epoch-2', [], [spentOf(limit, slots)]);
      await expectRoom([limit], 45, { epoch: 'epoch-2' });
    });

    it('is not given what a call had reserved before, of which it knows nothing', async () => {
      const limits = [tokens(100)];
      const [old, claimed] = [await take(limits, sizeOf(50)), await take(limits, sizeOf(20))];
      await store.wipe();
      await there.restore(provider, 'epoch-2', [claimed], [spentOf(tokens(100), [[0, 20]])]);
      await here.givePermitBack(old);
      await expectRoom(limits, 80, { epoch: 'epoch-2' });
      await settleRated(here, claimed, sizeOf(5));
      await expectRoom(limits, 95, { epoch: 'epoch-2' });
    });

    it('without what was used is as new', async () => {
      const limits = [tokens(100)];
      await take(limits, sizeOf(90));
      await wait(limits, sizeOf(80), { jobId: 'large' });
      await there.restore(provider, 'epoch-2', []);
      await expectRoom(limits, 100, { epoch: 'epoch-2' });
    });
  });

  it('of an epoch that is lost lets nothing through, and reserves nothing', async () => {
    const limits = [tokens(100)];
    for (let n = 0; n < 3; n++)
      expect((await askFor(limits, sizeOf(50), { epoch: 'epoch-0' })).answer).toEqual({ kind: 'epoch_lost' });
    await expectRoom(limits, 100);
  });

  it('is whole again after an idle time longer than its window, and longer than the store keeps it', async () => {
    const limits = [shortLimit('tokens', 100, 1)];
    for (const idleMs of [70, 140, 0]) {
      await take(limits, sizeOf(100), { jobId: 'a' });
      await sleep(idleMs);
    }
  }, 20_000);

  it('follows a limit that is changed, both ways', async () => {
    await take([tokens(100)], sizeOf(80));
    await expectRoom([tokens(200)], 120);
    await wait([tokens(50)], sizeOf(1));
    await expectRoom([tokens(100), requests(5)], 20);
  });

  it('is not asked for where there are no limits', async () => {
    const call = await take([], sizeOf(1_000_000));
    await settleRated(here, call, sizeOf(1));
    await here.givePermitBack(await take([], sizeOf(1)));
    await here.settlePermit({ ...callEnd, ...(await take([], sizeOf(1))) });
    expect(await store.permits(target)).toEqual([]);
  });

  it('counts large numbers exactly, and a part of a token as a whole one', async () => {
    const limits = [tokens(4_000_000_000_000)];
    const call = await take(limits, sizeOf(1_800_000_000_000.5, 1_200_000_000_000));
    await expectRoom(limits, 999_999_999_999);
    await settleRated(there, call, sizeOf(1_800_000_000_000.2, 1_000_000_000_000));
    await expectRoom(limits, 1_199_999_999_999);
    await here.givePermitBack(await take(limits, sizeOf(0.4, 0.4)));
    await expectRoom(limits, 1_199_999_999_999);
  });

  it('is reserved by calls of one tick one after the other', async () => {
    const limits = [tokens(100), requests(8)];
    const asked = await Promise.all(Array.from({ length: 12 }, () => askFor(limits, sizeOf(10), { jobId: 'a' })));
    expect(asked.map(({ call }) => call !== null)).toEqual(Array.from({ length: 12 }, (_, n) => n < 8));
    const many = await Promise.all(
      Array.from({ length: 30 }, (_, n) => askFor(limits, sizeOf(1), {}, n % 2 ? here : there)),
    );
    expect(many.filter(({ call }) => call !== null)).toEqual([]);
  });
});
