/** Rates of accounts: never above a limit, whoever asks, and no slower than has to be. The same on every store. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import {
  amountOf,
  type CallSize,
  correct,
  freshWindow,
  type RateLimit,
  type RateWindow,
  reserve,
  waitFor,
} from '@waybill/shared/routing/limits.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDice } from '../chaos/dice.ts';
import { type CoordinationUnderTest, coordinationsUnderTest } from '../support/coordination-under-test.ts';
import {
  ask,
  type LoggedCall,
  mostInPeriod,
  type RatedCall,
  settleRated,
  shortLimit,
  sizeOf,
} from '../support/rated-calls.ts';

describe.each(coordinationsUnderTest)('rates on $name', ({ start }) => {
  let store: CoordinationUnderTest;
  /** Four processes. */
  let fleet: Coordination[];
  let provider: string;
  let target: string;
  let models = 0;

  beforeAll(async () => {
    store = await start();
    fleet = await Promise.all(Array.from({ length: 4 }, () => store.open()));
  }, 120_000);
  afterAll(() => store.stop());
  beforeEach(async () => {
    provider = store.newProvider();
    target = `${provider}/a-model`;
    await process(0).restore(provider, 'epoch-1', []);
  });
  const process = (n: number) => fleet[n % fleet.length] as Coordination;

  // That nine tenths are used is the pure model's to show, and below that the stores answer as it does: how much of a
  // limit a store can use up here depends on how fast it is.
  it('are kept in every period, by four processes that always want more', async () => {
    const limits = [shortLimit('requests', 60, 30, true), shortLimit('tokens', 12_000, 30, true)];
    const log: LoggedCall[] = [];
    const usedOf = ({ unit }: RateLimit) => log.reduce((sum, call) => sum + amountOf(unit, call.used), 0);
    /** More than one period can hold: what was used before has to come free again. */
    const isEnough = () => limits.some((limit) => usedOf(limit) >= 2.5 * limit.limit);
    const wantAlways = async (caller: Coordination, seed: string) => {
      const dice = createDice(7, seed);
      while (!isEnough()) {
        const size = sizeOf(1 + Math.floor(dice.next() * 200), Math.floor(dice.next() * 300));
        const { answer, call } = await ask(caller, { target, limits, size, jobId: seed });
        if (call) {
          const used = sizeOf(size.inputTokens, Math.floor(size.outputTokens * dice.next()));
          log.push({ atMs: call.reservation.atMs, used });
          await settleRated(caller, call, used);
        } else if (answer.kind === 'wait') await sleep(Math.min(5, answer.retryAfterMs ?? 5));
        else throw new Error(answer.kind);
      }
    };
    await Promise.all(fleet.flatMap((each, n) => [wantAlways(each, `a${n}`), wantAlways(each, `b${n}`)]));
    for (const limit of limits) expect(mostInPeriod(log, limit)).toBeLessThanOrEqual(limit.limit);
  });

  it('are kept in every period, whatever arrives, ends and is given back at random', async () => {
    const step = fc.record({
      process: fc.nat(3),
      kind: fc.constantFrom('take', 'take', 'take', 'settle', 'settle', 'give back', 'not sent', 'pass'),
      input: fc.integer({ min: 1, max: 60 }),
      output: fc.integer({ min: 0, max: 40 }),
      usedShare: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 16 }), { minLength: 4, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(rounds, fc.boolean(), async (batches, isPaced) => {
        const of = `${provider}/model-${models++}`;
        const limits = [
          shortLimit('requests', 12, 2, isPaced),
          shortLimit('input', 200, 2),
          shortLimit('output', 120, 2, isPaced),
          shortLimit('tokens', 280, 2),
        ];
        const log: LoggedCall[] = [];
        const held: RatedCall[] = [];
        for (const batch of batches) {
          const running = batch.map(async ({ process: n, kind, input, output, usedShare }) => {
            if (kind === 'pass') return sleep(usedShare * 30);
            if (kind === 'take') {
              const { call } = await ask(process(n), { target: of, limits, size: sizeOf(input, output) });
              return call ? void held.push(call) : undefined;
            }
            const call = held.shift();
            if (!call) return;
            const { size, atMs } = call.reservation;
            const used = sizeOf(Math.ceil(size.inputTokens * usedShare), Math.floor(size.outputTokens * usedShare));
            if (kind === 'settle') {
              log.push({ atMs, used });
              await settleRated(process(n), call, used);
            } else if (kind === 'not sent') await settleRated(process(n), call, used, false);
            else await process(n).givePermitBack(call);
          });
          await Promise.all(running);
        }
        log.push(...held.map(({ reservation: { atMs, size } }) => ({ atMs, used: size })));
        for (const limit of limits) {
          const used = log.map(({ atMs, used: size }) => ({ atMs, used: size }));
          expect(mostInPeriod(used, limit)).toBeLessThanOrEqual(limit.limit);
        }
      }),
      { numRuns: 20 },
    );
  });

  describe('answer as the model of them does', () => {
    /** All limits of an account as the pure model keeps them. */
    const modelOf = (limits: readonly RateLimit[]) => {
      let windows: readonly RateWindow[] = limits.map((limit) => freshWindow(limit, 0));
      const change = (to: (window: RateWindow, limit: RateLimit) => RateWindow) => {
        windows = windows.map((window, n) => to(window, limits[n] as RateLimit));
      };
      /** When such a call may go. */
      const opensAt = (amount: (limit: RateLimit) => number, nowMs: number) =>
        nowMs + Math.max(...windows.map((window, n) => waitOf(window, limits[n] as RateLimit, amount, nowMs)));
      const waitOf = (window: RateWindow, limit: RateLimit, amount: (of: RateLimit) => number, nowMs: number) =>
        waitFor(amount(limit), window, limit, nowMs);
      return { change, opensAt };
    };
    const difference = (limit: RateLimit, used: CallSize | null, { size }: RatedCall['reservation']) =>
      (used ? amountOf(limit.unit, used) : 0) - amountOf(limit.unit, size);

    interface Step {
      readonly kind: 'take' | 'settle' | 'give back' | 'wait';
      readonly process: number;
      readonly input: number;
      readonly output: number;
      readonly usedInput: number;
      readonly usedOutput: number;
    }
    const step: fc.Arbitrary<Step> = fc.record({
      kind: fc.constantFrom('take', 'take', 'take', 'take', 'settle', 'settle', 'give back', 'wait'),
      process: fc.nat(3),
      input: fc.integer({ min: 1, max: 50 }),
      output: fc.integer({ min: 0, max: 50 }),
      usedInput: fc.nat(70),
      usedOutput: fc.nat(70),
    });
    /** Takes the step in the store and in the model; what went before the clock of the test is after it was asked. */
    const play = async (limits: readonly RateLimit[], steps: readonly Step[]) => {
      const of = `${provider}/model-${models++}`;
      const model = modelOf(limits);
      const held: RatedCall[] = [];
      let told = 0;
      for (const { kind, process: n, input, output, usedInput, usedOutput } of steps) {
        const beforeMs = Date.now();
        if (kind === 'wait') await sleep(Math.min(told, 40));
        else if (kind === 'take') {
          const size = sizeOf(input, output);
          const amount = (limit: RateLimit) => amountOf(limit.unit, size);
          const { answer, call } = await ask(process(n), { target: of, limits, size, jobId: 'the only one' });
          if (call) {
            const { atMs } = call.reservation;
            expect(model.opensAt(amount, atMs), 'it may go').toBe(atMs);
            model.change((window, limit) => reserve(amount(limit), window, limit, atMs));
            held.push(call);
          } else {
            if (answer.kind !== 'wait') throw new Error(answer.kind);
            told = answer.retryAfterMs ?? 0;
            // The store looked at its clock between the two, and both round up.
            const opens = model.opensAt(amount, Date.now());
            const allOpen = model.opensAt(() => 1, beforeMs);
            expect(told).toBeGreaterThanOrEqual(opens - Date.now() - 1);
            expect(told).toBeLessThanOrEqual(opens - beforeMs + 1);
            expect(answer.forAllMs).toBeGreaterThanOrEqual(0);
            expect(answer.forAllMs).toBeLessThanOrEqual(allOpen - beforeMs + 1);
            expect(answer.forAllMs).toBeGreaterThanOrEqual(allOpen - Date.now() - 1);
          }
        } else {
          const call = held.shift();
          if (!call) continue;
          const used = kind === 'settle' ? sizeOf(usedInput, usedOutput) : null;
          if (used) await settleRated(process(n), call, used);
          else await process(n).givePermitBack(call);
          const { reservation } = call;
          model.change((window, limit) =>
            correct(difference(limit, used, reservation), reservation.atMs, window, limit, Date.now()),
          );
        }
      }
    };

    it('about windows, where calls end with less or more than they reserved, or are given back', async () => {
      // So long, and so few short waits, that no slot of a call that is under way is over.
      const limits = [shortLimit('requests', 9, 200), shortLimit('input', 120, 200), shortLimit('tokens', 200, 200)];
      const steps = fc.array(step, { minLength: 10, maxLength: 25 });
      await fc.assert(
        fc.asyncProperty(steps, (list) => play(limits, list)),
        { numRuns: 15 },
      );
    });

    it('about pace and slots that are over, where nothing ends', async () => {
      // Whole numbers for each ms, so that rounding does not decide.
      const limits = [shortLimit('requests', 60, 1, true), shortLimit('tokens', 1_500, 1, true)];
      const steps = fc.array(
        step.map((each) => (['settle', 'give back'].includes(each.kind) ? { ...each, kind: 'wait' as const } : each)),
        { minLength: 20, maxLength: 60 },
      );
      await fc.assert(
        fc.asyncProperty(steps, (list) => play(limits, list)),
        { numRuns: 10 },
      );
    });
  });
});
