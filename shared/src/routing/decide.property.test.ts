/**
 * Runs simulated to their end. The world around `decide` is the smallest one that obeys the design: a pause skips its
 * target, a delay passes, an attempt takes time, and a run whose deadline has come is over.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AttemptRecord } from '../domain/attempt.ts';
import { type Failure, type FailureAction, type FailureKind, failureKinds, failureRule } from '../domain/failure.ts';
import type { Candidate } from './candidates.ts';
import { comesBackAtMs, type DecidePolicy, type Decision, decide } from './decide.ts';

interface Step {
  readonly kind: FailureKind;
  readonly retryAfterMs: number | null;
  readonly durationMs: number;
  readonly random: number;
  /** The provider said that asking it again is of no use. */
  readonly isFinalHere: boolean;
  /** Of the provider's budget of retries. */
  readonly retryInMs: number;
}
interface World {
  readonly policy: DecidePolicy;
  readonly targetCount: number;
  /** Of each target. */
  readonly accountCount: number;
  /** Targets that may not serve the job at all; never the first. */
  readonly barred: readonly boolean[];
  readonly deadlineMs: number;
  /** What the calls bring, again and again. */
  readonly steps: readonly Step[];
}
interface Moment {
  readonly nowMs: number;
  readonly current: string;
  readonly candidates: readonly Candidate[];
  readonly history: readonly AttemptRecord[];
  readonly step: Step;
  readonly isOpenElsewhere: boolean;
  readonly decision: Decision;
}

const deadlinesMs = [5_000, 60_000, 600_000] as const;
const shortestCallMs = 200;
/** A limit that is told again and again without an end, under a backoff of nothing, lasts until the deadline. */
const mostSteps = Math.ceil(Math.max(...deadlinesMs) / shortestCallMs);

function simulate(world: World): { moments: Moment[]; isOver: boolean } {
  const { policy, steps, deadlineMs } = world;
  const targets = Array.from({ length: world.targetCount }, (_, index) => `p${index}/m`);
  const paused = new Map<string, number>();
  const accounts = accountsOf(world.accountCount);
  const moments: Moment[] = [];
  const history: AttemptRecord[] = [];
  let nowMs = 0;
  let current = 'p0/m';
  for (let n = 1; n <= mostSteps && nowMs < deadlineMs; n += 1) {
    const step = steps[n % steps.length] as Step;
    const { kind, retryAfterMs, retryInMs, random } = step;
    nowMs += step.durationMs;
    const candidates = targets.map((target, index) => {
      const untilMs = Math.max(paused.get(target) ?? 0, accounts.closedUntilMs(target, nowMs));
      return standingOf(target, world.barred[index] === true, untilMs, nowMs);
    });
    const isOpenElsewhere = accounts.refuse(current, step, nowMs);
    const input = {
      failure: failureOf(step),
      ...{ target: current, policy, candidates, nowMs, random, isOpenElsewhere, retryInMs, action: null },
      ...{ history: [...history], deadlineAtMs: deadlineMs },
    };
    const decision = decide(input);
    moments.push({ nowMs, current, candidates, history: [...history], step, isOpenElsewhere, decision });
    const retryAtMs = comesBackAtMs(input, decision);
    history.push({ n, target: current, status: 'failed', failure: kind, endedAtMs: nowMs, retryAtMs });
    if (decision.kind === 'fail' || decision.kind === 'succeed') return { moments, isOver: true };
    const { pause } = failureRule(kind);
    if (pause && !(world.accountCount > 1 && ofCredential.has(kind)))
      paused.set(current, nowMs + Math.max(pause.ms, retryAfterMs ?? 0));
    nowMs += decision.kind === 'park' ? 0 : decision.delayMs;
    current = decision.target;
  }
  return { moments, isOver: nowMs >= deadlineMs };
}

const failureOf = ({ kind, retryAfterMs, isFinalHere }: Step): Failure => ({
  ...{ kind, message: 'a message', httpStatus: null, retryAfterMs },
  ...(isFinalHere ? { isFinalHere } : {}),
});

/** Kinds that take out the account alone. */
const ofCredential: ReadonlySet<FailureKind> = new Set(['rate_limit', 'quota_period', 'billing', 'auth', 'permission']);

