/**
 * Runs simulated to their end. The world around `decide` is the smallest one that obeys the design: a pause skips its
 * target, a delay passes, an attempt takes time, and a run whose deadline has come is over.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AttemptRecord } from '../domain/attempt.ts';
import { type FailureAction, type FailureKind, failureKinds, failureRule } from '../domain/failure.ts';
import type { Candidate } from './candidates.ts';
import { type DecidePolicy, type Decision, decide } from './decide.ts';

interface Step {
  readonly kind: FailureKind;
  readonly retryAfterMs: number | null;
  readonly durationMs: number;
  readonly random: number;
}
interface World {
  readonly policy: DecidePolicy;
  readonly targetCount: number;
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
  readonly decision: Decision;
}

const mostSteps = 2_000;

function simulate(world: World): { moments: Moment[]; isOver: boolean } {
  const { policy, steps, deadlineMs } = world;
  const targets = Array.from({ length: world.targetCount }, (_, index) => `p${index}/m`);
  const paused = new Map<string, number>();
  const moments: Moment[] = [];
  const history: AttemptRecord[] = [];
  let nowMs = 0;
  let current = 'p0/m';
  for (let n = 1; n <= mostSteps && nowMs < deadlineMs; n += 1) {
    const { kind, retryAfterMs, durationMs, random } = steps[n % steps.length] as Step;
    nowMs += durationMs;
    const candidates = targets.map((target, index) => standingOf(target, world.barred[index] === true, paused, nowMs));
    const failure = { kind, message: 'a message', httpStatus: null, retryAfterMs };
    const decision = decide({
      ...{ failure, target: current, policy, candidates, nowMs, random },
      ...{ history: [...history], deadlineAtMs: deadlineMs },
    });
    moments.push({ nowMs, current, candidates, history: [...history], decision });
    history.push(endOf({ n, target: current, kind, retryAfterMs, decision, nowMs }));
    if (decision.kind === 'fail' || decision.kind === 'succeed') return { moments, isOver: true };
    const { pause } = failureRule(kind);
    if (pause) paused.set(current, nowMs + Math.max(pause.ms, retryAfterMs ?? 0));
    nowMs += decision.delayMs;
    current = decision.target;
  }
  return { moments, isOver: nowMs >= deadlineMs };
}

function standingOf(target: string, isBarred: boolean, paused: Map<string, number>, nowMs: number): Candidate {
  const untilMs = paused.get(target) ?? 0;
  if (!isBarred && untilMs <= nowMs) return { target, kind: 'eligible' };
  const reason = isBarred ? 'label' : 'paused';
  return { target, kind: 'skipped', reason, detail: 'a detail', untilMs: isBarred ? null : untilMs };
}

function endOf(
  attempt: Omit<Step, 'durationMs' | 'random'> & { n: number; target: string; decision: Decision; nowMs: number },
) {
  const { n, target, kind, retryAfterMs, decision, nowMs } = attempt;
  const rule = failureRule(kind);
  const delayMs = decision.kind === 'retry' ? decision.delayMs : 0;
  const retryAtMs = nowMs + Math.max(retryAfterMs ?? 0, rule.pause?.ms ?? 0, delayMs);
  return {
    ...{ n, target, status: 'failed' as const, failure: kind, endedAtMs: nowMs },
    retryAtMs: rule.waiting || rule.pause ? retryAtMs : null,
  };
}

const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const kinds = fc.constantFrom(...failureKinds);
const actions = fc.constantFrom<FailureAction>('retry', 'fallback', 'fail');
const policies: fc.Arbitrary<DecidePolicy> = fc.record({
  mode: fc.constantFrom('graceful', 'immediate'),
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
  durationMs: fc.integer({ min: 200, max: 20_000 }),
  random: randoms,
});
const worlds: fc.Arbitrary<World> = fc.record({
  policy: policies,
  targetCount: fc.integer({ min: 1, max: 5 }),
  barred: fc.array(fc.boolean(), { maxLength: 4 }).map((rest) => [false, ...rest]),
  deadlineMs: fc.constantFrom(5_000, 60_000, 600_000),
  steps: fc.array(steps, { minLength: 1, maxLength: 20 }),
});

const countsAsAttempt = ({ failure }: AttemptRecord) => failure !== null && failureRule(failure).counts;
const isOverForRun = (kind: FailureKind) => !failureRule(kind).waiting && failureRule(kind).pause === null;

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
      if (decision.kind === 'succeed' || decision.kind === 'fail' || decision.delayMs === 0) continue;
      expect(decision.delayMs).toBeGreaterThan(0);
      expect(nowMs + decision.delayMs).toBeLessThan(world.deadlineMs);
    }
  });

  always('never goes to a target that is not eligible by then', (world) => {
    for (const { decision, nowMs, candidates } of simulate(world).moments) {
      if (decision.kind === 'succeed' || decision.kind === 'fail') continue;
      const candidate = candidates.find(({ target }) => target === decision.target);
      if (candidate?.kind !== 'skipped') continue;
      expect(decision.kind).toBe('wait');
      expect(candidate.untilMs).not.toBeNull();
      expect(nowMs + decision.delayMs).toBeGreaterThanOrEqual(candidate.untilMs ?? Number.NaN);
    }
  });

  always('never returns to a target that was tried', (world) => {
    for (const { decision, current, history } of simulate(world).moments) {
      if (decision.kind === 'succeed' || decision.kind === 'fail' || decision.target === current) continue;
      const last = history.findLast(({ target }) => target === decision.target)?.failure ?? null;
      expect(last !== null && isOverForRun(last)).toBe(false);
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
    fc.assert(
      fc.property(limits, counts, (change, targetCount) => {
        const backoff = { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'full' } as const;
        const policy = { ...change, sameTargetRetries: 3, maxAttempts: 10, backoff, on: {} } as const;
        const step = { kind: 'rate_limit', retryAfterMs: null, durationMs: 1, random: 0.5 } as const;
        const { moments } = simulate({ policy, targetCount, barred: [], deadlineMs: 600_000, steps: [step] });
        // With 0.5 the n-th wait is half of 1, 2, 4 … 60 s: about 25 calls of one target in ten minutes.
        expect(moments.length).toBeLessThanOrEqual(30 * targetCount);
      }),
    );
  });
});
