/**
 * Whole runs of a job, from its first entry to its end, in a world that changes under it: rates that are used up, breakers
 * that open, pauses, labels that are taken away, requests that are too large. Nothing takes time but calls, waits and
 * people: whoever goes round without any of them is found by the count of the steps.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { noRateLimits } from '../config/resolve-limits.ts';
import type { AttemptRecord } from '../domain/attempt.ts';
import { type FailureKind, failureKinds, failureRule } from '../domain/failure.ts';
import { type Candidate, candidates, type TargetFacts } from './candidates.ts';
import { comesBackAtMs, type DecidePolicy, decide } from './decide.ts';
import {
  decideBreaker,
  decideLimit,
  decideMisfit,
  decideRefusal,
  type Obstacle,
  type Refusal,
  type RefusalObstacle,
  refusals,
  type Turn,
} from './decide-without-attempt.ts';
import { rateLimits } from './limits.ts';

/** True in the first part of each period, and until when. */
interface Cycle {
  readonly periodMs: number;
  readonly share: number;
}
interface TargetWorld {
  readonly hasLabel: boolean;
  /** It loses its label then. */
  readonly unlabelledAtMs: number;
  readonly isExcluded: boolean;
  readonly isTooSmall: boolean;
  readonly isFree: boolean;
  readonly breaker: Cycle;
  /** The fleet does not know of the breaker yet, or half-open with its probe under way: eligible, and no call. */
  readonly isBreakerHidden: boolean;
  readonly limit: Cycle;
  readonly refusal: Cycle & {
    readonly why: Refusal;
    readonly per: string;
    readonly onExceeded: 'reject' | 'local_only';
  };
}
interface Call {
  /** null: it is answered. */
  readonly failure: FailureKind | null;
  readonly retryAfterMs: number | null;
  readonly durationMs: number;
  readonly random: number;
  readonly retryInMs: number;
  readonly isFinalHere: boolean;
  readonly isOpenElsewhere: boolean;
}
interface World {
  readonly policy: DecidePolicy;
  readonly targets: readonly TargetWorld[];
  readonly calls: readonly Call[];
  readonly deadlineMs: number;
  /** How long somebody takes to approve. */
  readonly approvalMs: number;
}

type Why = 'call' | 'limit' | 'breaker' | 'misfit' | 'label' | 'refusal' | 'pause';
/** What was known when it was decided where the job goes, and where it went. */
interface Step {
  readonly why: Why;
  readonly nowMs: number;
  readonly at: string;
  readonly known: readonly Candidate[];
  readonly what: 'retry' | 'fall_back' | 'park' | 'wait' | 'fail' | 'succeed';
  readonly to: string;
  readonly delayMs: number;
}
interface Run {
  readonly steps: Step[];
  readonly history: AttemptRecord[];
  readonly isOver: boolean;
}

const mostSteps = 10_000;
const nameOf = (index: number): string => `p${index}/m`;
const worldOf = ({ targets }: World, target: string): TargetWorld =>
  targets[Number(target.slice(1, target.indexOf('/')))] as TargetWorld;

/** null: not now. */
function endOfCycle({ periodMs, share }: Cycle, nowMs: number): number | null {
  const beganMs = nowMs - (nowMs % periodMs);
  const untilMs = beganMs + Math.floor(periodMs * share);
  return nowMs < untilMs ? untilMs : null;
}

function candidatesAt(world: World, paused: ReadonlyMap<string, number>, nowMs: number): Candidate[] {
  const factsOf = (target: string): TargetFacts => {
    const { hasLabel, unlabelledAtMs, isTooSmall, breaker, isBreakerHidden } = worldOf(world, target);
    const openUntilMs = isBreakerHidden ? null : endOfCycle(breaker, nowMs);
    const pausedUntilMs = paused.get(target) ?? 0;
    return {
      ...{ isConfigured: true, isEnabled: true, capabilities: null, lacks: [], contextWindow: null },
      labels: hasLabel && nowMs < unlabelledAtMs ? ['eu'] : [],
      limits: rateLimits({ ...noRateLimits, tokensPerMinute: isTooSmall ? 10 : 1_000 }),
      breaker: openUntilMs === null ? null : { kind: 'open', untilMs: openUntilMs },
      closed: pausedUntilMs > nowMs ? { why: 'paused', untilMs: pausedUntilMs } : null,
    };
  };
  const needs = {
    ...{ capabilities: [], windowTokens: 0, size: { inputTokens: 50, outputTokens: 50 }, require: ['eu'] },
    excludeProviders: world.targets.flatMap(({ isExcluded }, index) => (isExcluded ? [`p${index}`] : [])),
  };
  return candidates(
    world.targets.map((_, index) => nameOf(index)),
    needs,
    factsOf,
  );
}