/** The accounts of each target. A call uses the one that opened first. */
function accountsOf(count: number) {
  const known = new Map<string, number[]>();
  const of = (target: string): number[] => known.get(target) ?? Array<number>(count).fill(0);
  return {
    closedUntilMs: (target: string, nowMs: number) =>
      of(target).some((until) => until <= nowMs) ? 0 : Math.min(...of(target)),
    /** True: another one is open. */
    refuse(target: string, { kind, retryAfterMs }: Step, nowMs: number): boolean {
      const all = of(target).toSorted((a, b) => a - b);
      const restMs = retryAfterMs ?? failureRule(kind).pause?.ms ?? 1_000;
      if (ofCredential.has(kind) && count > 1) known.set(target, [...all.slice(1), nowMs + restMs]);
      return all.slice(1).some((until) => until <= nowMs);
    },
  };
}

function standingOf(target: string, isBarred: boolean, untilMs: number, nowMs: number): Candidate {
  if (!isBarred && untilMs <= nowMs) return { target, kind: 'eligible' };
  const reason = isBarred ? 'label' : 'paused';
  return { target, kind: 'skipped', reason, detail: 'a detail', untilMs: isBarred ? null : untilMs };
}

const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const kinds = fc.constantFrom(...failureKinds);
const actions = fc.constantFrom<FailureAction>('retry', 'fallback', 'fail');
const policies: fc.Arbitrary<DecidePolicy> = fc.record({
  mode: fc.constantFrom('graceful', 'immediate', 'manual'),
  sameTargetRetries: fc.nat(5),
  maxAttempts: fc.integer({ min: 1, max: 12 }),
  onLimitMs: fc.option(fc.nat(120_000)),
  backoff: fc.record({
    initialMs: fc.integer({ min: 1, max: 5_000 }),
    factor: fc.integer({ min: 1, max: 4 }),
    maxMs: fc.integer({ min: 1, max: 60_000 }),
    jitter: fc.constantFrom('full', 'none'),
  }),
  on: fc.dictionary(kinds, actions, { maxKeys: 4 }),
});
const steps: fc.Arbitrary<Step> = fc.record({
  kind: kinds,
  retryAfterMs: fc.option(fc.integer({ min: 1, max: 7_200_000 })),
  durationMs: fc.integer({ min: shortestCallMs, max: 20_000 }),
  random: randoms,
  isFinalHere: fc.boolean(),
  retryInMs: fc.oneof(fc.constant(0), fc.nat(20_000)),
});
const worlds: fc.Arbitrary<World> = fc.record({
  policy: policies,
  targetCount: fc.integer({ min: 1, max: 5 }),
  accountCount: fc.integer({ min: 1, max: 3 }),
  barred: fc.array(fc.boolean(), { maxLength: 4 }).map((rest) => [false, ...rest]),
  deadlineMs: fc.constantFrom(...deadlinesMs),
  steps: fc.array(steps, { minLength: 1, maxLength: 20 }),
});

const countsAsAttempt = ({ failure }: AttemptRecord) => failure !== null && failureRule(failure).counts;
/** It fell back at once there, or has used up its retries. */
function isOverForRun({ step, current, history }: Moment, { on, mode, sameTargetRetries }: DecidePolicy): boolean {
  const { action, waiting, pause, retries } = failureRule(step.kind);
  if (waiting || pause !== null) return false;
  const isRetried = (on[step.kind] ?? action) === 'retry' && mode !== 'immediate' && !step.isFinalHere;
  const failed = history.filter(({ target, failure }) => target === current && failure !== null);
  const alike = failed.filter(({ failure }) => failure === step.kind);
  const used = failed.filter((attempt) => countsAsAttempt(attempt) || attempt.failure === step.kind);
  return !isRetried || used.length >= sameTargetRetries || alike.length >= (retries ?? sameTargetRetries);
}

