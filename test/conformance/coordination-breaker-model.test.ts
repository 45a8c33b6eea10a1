/** The breaker as its model has it, whatever happens on two processes; and the budget of retries. The same on every store. */
import type { BreakerReading, Coordination, HeldPermit } from '@waybill/shared/coordination/coordination.ts';
import {
  admit,
  afterCounts,
  afterProbe,
  type BreakerCounts,
  type BreakerPolicy,
  type BreakerState,
  closeByHand,
  defaultBreaker,
  type Outcome,
  openByHand,
  startProbe,
} from '@waybill/shared/routing/breaker.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CoordinationUnderTest, callEnd, coordinationsUnderTest } from '../support/coordination-under-test.ts';

const places = [{ id: 'default', concurrency: 1_000 }];
const policy: BreakerPolicy = { ...defaultBreaker, consecutiveFailures: 3, minimumCalls: 5, cooldownMs: 3_600_000 };

interface Event {
  readonly kind: 'take' | 'end' | 'give back' | 'die' | 'cooled down' | 'open' | 'close' | 'reset';
  readonly process: 0 | 1;
  readonly outcome: Outcome;
  readonly random: number;
  /** Of the calls under way. */
  readonly pick: number;
}
const event: fc.Arbitrary<Event> = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant('take' as const) },
    { weight: 7, arbitrary: fc.constant('end' as const) },
    { weight: 3, arbitrary: fc.constantFrom('cooled down' as const, 'give back' as const) },
    { weight: 1, arbitrary: fc.constantFrom('die' as const, 'open' as const, 'close' as const, 'reset' as const) },
  ),
  process: fc.constantFrom(0 as const, 1 as const),
  outcome: fc.constantFrom('failure' as const, 'failure' as const, 'success' as const, 'neither' as const),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  pick: fc.nat(20),
});

interface Call extends HeldPermit {
  readonly isProbe: boolean;
}

/** What the store should hold. */
interface Model {
  state: BreakerState;
  counts: Omit<BreakerCounts, 'usual' | 'latencyMs'>;
  /** The token of the call whose turn it is. */
  probe: string | null;
}

const newCounts = { consecutive: 0, ok: 0, failed: 0 };

function change(model: Model, next: BreakerState, endedProbe: string | null): void {
  if (next.kind === 'closed' && model.state.kind !== 'closed') model.counts = newCounts;
  if (next.kind === 'closed' || model.probe === endedProbe) model.probe = null;
  model.state = next;
}

function count(model: Model, outcome: Outcome): void {
  const { consecutive, ok, failed } = model.counts;
  if (outcome === 'success') model.counts = { consecutive: 0, ok: ok + 1, failed };
  if (outcome === 'failure') model.counts = { consecutive: consecutive + 1, ok, failed: failed + 1 };
}