/** Where the job is, and which targets' budgets have refused it. */
type Place = Obstacle & Pick<RefusalObstacle, 'refusedBefore'>;

/** What keeps the job from being called where it is; null: nothing. */
function obstacleAt(world: World, at: Place, waitedMs: number): { why: Why; turn: Turn } | null {
  const here = worldOf(world, at.target);
  const known = at.candidates.find(({ target }) => target === at.target);
  if (known?.kind === 'skipped' && known.reason === 'paused' && known.untilMs !== null) {
    const delayMs = Math.min(known.untilMs, at.deadlineAtMs) - at.nowMs;
    return { why: 'pause', turn: { kind: 'wait', delayMs, waiting: 'paused' } };
  }
  if (here.isTooSmall) return { why: 'misfit', turn: decideMisfit(at) };
  const openUntilMs = endOfCycle(here.breaker, at.nowMs);
  if (openUntilMs !== null)
    return { why: 'breaker', turn: decideBreaker(at, here.isBreakerHidden ? null : openUntilMs - at.nowMs) };
  const limitedUntilMs = endOfCycle(here.limit, at.nowMs);
  if (limitedUntilMs !== null) {
    const waits = { waitMs: limitedUntilMs - at.nowMs, waitedMs, patienceMs: world.policy.onLimitMs };
    return { why: 'limit', turn: decideLimit({ ...at, ...waits }) };
  }
  const money = {
    budget: { per: here.refusal.per, onExceeded: here.refusal.onExceeded },
    isFree: (target: string) => worldOf(world, target).isFree,
    isSameSubject: (target: string) => target === at.target,
  };
  if (!here.hasLabel || at.nowMs >= here.unlabelledAtMs)
    return { why: 'label', turn: decideRefusal({ ...at, ...money, refusal: 'label', budget: null }) };
  if (endOfCycle(here.refusal, at.nowMs) === null) return null;
  return { why: 'refusal', turn: decideRefusal({ ...at, ...money, refusal: here.refusal.why }) };
}

const triedIn = (history: readonly AttemptRecord[], nowMs: number): Set<string> =>
  new Set(history.filter(({ retryAtMs }) => retryAtMs === null || retryAtMs > nowMs).map(({ target }) => target));

function run(world: World): Run {
  const { policy, deadlineMs } = world;
  const steps: Step[] = [];
  const history: AttemptRecord[] = [];
  const paused = new Map<string, number>();
  const refusedBefore = new Set<string>();
  let [nowMs, at, calls] = [0, nameOf(0), 0];
  let limitedSinceMs: number | null = null;
  while (nowMs < deadlineMs && steps.length < mostSteps) {
    let known = candidatesAt(world, paused, nowMs);
    const place: Place = {
      ...{ target: at, mode: policy.mode, candidates: known, nowMs, deadlineAtMs: deadlineMs },
      tried: triedIn(history, nowMs),
      refusedBefore,
    };
    const stopped = obstacleAt(world, place, limitedSinceMs === null ? 0 : nowMs - limitedSinceMs);
    let why: Why = 'call';
    let turn: Turn | ReturnType<typeof decide>;
    if (stopped !== null) {
      ({ why, turn } = stopped);
      if (why === 'refusal') refusedBefore.add(at);
    } else {
      const call = world.calls[calls % world.calls.length] as Call;
      calls += 1;
      nowMs += call.durationMs;
      known = candidatesAt(world, paused, nowMs);
      if (call.failure === null) turn = { kind: 'succeed' };
      else turn = decideAfter(world, call, { nowMs, at, known, history, paused });
    }
    const to = 'target' in turn ? turn.target : at;
    const delayMs = 'delayMs' in turn ? turn.delayMs : 0;
    steps.push({ why, nowMs, at, known, what: turn.kind, to, delayMs });
    if (turn.kind === 'fail' || turn.kind === 'succeed') return { steps, history, isOver: true };
    const isLimit = 'waiting' in turn && turn.waiting === 'rate_limit' && to === at;
    limitedSinceMs = isLimit ? (limitedSinceMs ?? nowMs) : null;
    nowMs += turn.kind === 'park' ? world.approvalMs : delayMs;
    at = to;
  }
  return { steps, history, isOver: nowMs >= deadlineMs };
}

interface Moment {
  readonly nowMs: number;
  readonly at: string;
  readonly known: readonly Candidate[];
  readonly history: AttemptRecord[];
  readonly paused: Map<string, number>;
}

