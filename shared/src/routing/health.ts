/**
 * Whether a provider's address is well. Pure: what happened comes in, the next record and a change worth telling go out.
 *
 * Calls speak first: they cost nothing and say most. A probe asks only what bills nothing, and only where no call has
 * been made for a while. A server that loads its model is `loading`, which is not dead.
 */
import type { FailureKind } from '../domain/failure.ts';

export type HealthStatus = 'unknown' | 'healthy' | 'unhealthy' | 'loading';

export interface Health {
  readonly status: HealthStatus;
  readonly changedAtMs: number;
  /** When it was last called or asked; null: never. */
  readonly checkedAtMs: number | null;
  readonly consecutiveFailures: number;
  readonly consecutiveSuccesses: number;
  /** The last calls, oldest first: latency in ms; negative for a failed one. */
  readonly calls: readonly number[];
  /** Seconds in all that it was well, and that it was watched. */
  readonly healthyS: number;
  readonly watchedS: number;
  readonly lastFailure: string | null;
}

export interface Observation {
  /** `call`: a job's. `probe`: a question that bills nothing; it has no place among the latencies of calls. */
  readonly by: 'call' | 'probe';
  readonly kind: 'success' | 'failure' | 'loading';
  readonly latencyMs: number;
  readonly failure: string | null;
  readonly atMs: number;
}

export interface HealthPolicy {
  readonly failuresToUnhealthy: number;
  readonly successesToRecover: number;
  /** Of the calls kept, from [0, 1]. */
  readonly leastSuccessRate: number;
  /** Time without any observation longer than this counts as unwatched. */
  readonly everyMs: number;
}

export type HealthChange = 'unhealthy' | 'recovered' | null;

export const keptCalls = 100;
/** A rate over a handful of calls says nothing. */
const fewestForRate = 20;

export const unknownHealth = (nowMs: number): Health => ({
  status: 'unknown',
  changedAtMs: nowMs,
  checkedAtMs: null,
  consecutiveFailures: 0,
  consecutiveSuccesses: 0,
  calls: [],
  healthyS: 0,
  watchedS: 0,
  lastFailure: null,
});

/** Failures that speak of the server, not of the request, the credential or a limit. */
const ofServer: ReadonlySet<FailureKind> = new Set([
  'overloaded',
  'server_error',
  'timeout',
  'network',
  'stream_interrupted',
  'unknown',
]);

/** What a call that ended says of the server; null: nothing. */
export function observationOfCall(failure: FailureKind | null, latencyMs: number, atMs: number): Observation | null {
  if (failure === null) return { by: 'call', kind: 'success', latencyMs, failure: null, atMs };
  if (failure === 'model_loading') return { by: 'call', kind: 'loading', latencyMs, failure, atMs };
  return ofServer.has(failure) ? { by: 'call', kind: 'failure', latencyMs, failure, atMs } : null;
}

/** @param observations in the order of their time */
export function observe(
  health: Health,
  observations: readonly Observation[],
  policy: HealthPolicy,
): { readonly health: Health; readonly change: HealthChange } {
  let next = health;
  for (const each of observations) next = observeOne(next, each, policy);
  const wasIll = health.status === 'unhealthy';
  const isIll = next.status === 'unhealthy';
  return { health: next, change: wasIll === isIll ? null : isIll ? 'unhealthy' : 'recovered' };
}

function observeOne(health: Health, seen: Observation, policy: HealthPolicy): Health {
  const consecutiveFailures = seen.kind === 'failure' ? health.consecutiveFailures + 1 : 0;
  const consecutiveSuccesses = seen.kind === 'success' ? health.consecutiveSuccesses + 1 : 0;
  const calls =
    seen.by === 'call' && seen.kind !== 'loading'
      ? [...health.calls, Math.round(seen.kind === 'success' ? seen.latencyMs : -seen.latencyMs - 1)].slice(-keptCalls)
      : health.calls;
  const counted = { ...health, ...watched(health, seen, policy), consecutiveFailures, consecutiveSuccesses, calls };
  const status = statusAfter(counted, seen, policy);
  return {
    ...counted,
    status,
    changedAtMs: status === health.status ? health.changedAtMs : seen.atMs,
    checkedAtMs: Math.max(seen.atMs, health.checkedAtMs ?? 0),
    lastFailure: seen.failure ?? health.lastFailure,
  };
}

function statusAfter(health: Health, seen: Observation, policy: HealthPolicy): HealthStatus {
  if (seen.kind === 'loading') return 'loading';
  const isTooOften = health.calls.length >= fewestForRate && successRate(health) < policy.leastSuccessRate;
  if (health.consecutiveFailures >= policy.failuresToUnhealthy) return 'unhealthy';
  if (health.status === 'unhealthy')
    return health.consecutiveSuccesses >= policy.successesToRecover ? 'healthy' : 'unhealthy';
  if (seen.kind === 'failure' && isTooOften) return 'unhealthy';
  return seen.kind === 'success' ? 'healthy' : health.status;
}

/** The time since the last look belongs to the status it had; a longer silence to none. */
function watched(health: Health, { atMs }: Observation, { everyMs }: HealthPolicy) {
  const sinceMs = health.checkedAtMs === null ? 0 : Math.max(0, atMs - health.checkedAtMs);
  const countedS = sinceMs > 3 * everyMs ? 0 : sinceMs / 1_000;
  return {
    watchedS: health.watchedS + countedS,
    healthyS: health.healthyS + (health.status === 'unhealthy' ? 0 : countedS),
  };
}

/** Of the calls kept, from [0, 1]; 1 when there are none. */
export const successRate = ({ calls }: Pick<Health, 'calls'>): number =>
  calls.length === 0 ? 1 : calls.filter((latency) => latency >= 0).length / calls.length;
