/**
 * When a target is left alone, and how it comes back. Pure: the state, what was counted, clock and randomness come in,
 * the next state goes out.
 *
 * The shared store keeps plain counters and swaps states by version, so that of many workers that decide at once one
 * wins and the others read again. It lets one probe at a time through over the fleet, and counts an outcome only where
 * the state is still the one under which the call was let go: late results change nothing.
 */
import type { FailureKind } from '../domain/failure.ts';

export interface BreakerPolicy {
  /** Opens at so many failures in a row. */
  readonly consecutiveFailures: number;
  /** Opens at this share of failed calls in the window, from (0, 1]. */
  readonly failureRate: number;
  /** Fewer calls in the window say nothing of a rate or a mean. */
  readonly minimumCalls: number;
  /** How long an outcome counts for the rate. */
  readonly windowMs: number;
  /** How long it stays open at first, before the first probe; doubled by each probe that fails. */
  readonly cooldownMs: number;
  readonly maxCooldownMs: number;
  /** Probes that have to be answered before it closes. */
  readonly successesToClose: number;
  /** The share of failed calls that opens it follows what is usual for the target, once enough is known of that. */
  readonly isAdaptive: boolean;
  /** Opens early when calls take more than so many times their usual time; null: never. */
  readonly latencySpike: number | null;
}

export const defaultBreaker: BreakerPolicy = {
  consecutiveFailures: 5,
  failureRate: 0.5,
  minimumCalls: 10,
  windowMs: 60_000,
  cooldownMs: 60_000,
  maxCooldownMs: 600_000,
  successesToClose: 2,
  isAdaptive: false,
  latencySpike: null,
};

export type BreakerWhy = 'consecutive_failures' | 'failure_rate' | 'latency' | 'probe_failed' | 'manual';

/** What every state but `closed` remembers. */
interface Outage {
  /** The cooldown reached so far, without its jitter; 0: none, it was opened by hand. */
  readonly cooldownMs: number;
  /** Why it was opened last. */
  readonly why: BreakerWhy;
  /** When it left `closed`; failed probes and openings by hand leave it as it is. */
  readonly sinceMs: number;
}

export type BreakerState =
  | { readonly kind: 'closed' }
  /** No call is made. `untilMs`: when a probe may be; null: not until somebody closes it. */
  | ({ readonly kind: 'open'; readonly untilMs: number | null } & Outage)
  /** One probe at a time is made; `successes` of them were answered. */
  | ({ readonly kind: 'half_open'; readonly successes: number } & Outage);

/** What the store counted of a target since it closed; calls that were probes, or ended as `neither`, are in none. */
export interface BreakerCounts {
  /** Failures since the last success, however long ago. */
  readonly consecutive: number;
  /** Of the window. */
  readonly ok: number;
  readonly failed: number;
  /** Latencies of the window's successes, summed up. */
  readonly latencyMs: number;
  /** The same of what is usual, fading over half an hour; it outlives a closing. */
  readonly usual: { readonly ok: number; readonly failed: number; readonly latencyMs: number };
}

/** What the end of a call says of the target; `neither`: nothing. */
export type Outcome = 'success' | 'failure' | 'neither';

const failures: ReadonlySet<FailureKind> = new Set([
  'overloaded',
  'server_error',
  'timeout',
  'network',
  'stream_interrupted',
  'unknown',
]);
/** The model has answered, if not what was asked for. */
const answers: ReadonlySet<FailureKind> = new Set(['refusal', 'bad_output']);

/** @param result `stopped`: we ended the call ourselves, by a cancel or a shutdown */
export function outcomeOf(
  result: { kind: 'answer' } | { kind: 'failure'; failure: FailureKind } | { kind: 'stopped' },
): Outcome {
  if (result.kind === 'answer') return 'success';
  if (result.kind === 'stopped') return 'neither';
  if (failures.has(result.failure)) return 'failure';
  return answers.has(result.failure) ? 'success' : 'neither';
}

/**
 * The state after an ordinary call was counted; the same object when nothing changes.
 * @param random from [0, 1)
 */
export function afterCounts(
  state: BreakerState,
  counts: BreakerCounts,
  policy: BreakerPolicy,
  nowMs: number,
  random: number,
): BreakerState {
  if (state.kind !== 'closed') return state;
  const why = openingReason(counts, policy);
  return why === null ? state : opened({ cooldownMs: 0, why, sinceMs: nowMs }, policy, nowMs, random);
}

/**
 * The state after the probe that held the turn has ended; the same object when nothing changes.
 * @param random from [0, 1)
 */
export function afterProbe(
  state: BreakerState,
  outcome: Outcome,
  policy: BreakerPolicy,
  nowMs: number,
  random: number,
): BreakerState {
  if (state.kind !== 'half_open' || outcome === 'neither') return state;
  if (outcome === 'failure') return opened({ ...outageOf(state), why: 'probe_failed' }, policy, nowMs, random);
  const successes = state.successes + 1;
  return successes >= policy.successesToClose ? closed : { ...state, successes };
}