describe('a simulated run', () => {
  const always = (title: string, check: (world: World) => void) =>
    test(title, () => fc.assert(fc.property(worlds, check), { numRuns: 500 }));

  always('ends', (world) => {
    expect(simulate(world).isOver).toBe(true);
  });

  always('never makes more counting attempts than the policy allows', (world) => {
    const last = simulate(world).moments.at(-1);
    const counted = (last?.history ?? []).filter(countsAsAttempt).length;
    // The last attempt itself is not in its own history.
    expect(counted).toBeLessThan(world.policy.maxAttempts);
  });

  always('never delays into the past, nor past the deadline', (world) => {
    for (const { decision, nowMs } of simulate(world).moments) {
      if (!('delayMs' in decision) || decision.delayMs === 0) continue;
      expect(decision.delayMs).toBeGreaterThan(0);
      expect(nowMs + decision.delayMs).toBeLessThan(world.deadlineMs);
    }
  });

  always('never goes to a target that is not eligible by then', (world) => {
    for (const { decision, nowMs, candidates } of simulate(world).moments) {
      if (decision.kind === 'succeed' || decision.kind === 'fail') continue;
      const candidate = candidates.find(({ target }) => target === decision.target);
      if (candidate?.kind !== 'skipped') continue;
      expect(candidate.untilMs).not.toBeNull();
      if (decision.kind === 'park') continue;
      expect(decision.kind).toBe('wait');
      expect(nowMs + decision.delayMs).toBeGreaterThanOrEqual(candidate.untilMs ?? Number.NaN);
    }
  });

  always('never returns to a target that was tried', (world) => {
    const last = new Map<string, Moment>();
    for (const moment of simulate(world).moments) {
      const { decision, current } = moment;
      last.set(current, moment);
      if (decision.kind === 'succeed' || decision.kind === 'fail' || decision.target === current) continue;
      const there = last.get(decision.target);
      expect(there !== undefined && isOverForRun(there, world.policy)).toBe(false);
    }
  });

  always('switches to another credential only where one is open, and within bounds', (world) => {
    const switches = new Map<string, number>();
    for (const { decision, current, step, isOpenElsewhere } of simulate(world).moments) {
      if (decision.kind !== 'retry' || decision.waiting !== 'rate_limit' || decision.delayMs > 0) continue;
      if (failureRule(step.kind).waiting) continue; // A limit may end at once.
      expect(isOpenElsewhere && ofCredential.has(step.kind)).toBe(true);
      expect(world.policy.mode).not.toBe('immediate');
      expect(world.policy.on[step.kind]).toBeUndefined();
      switches.set(current, (switches.get(current) ?? 0) + 1);
    }
    expect(Math.max(0, ...switches.values())).toBeLessThanOrEqual(32);
  });

  always('does not ask again where the provider said that it is of no use', (world) => {
    for (const { decision, step, isOpenElsewhere } of simulate(world).moments)
      if (step.isFinalHere && decision.kind === 'retry') expect(isOpenElsewhere && decision.delayMs === 0).toBe(true);
  });

  always('asks somebody before each fallback in manual mode, and in no other', (world) => {
    const { mode } = world.policy;
    for (const { decision, current } of simulate(world).moments) {
      if (decision.kind === 'park') expect(mode).toBe('manual');
      if (mode !== 'manual' || decision.kind === 'succeed' || decision.kind === 'fail') continue;
      if (decision.target !== current) expect(decision.kind).toBe('park');
    }
  });

  always('falls back to another target only', (world) => {
    for (const { decision, current } of simulate(world).moments)
      if (decision.kind === 'fall_back') expect(decision.target).not.toBe(current);
  });

  always('takes nothing but whole milliseconds', (world) => {
    for (const { decision } of simulate(world).moments)
      if ('delayMs' in decision) expect(Number.isSafeInteger(decision.delayMs)).toBe(true);
  });
});

describe('limits without a named end', () => {
  const limits = fc.record({ mode: fc.constantFrom('graceful', 'immediate'), onLimitMs: fc.option(fc.nat(60_000)) });
  test('never make a run ask in a tight loop, however many targets there are', () => {
    const counts = fc.integer({ min: 1, max: 4 });
    const several = fc.integer({ min: 1, max: 3 });
    fc.assert(
      fc.property(limits, counts, several, (change, targetCount, accountCount) => {
        const backoff = { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'full' } as const;
        const policy = { ...change, sameTargetRetries: 3, maxAttempts: 10, backoff, on: {} } as const;
        const call = {
          kind: 'rate_limit',
          retryAfterMs: null,
          durationMs: 1,
          isFinalHere: false,
          retryInMs: 0,
        } as const;
        const steps = [{ ...call, random: 0.5 }];
        const { moments } = simulate({ policy, targetCount, accountCount, barred: [], deadlineMs: 600_000, steps });
        // With 0.5 the n-th wait is half of 1, 2, 4 … 60 s: about 25 calls of one target in ten minutes; and each
        // switch between accounts is one more.
        expect(moments.length).toBeLessThanOrEqual((30 + (accountCount > 1 ? 32 : 0)) * targetCount);
      }),
    );
  });
});