function decideAfter({ policy, deadlineMs }: World, call: Call, { nowMs, at, known, history, paused }: Moment) {
  const { retryAfterMs, random, retryInMs, isFinalHere, isOpenElsewhere } = call;
  const kind = call.failure ?? 'unknown';
  const input = {
    failure: { kind, message: 'a message', httpStatus: null, retryAfterMs, ...(isFinalHere ? { isFinalHere } : {}) },
    ...{ target: at, policy, candidates: known, history: [...history], nowMs, deadlineAtMs: deadlineMs },
    ...{ random, isOpenElsewhere, retryInMs, action: null },
  };
  const decision = decide(input);
  const retryAtMs = comesBackAtMs(input, decision);
  history.push({ n: history.length + 1, target: at, status: 'failed', failure: kind, endedAtMs: nowMs, retryAtMs });
  const { pause } = failureRule(kind);
  if (pause !== null && !isOpenElsewhere) paused.set(at, nowMs + (retryAfterMs ?? pause.ms));
  return decision;
}

const often = (likely: number): fc.Arbitrary<boolean> => fc.integer({ min: 0, max: 99 }).map((n) => n < likely);
const cycles: fc.Arbitrary<Cycle> = fc.record({
  periodMs: fc.integer({ min: 500, max: 200_000 }),
  share: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constantFrom(0.1, 0.5, 0.9, 1)),
});
const targetWorlds: fc.Arbitrary<TargetWorld> = fc.record({
  hasLabel: often(85),
  unlabelledAtMs: fc.oneof({ weight: 4, arbitrary: fc.constant(Number.POSITIVE_INFINITY) }, fc.nat(60_000)),
  isExcluded: often(10),
  isTooSmall: often(10),
  isFree: often(30),
  breaker: cycles,
  isBreakerHidden: often(30),
  limit: cycles,
  refusal: fc
    .tuple(
      fc.record({ periodMs: fc.integer({ min: 500, max: 200_000 }), share: fc.constantFrom(0, 0, 0, 0.2, 1) }),
      fc.record({
        why: fc.constantFrom(...refusals),
        per: fc.constantFrom('tenant', 'provider', 'model'),
        onExceeded: fc.constantFrom('reject', 'local_only'),
      }),
    )
    .map(([cycle, rest]) => ({ ...cycle, ...rest })),
});
const kinds = fc.constantFrom(...failureKinds);
const calls: fc.Arbitrary<Call> = fc.record({
  failure: fc.oneof({ weight: 9, arbitrary: kinds }, { weight: 1, arbitrary: fc.constant(null) }),
  retryAfterMs: fc.option(fc.integer({ min: 1, max: 600_000 })),
  durationMs: fc.integer({ min: 100, max: 20_000 }),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  retryInMs: fc.oneof(fc.constant(0), fc.nat(20_000)),
  isFinalHere: often(10),
  isOpenElsewhere: often(10),
});
const worlds: fc.Arbitrary<World> = fc.record({
  policy: fc.record({
    mode: fc.constantFrom('graceful', 'immediate', 'manual'),
    sameTargetRetries: fc.nat(4),
    maxAttempts: fc.integer({ min: 1, max: 12 }),
    onLimitMs: fc.constantFrom(0, 5_000, 60_000, null),
    backoff: fc.record({
      initialMs: fc.integer({ min: 1, max: 2_000 }),
      factor: fc.integer({ min: 1, max: 3 }),
      maxMs: fc.integer({ min: 1, max: 60_000 }),
      jitter: fc.constantFrom('full', 'none'),
    }),
    on: fc.dictionary(kinds, fc.constantFrom('retry', 'fallback', 'fail'), { maxKeys: 3 }),
  }),
  // The first may serve the job when it is accepted.
  targets: fc
    .array(targetWorlds, { minLength: 1, maxLength: 6 })
    .map((all) => all.map((each, index) => (index === 0 ? { ...each, hasLabel: true, isExcluded: false } : each))),
  calls: fc.array(calls, { minLength: 1, maxLength: 12 }),
  deadlineMs: fc.constantFrom(5_000, 60_000, 600_000),
  approvalMs: fc.integer({ min: 500, max: 100_000 }),
});

