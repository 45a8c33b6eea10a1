/**
 * Runs of many events. The store around the breaker is the smallest one that keeps its word: it counts outcomes, gives
 * one probe at a time the turn, and takes late results too, which must change nothing.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  admit,
  afterCounts,
  afterProbe,
  type BreakerCounts,
  type BreakerPolicy,
  type BreakerState,
  closeByHand,
  type Outcome,
  openByHand,
  startProbe,
} from './breaker.ts';

type Event = { readonly afterMs: number; readonly random: number } & (
  | { readonly kind: 'call' }
  /** One of the calls under way ends; `latest`: the one begun last, else the one begun first. */
  | { readonly kind: 'end'; readonly latest: boolean; readonly outcome: Outcome; readonly latencyMs: number }
  | { readonly kind: 'open'; readonly forMs: number | null }
  | { readonly kind: 'close' }
);
interface Call {
  readonly isProbe: boolean;
}
interface Step {
  readonly event: Event;
  readonly nowMs: number;
  readonly before: BreakerState;
  readonly after: BreakerState;
  /** What was let go at this step. */
  readonly started: Call | null;
  /** Probes under way after it. */
  readonly probes: number;
  /** What ended at this step. */
  readonly ended: Call | null;
}

const noCounts: BreakerCounts = {
  ...{ consecutive: 0, ok: 0, failed: 0, latencyMs: 0 },
  usual: { ok: 0, failed: 0, latencyMs: 0 },
};

/** The counters of one target: those of the window by their times. What is usual does not fade in so short a run. */
function openStore(policy: BreakerPolicy) {
  let ends: { atMs: number; isOk: boolean; latencyMs: number }[] = [];
  let consecutive = 0;
  let usual = noCounts.usual;
  return {
    count(outcome: Outcome, latencyMs: number, nowMs: number): BreakerCounts {
      const isOk = outcome === 'success';
      if (outcome !== 'neither') {
        ends.push({ atMs: nowMs, isOk, latencyMs });
        consecutive = isOk ? 0 : consecutive + 1;
        usual = isOk
          ? { ...usual, ok: usual.ok + 1, latencyMs: usual.latencyMs + latencyMs }
          : { ...usual, failed: usual.failed + 1 };
      }
      ends = ends.filter(({ atMs }) => atMs > nowMs - policy.windowMs);
      const good = ends.filter((end) => end.isOk);
      const sumMs = good.reduce((sum, end) => sum + end.latencyMs, 0);
      return { consecutive, ok: good.length, failed: ends.length - good.length, latencyMs: sumMs, usual };
    },
    /** It has closed: only what is usual is kept. */
    clear() {
      ends = [];
      consecutive = 0;
    },
  };
}

function run(policy: BreakerPolicy, events: readonly Event[]): Step[] {
  const store = openStore(policy);
  const underWay: Call[] = [];
  let state: BreakerState = { kind: 'closed' };
  let nowMs = 0;
  return events.map((event) => {
    nowMs += event.afterMs;
    const before = state;
    let started: Call | null = null;
    let ended: Call | null = null;
    if (event.kind === 'open') state = openByHand(state, event.forMs === null ? null : nowMs + event.forMs, nowMs);
    if (event.kind === 'close') state = closeByHand();
    if (event.kind === 'call') {
      const admission = admit(state, nowMs);
      const hasTurn = admission.kind === 'probe' && !underWay.some(({ isProbe }) => isProbe);
      if (hasTurn) state = startProbe(state, nowMs);
      started = admission.kind === 'go' || hasTurn ? { isProbe: hasTurn } : null;
      if (started) underWay.push(started);
    }
    if (event.kind === 'end') {
      ended = (event.latest ? underWay.pop() : underWay.shift()) ?? null;
      if (ended?.isProbe) state = afterProbe(state, event.outcome, policy, nowMs, event.random);
      else if (ended) {
        const counts = store.count(event.outcome, event.latencyMs, nowMs);
        state = afterCounts(state, counts, policy, nowMs, event.random);
      }
    }
    if (before.kind !== 'closed' && state.kind === 'closed') store.clear();
    const probes = underWay.filter(({ isProbe }) => isProbe).length;
    return { event, nowMs, before, after: state, started, probes, ended };
  });
}