describe.each(coordinationsUnderTest)('a breaker on $name', ({ start }) => {
  let store: CoordinationUnderTest;
  let fleet: [Coordination, Coordination];
  let provider: string;
  let tokens = 0;

  beforeAll(async () => {
    store = await start();
    fleet = [await store.open(), await store.open()];
  }, 120_000);
  afterAll(() => store.stop());
  beforeEach(async () => {
    provider = store.newProvider();
    await fleet[0].restore(provider, 'epoch-1', []);
  });

  async function play(events: readonly Event[]): Promise<Set<BreakerState['kind']>> {
    const target = `${provider}/model-${tokens++}`;
    const model: Model = { state: { kind: 'closed' }, counts: newCounts, probe: null };
    const calls: Call[] = [];
    const seen = new Set<BreakerState['kind']>();
    const write = async (on: Coordination, reading: BreakerReading, next: BreakerState, ended: string | null) => {
      // One that lost its turn meanwhile, by hand, says nothing any more.
      const hasTurn = ended === null || model.probe === ended;
      expect(await on.swapBreaker(reading, next, ended)).toBe(hasTurn);
      if (hasTurn) change(model, next, ended);
    };
    const take = async (on: Coordination) => {
      const token = `token-${tokens++}`;
      const answer = await on.takePermit({ token, target, places, epoch: 'epoch-1' });
      const admission = admit(model.state, Date.now());
      const isShut = admission.kind === 'closed_to_calls' || (admission.kind === 'probe' && model.probe !== null);
      const isProbe = admission.kind === 'probe';
      expect(answer).toMatchObject(isShut ? { kind: 'breaker' } : { kind: 'go', isProbe });
      if (isShut) return;
      calls.push({ token, target, place: 'default', isProbe });
      if (!isProbe) return;
      model.state = startProbe(model.state, Date.now());
      model.probe = token;
    };
    const end = async (on: Coordination, call: Call, { outcome, random }: Event) => {
      const isCounted = !call.isProbe && model.state.kind === 'closed' && outcome !== 'neither';
      const reading = await on.settlePermit({ ...callEnd, ...call, outcome });
      if (isCounted) count(model, outcome);
      const isAsked = call.isProbe || (isCounted && outcome === 'failure');
      if (!isAsked || reading === null) return expect(reading === null).toBe(!isAsked);
      const nowMs = Date.now();
      const next = call.isProbe
        ? afterProbe(reading.state, outcome, policy, nowMs, random)
        : afterCounts(reading.state, reading.counts, policy, nowMs, random);
      const own = model.state;
      if (call.isProbe) expect(next).toEqual(afterProbe(own, outcome, policy, nowMs, random));
      else {
        const usual = reading.counts.usual;
        expect(next).toEqual(afterCounts(own, { ...model.counts, latencyMs: 0, usual }, policy, nowMs, random));
      }
      if (call.isProbe || next !== reading.state) await write(on, reading, next, call.isProbe ? call.token : null);
    };
    const giveBack = async (on: Coordination, call: Call) => {
      await on.givePermitBack(call);
      if (model.probe === call.token) model.probe = null;
    };
    const byHand = async (on: Coordination, to: (state: BreakerState) => BreakerState) =>
      write(on, await on.readBreaker(target, policy.windowMs), to(model.state), null);
    for (const each of events) {
      const on = fleet[each.process];
      const held = ['end', 'give back', 'die'].includes(each.kind)
        ? calls.splice(each.pick % (calls.length || 1), 1)
        : [];
      for (const call of held) {
        if (each.kind === 'end') await end(on, call, each);
        else if (each.kind === 'give back') await giveBack(on, call);
        else if (call.isProbe && model.probe === call.token) {
          await store.endProbe(target, -1);
          model.probe = null;
        }
      }
      if (each.kind === 'take') await take(on);
      if (each.kind === 'cooled down')
        await byHand(on, (state) => (state.kind === 'open' ? { ...state, untilMs: Date.now() - 1 } : state));
      if (each.kind === 'open')
        await byHand(on, (state) => openByHand(state, each.pick % 2 ? null : Date.now() + 60_000, Date.now()));
      if (each.kind === 'close') await byHand(on, closeByHand);
      if (each.kind === 'reset') {
        await on.resetBreaker(target);
        Object.assign(model, { state: { kind: 'closed' }, counts: newCounts, probe: null });
      }
      const { state, counts } = await fleet[(1 - each.process) as 0 | 1].readBreaker(target, policy.windowMs);
      expect(state).toEqual(model.state);
      expect(counts).toMatchObject(model.counts);
      seen.add(state.kind);
    }
    return seen;
  }

  it('does what its model does, whatever happens on two processes', async () => {
    const kinds = new Set<BreakerState['kind']>();
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 40, maxLength: 80 }), async (events) => {
        for (const kind of await play(events)) kinds.add(kind);
      }),
      { numRuns: 12 },
    );
    expect(kinds, 'all states were seen').toEqual(new Set(['closed', 'open', 'half_open']));
  });

  describe('the budget of retries', () => {
    const takeRetry = (n: number, of = provider) => fleet[n % 2 === 0 ? 0 : 1].takeRetry(of);
    const end = (of: string) =>
      fleet[0].settlePermit({ ...callEnd, token: `token-${tokens++}`, target: `${provider}/${of}`, place: 'default' });
    /** However slow the test is: one comes in each. */
    const secondsSince = (ms: number) => Math.ceil((performance.now() - ms) / 1_000);
    const giveBack = () => fleet[1].returnRetry(provider);
    /** All that there are, and one in advance. */
    const takeAll = async (of = provider) => {
      for (let n = 0; n < 30; n++) if ((await takeRetry(n, of)) > 0) return;
    };

    it('begins with ten, for all processes together', async () => {
      const beganMs = performance.now();
      const waits = await Promise.all(Array.from({ length: 30 }, (_, n) => takeRetry(n)));
      const free = waits.filter((waitMs) => waitMs === 0).length;
      expect(free).toBeGreaterThanOrEqual(10);
      expect(free).toBeLessThanOrEqual(10 + secondsSince(beganMs));
      // Those that come in advance come one each second.
      const later = waits.filter((waitMs) => waitMs > 0).toSorted((a, b) => a - b);
      for (const [n, waitMs] of later.entries()) expect(waitMs).toBeLessThanOrEqual((n + 1) * 1_000);
      expect(later.at(-1)).toBeGreaterThan((later.length - 1) * 1_000 - 1_000 * secondsSince(beganMs));
    });

    it('has one more each second, and tells how long that takes', async () => {
      const beganMs = performance.now();
      await takeAll();
      const waitMs = await takeRetry(0);
      // It is the second in advance: a second after the first, less what has passed, which the store has in whole ms.
      expect(waitMs).toBeGreaterThanOrEqual(999 - (performance.now() - beganMs));
      expect(waitMs).toBeLessThanOrEqual(2_000);
      await giveBack();
      const look = async () => {
        const ms = await takeRetry(1);
        if (ms > 0) await giveBack();
        return ms;
      };
      await expect.poll(look, { timeout: 10_000, interval: 50 }).toBe(0);
    });

    it('has one more for each ten calls that end, of any of the provider’s models', async () => {
      const other = store.newProvider();
      const beganMs = performance.now();
      await Promise.all([takeAll(), takeAll(other)]);
      await Promise.all(Array.from({ length: 100 }, (_, n) => end(n % 2 ? 'a' : 'b')));
      // One was taken in advance.
      for (let n = 0; n < 9; n++) expect(await takeRetry(n)).toBe(0);
      // Another provider gets none of them: only time brings it one.
      const ofOther = await Promise.all(Array.from({ length: 10 }, (_, n) => takeRetry(n, other)));
      expect(ofOther.filter((waitMs) => waitMs === 0).length).toBeLessThan(secondsSince(beganMs));
    });

    it('has one more when one is given back', async () => {
      await takeAll();
      await giveBack();
      const waitMs = await takeRetry(0);
      await giveBack();
      await giveBack();
      expect(waitMs).toBeLessThanOrEqual(1_000);
      expect(await takeRetry(1)).toBe(0);
    });

    it('saves up no more than ten', async () => {
      await takeRetry(0);
      await Promise.all(Array.from({ length: 150 }, () => end('a')));
      const beganMs = performance.now();
      const waits = await Promise.all(Array.from({ length: 30 }, (_, n) => takeRetry(n)));
      expect(waits.filter((waitMs) => waitMs === 0).length).toBeLessThanOrEqual(10 + secondsSince(beganMs));
    });
  });
});