describe('a whole run', () => {
  const always = (title: string, check: (world: World, done: Run) => void) =>
    test(title, () =>
      fc.assert(
        fc.property(worlds, (world) => check(world, run(world))),
        { numRuns: 400 },
      ),
    );

  always('ends', (_, { isOver }) => {
    expect(isOver).toBe(true);
  });

  always('never goes on moving without a pause, nor back to a target that turned it away', (world, { steps }) => {
    let visited = new Set<string>();
    let sinceMs = 0;
    for (const { why, nowMs, at } of steps) {
      if (why === 'call' || nowMs > sinceMs) visited = new Set();
      sinceMs = nowMs;
      if (why === 'call') continue;
      expect(visited).not.toContain(at);
      visited.add(at);
      expect(visited.size).toBeLessThanOrEqual(world.targets.length);
    }
  });

  always('never makes more counting attempts than the policy allows', ({ policy }, { history }) => {
    const counted = history.filter(({ failure }) => failure !== null && failureRule(failure).counts);
    expect(counted.length).toBeLessThanOrEqual(policy.maxAttempts);
  });

  always('schedules nothing past the deadline; only a wait in its place may end at it', ({ deadlineMs }, { steps }) => {
    for (const { why, what, nowMs, delayMs } of steps) {
      if (nowMs >= deadlineMs) continue; // The call itself outlived it.
      const isInPlace = what === 'wait' && why !== 'call';
      expect(nowMs + delayMs).toBeLessThanOrEqual(isInPlace ? deadlineMs : deadlineMs - 1);
    }
  });

  always('is never sent to a target that lacks a label, is excluded, or is too small', (_, { steps }) => {
    for (const { at, to, known } of steps) {
      const there = known.find(({ target }) => target === to);
      if (to !== at && there?.kind === 'skipped') expect(there.untilMs).not.toBeNull();
    }
  });

  always('is never called where a label is missing', (world, { steps }) => {
    for (const { why, at, nowMs } of steps) {
      const { hasLabel, unlabelledAtMs, isExcluded } = worldOf(world, at);
      expect(isExcluded).toBe(false);
      if (why !== 'call') continue;
      expect(hasLabel).toBe(true);
      // A call that was made before takes its time.
      expect(nowMs - 20_000).toBeLessThan(unlabelledAtMs);
    }
  });

  always('never gets to a target that is not eligible yet', (_, { steps }) => {
    for (const { at, to, what, known, nowMs, delayMs } of steps) {
      const there = known.find(({ target }) => target === to);
      if (to === at || what === 'park' || there?.kind !== 'skipped') continue;
      expect(nowMs + delayMs).toBeGreaterThanOrEqual(there.untilMs ?? Number.POSITIVE_INFINITY);
    }
  });

  always('asks somebody before each fallback in manual mode, and in no other', ({ policy }, { steps }) => {
    for (const { at, to, what } of steps) {
      if (what === 'park') expect(policy.mode).toBe('manual');
      if (to !== at && policy.mode === 'manual') expect(what).toBe('park');
    }
  });

  always('never retries in immediate mode but for a limit that is all there is', ({ policy }, { steps, history }) => {
    if (policy.mode !== 'immediate') return;
    const retried = steps.filter(({ what }) => what === 'retry');
    const failures = retried.map(({ nowMs }) => history.find(({ endedAtMs }) => endedAtMs === nowMs)?.failure);
    for (const failure of failures) expect(failure && failureRule(failure).waiting).toBe(true);
  });
});

describe('a job that budgets refuse wherever it goes', () => {
  const money = fc.record({
    refusal: fc.constantFrom('max_cost', 'budget_exceeded', 'budget_unpriced'),
    per: fc.constantFrom('tenant', 'provider', 'model'),
    onExceeded: fc.constantFrom('reject', 'local_only'),
    isFree: fc.boolean(),
    isSame: fc.boolean(),
    isPaused: often(20),
  });
  const modes = fc.constantFrom('graceful', 'immediate', 'manual');
  const chains = fc.array(money, { minLength: 1, maxLength: 8 });
  test('moves at most as often as the chain is long, and then fails', () => {
    fc.assert(
      fc.property(modes, chains, fc.nat(7), (mode, chain, start) => {
        const all = chain.map(({ isPaused }, index): Candidate => {
          const target = nameOf(index);
          const pause = { reason: 'paused', detail: 'a detail', untilMs: 5_000 } as const;
          return isPaused ? { target, kind: 'skipped', ...pause } : { target, kind: 'eligible' };
        });
        const visited: number[] = [start % chain.length];
        for (;;) {
          const index = visited.at(-1) ?? 0;
          const { refusal, per, onExceeded } = chain[index] as (typeof chain)[number];
          const turn = decideRefusal({
            ...{ target: nameOf(index), mode, candidates: all, tried: new Set(), nowMs: 0, deadlineAtMs: 60_000 },
            ...{ refusal, budget: { per, onExceeded } },
            isFree: (target) => chain[all.findIndex((each) => each.target === target)]?.isFree === true,
            isSameSubject: (target) => chain[all.findIndex((each) => each.target === target)]?.isSame === true,
            refusedBefore: new Set(visited.map(nameOf)),
          });
          if (turn.kind === 'fail') break;
          expect(turn.kind).toBe(mode === 'manual' ? 'park' : 'fall_back');
          visited.push(all.findIndex(({ target }) => 'target' in turn && target === turn.target));
          expect(visited.length).toBeLessThanOrEqual(chain.length);
        }
        expect(new Set(visited).size).toBe(visited.length);
      }),
    );
  });
});