const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const policies: fc.Arbitrary<BreakerPolicy> = fc.record({
  consecutiveFailures: fc.integer({ min: 1, max: 6 }),
  failureRate: fc.double({ min: 0.05, max: 1, noNaN: true }),
  minimumCalls: fc.integer({ min: 1, max: 12 }),
  windowMs: fc.integer({ min: 1_000, max: 60_000 }),
  cooldownMs: fc.integer({ min: 1, max: 60_000 }),
  maxCooldownMs: fc.integer({ min: 1, max: 600_000 }),
  successesToClose: fc.integer({ min: 1, max: 4 }),
  isAdaptive: fc.boolean(),
  latencySpike: fc.option(fc.integer({ min: 2, max: 10 })),
});
const outcomes = fc.constantFrom<Outcome[]>('success', 'failure', 'failure', 'neither');
const timed = { afterMs: fc.oneof(fc.nat(500), fc.nat(40_000)), random: randoms };
const events: fc.Arbitrary<Event> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ ...timed, kind: fc.constant('call' as const) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      ...{ ...timed, kind: fc.constant('end' as const) },
      ...{ latest: fc.boolean(), outcome: outcomes, latencyMs: fc.nat(20_000) },
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ ...timed, kind: fc.constant('open' as const), forMs: fc.option(fc.nat(90_000)) }),
  },
  { weight: 1, arbitrary: fc.record({ ...timed, kind: fc.constant('close' as const) }) },
);
const runs = fc.array(events, { minLength: 1, maxLength: 120 });

const bySelf = ['closed -> open', 'open -> half_open', 'half_open -> open', 'half_open -> closed'];
const isByHand = ({ event }: Step) => event.kind === 'open' || event.kind === 'close';
const untilOf = (state: BreakerState): number | null =>
  state.kind === 'open' ? (state.untilMs ?? Number.POSITIVE_INFINITY) : null;

describe('in a run of many events', () => {
  const always = (title: string, check: (steps: readonly Step[], policy: BreakerPolicy) => void) =>
    test(title, () => {
      fc.assert(
        fc.property(policies, runs, (policy, list) => check(run(policy, list), policy)),
        { numRuns: 500 },
      );
    });

  always('no state is skipped', (steps) => {
    for (const step of steps) {
      const { event, before, after } = step;
      if (before === after) continue;
      if (event.kind === 'open') expect(after.kind).toBe('open');
      else if (event.kind === 'close') expect(after.kind).toBe('closed');
      else if (before.kind !== after.kind) expect(bySelf).toContain(`${before.kind} -> ${after.kind}`);
      else expect([before.kind, after.kind]).toEqual(['half_open', 'half_open']);
    }
  });

  always('no call is let go while it is open, and one probe at a time after that', (steps) => {
    for (const { before, after, nowMs, started, probes } of steps) {
      expect(probes).toBeLessThanOrEqual(1);
      if (before.kind === 'closed' || started === null) continue;
      expect([started.isProbe, after.kind]).toEqual([true, 'half_open']);
      expect(nowMs).toBeGreaterThanOrEqual(untilOf(before) ?? 0);
    }
  });

  always('late results of ordinary calls change nothing', (steps) => {
    for (const { before, after, ended } of steps)
      if (ended?.isProbe === false && before.kind !== 'closed') expect(after).toBe(before);
  });

  always('the deadline moves later only, and by hand only while it is running', (steps) => {
    for (const step of steps) {
      const [before, after] = [untilOf(step.before), untilOf(step.after)];
      if (before === null || after === null || before === after) continue;
      expect(step.event.kind).toBe('open');
      if (step.nowMs < before) expect(after).toBeGreaterThan(before);
    }
  });

  always('a cooldown is neither endless nor in the past', (steps, policy) => {
    for (const step of steps) {
      if (step.after.kind !== 'open' || step.before === step.after || isByHand(step)) continue;
      const { untilMs, cooldownMs } = step.after;
      const leastMs = Math.min(policy.cooldownMs, policy.maxCooldownMs);
      expect((untilMs ?? 0) - step.nowMs).toBeLessThanOrEqual(1.2 * policy.maxCooldownMs);
      // Less than a millisecond is cut off.
      expect((untilMs ?? 0) - step.nowMs).toBeGreaterThan(0.8 * leastMs - 1);
      expect(cooldownMs).toBeGreaterThanOrEqual(leastMs);
    }
  });

  always('what is opened for good is closed by hand alone', (steps) => {
    for (const step of steps)
      if (untilOf(step.before) === Number.POSITIVE_INFINITY && step.event.kind !== 'close')
        expect(step.after).toBe(step.before);
  });

  always('a state can be written down and read back', (steps) => {
    for (const { after } of steps) expect(JSON.parse(JSON.stringify(after))).toEqual(after);
  });

  always('a target that answers from now on is closed after its cooldown and a few probes', (steps, policy) => {
    const last = steps.at(-1) as Step;
    if (untilOf(last.after) === Number.POSITIVE_INFINITY) return;
    const { state, nowMs, probes } = recover(last.after, policy, last.nowMs);
    expect(state).toEqual({ kind: 'closed' });
    expect(probes).toBeLessThanOrEqual(policy.successesToClose);
    const wait = Math.max(0, (untilOf(last.after) ?? 0) - last.nowMs);
    expect(nowMs - last.nowMs).toBeLessThanOrEqual(wait + probes * answerMs);
  });
});