/** What a call may do now. `probe`: go, if the store gives it the turn. `closed_to_calls`: as the state's `untilMs`. */
export type Admission =
  | { readonly kind: 'go' }
  | { readonly kind: 'probe' }
  | { readonly kind: 'closed_to_calls'; readonly untilMs: number | null };

export function admit(state: BreakerState, nowMs: number): Admission {
  if (state.kind === 'closed') return { kind: 'go' };
  if (state.kind === 'half_open' || isDue(state, nowMs)) return { kind: 'probe' };
  return { kind: 'closed_to_calls', untilMs: state.untilMs };
}

/** The state while a probe is under way; the same object when nothing changes. */
export function startProbe(state: BreakerState, nowMs: number): BreakerState {
  if (state.kind !== 'open' || !isDue(state, nowMs)) return state;
  return { kind: 'half_open', successes: 0, ...outageOf(state) };
}

/**
 * Opens it, whatever it counted; the same object where it stays open as long without that.
 * @param untilMs null: until somebody closes it. A later deadline that is running stays; to shorten it, close it first
 */
export function openByHand(state: BreakerState, untilMs: number | null, nowMs: number): BreakerState {
  const isRunning = state.kind === 'open' && !isDue(state, nowMs);
  if (isRunning && endOf(state.untilMs) >= endOf(untilMs)) return state;
  const { cooldownMs, sinceMs } = state.kind === 'closed' ? { cooldownMs: 0, sinceMs: nowMs } : state;
  return { kind: 'open', untilMs, cooldownMs, why: 'manual', sinceMs };
}

/** Closes it, and forgets the cooldown it had reached. */
export const closeByHand = (): BreakerState => closed;

/**
 * The state of a provider from those of its targets. `degraded`: some can be called, some cannot; `half_open`: none can,
 * and at least one is being tried.
 */
export function rollUp(states: readonly BreakerState[]): 'closed' | 'degraded' | 'open' | 'half_open' {
  const kinds = new Set(states.map(({ kind }) => kind));
  if (!kinds.has('open') && !kinds.has('half_open')) return 'closed';
  if (kinds.has('closed')) return 'degraded';
  return kinds.has('half_open') ? 'half_open' : 'open';
}

const closed: BreakerState = { kind: 'closed' };

type OpenState = Extract<BreakerState, { kind: 'open' }>;
const isDue = ({ untilMs }: OpenState, nowMs: number): boolean => nowMs >= endOf(untilMs);
const endOf = (untilMs: number | null): number => untilMs ?? Number.POSITIVE_INFINITY;

const outageOf = ({ cooldownMs, why, sinceMs }: Outage): Outage => ({ cooldownMs, why, sinceMs });

/** Twice the cooldown reached so far; spread by a fifth to both sides, so that targets that fell together part. */
function opened(outage: Outage, policy: BreakerPolicy, nowMs: number, random: number): BreakerState {
  const cooldownMs = Math.min(policy.maxCooldownMs, Math.max(policy.cooldownMs, 2 * outage.cooldownMs));
  const untilMs = Math.floor(nowMs + cooldownMs * (0.8 + 0.4 * random));
  return { kind: 'open', untilMs, ...outage, cooldownMs };
}

/** null: it stays closed. */
function openingReason(counts: BreakerCounts, policy: BreakerPolicy): BreakerWhy | null {
  const { consecutive, ok, failed } = counts;
  if (consecutive >= policy.consecutiveFailures) return 'consecutive_failures';
  const calls = ok + failed;
  if (calls >= policy.minimumCalls && failed / calls >= thresholdOf(counts, policy)) return 'failure_rate';
  return isSpike(counts, policy) ? 'latency' : null;
}

/** Fewer calls do not say what is usual. */
const fewestUsual = 50;

/** The share of failed calls that opens it. */
function thresholdOf({ usual }: BreakerCounts, { isAdaptive, failureRate }: BreakerPolicy): number {
  const calls = usual.ok + usual.failed;
  if (!isAdaptive || calls < fewestUsual) return failureRate;
  // Twice what is usual and a little: one that never fails opens early, one that often does is given more room.
  return Math.min(0.9, Math.max(0.2, 2 * (usual.failed / calls) + 0.1));
}

function isSpike({ ok, latencyMs, usual }: BreakerCounts, { latencySpike, minimumCalls }: BreakerPolicy): boolean {
  if (latencySpike === null || ok < minimumCalls || usual.ok < fewestUsual) return false;
  // Below a millisecond the clock says no more: what usually takes none has not become endless by taking one.
  return latencyMs / ok > latencySpike * Math.max(1, usual.latencyMs / usual.ok);
}