test('the runs reach every state, by every way', () => {
  const seen = new Set<string>();
  for (const list of fc.sample(fc.tuple(policies, runs), { numRuns: 500, seed: 1 }))
    for (const { event, before, after } of run(...list))
      if (before !== after && (event.kind === 'call' || event.kind === 'end'))
        seen.add(`${before.kind} -> ${after.kind}`);
  expect([...seen].toSorted()).toEqual([...bySelf, 'half_open -> half_open'].toSorted());
});

const answerMs = 700;

/** Every call is answered, and the next is made as soon as it may. */
function recover(from: BreakerState, policy: BreakerPolicy, startMs: number) {
  let state = from;
  let nowMs = startMs;
  let probes = 0;
  for (let calls = 0; state.kind !== 'closed' && calls < 20; calls += 1) {
    const admission = admit(state, nowMs);
    if (admission.kind === 'closed_to_calls') {
      nowMs = admission.untilMs ?? Number.NaN;
      continue;
    }
    state = startProbe(state, nowMs);
    nowMs += answerMs;
    probes += 1;
    state = afterProbe(state, 'success', policy, nowMs, 0);
  }
  return { state, nowMs, probes };
}

const whys = fc.constantFrom('consecutive_failures' as const, 'failure_rate' as const, 'latency' as const);
const outages = { cooldownMs: fc.nat(900_000), why: whys, sinceMs: fc.nat(1_000_000) };
const states: fc.Arbitrary<BreakerState> = fc.oneof(
  fc.constant<BreakerState>({ kind: 'closed' }),
  fc.record({ kind: fc.constant('open' as const), untilMs: fc.option(fc.nat(2_000_000)), ...outages }),
  fc.record({ kind: fc.constant('half_open' as const), successes: fc.nat(9), ...outages }),
);

test('whatever is called at whatever state, only the next state is reached, and only a due one is left', () => {
  const nowMs = 1_000_000;
  const counts: fc.Arbitrary<BreakerCounts> = fc.record({
    ...{ consecutive: fc.nat(9), ok: fc.nat(99), failed: fc.nat(99), latencyMs: fc.nat(99_999) },
    usual: fc.record({ ok: fc.nat(99), failed: fc.nat(99), latencyMs: fc.nat(99_999) }),
  });
  fc.assert(
    fc.property(states, counts, outcomes, policies, randoms, (state, counted, outcome, policy, random) => {
      const next = [
        afterCounts(state, counted, policy, nowMs, random),
        afterProbe(state, outcome, policy, nowMs, random),
        startProbe(state, nowMs),
      ];
      for (const each of next.filter((one) => one.kind !== state.kind)) {
        expect(bySelf).toContain(`${state.kind} -> ${each.kind}`);
        expect(untilOf(state) ?? 0).toBeLessThanOrEqual(nowMs);
      }
      const { kind } = admit(state, nowMs);
      expect(kind === 'go').toBe(state.kind === 'closed');
      expect(kind === 'probe').toBe(startProbe(state, nowMs).kind === 'half_open');
    }),
  );
});
