/** Breakers as an operator sees them: each target's, and what they come to for its provider. Pure. */
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { BreakerReading, UsualCalls } from '@waybill/shared/coordination/coordination.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { admit, type BreakerState, type BreakerWhy, rollUp } from '@waybill/shared/routing/breaker.ts';
import { wholeProvider } from '@waybill/shared/routing/target-facts.ts';

interface StateJson {
  readonly state: BreakerState['kind'];
  /** Why it was opened last; null: it is closed. */
  readonly why: BreakerWhy | null;
  /** When it left `closed`. */
  readonly since: string | null;
  /** When it lets the first probe through; null: it is not open, or stays open until somebody closes it. */
  readonly until: string | null;
}

export interface BreakerJson extends StateJson {
  readonly object: 'breaker';
  readonly target: string;
  readonly provider: string;
  /** A chain or the provider's `models` name it. */
  readonly is_configured: boolean;
  /** Probes that were answered since it is half-open. */
  readonly successes: number;
  /** What was counted since it closed, as far back as `breaker.window`. */
  readonly counts: {
    readonly calls: number;
    readonly failed: number;
    /** Failures since the last success, however long ago. */
    readonly consecutive_failures: number;
    /** Of the window's answers, on average; null: none. */
    readonly latency_ms: number | null;
  };
  /** Fading over half an hour; null: nothing is known. */
  readonly usual: { readonly latency_ms: number | null; readonly reliability: number | null };
}

export interface ProviderBreakerJson {
  readonly object: 'provider_breaker';
  readonly provider: string;
  /** `degraded`: some of its targets can be called, some cannot. */
  readonly state: ReturnType<typeof rollUp>;
  /** All of the provider was opened by hand; null: it was not. */
  readonly opened: { readonly since: string; readonly until: string | null } | null;
}

export interface BreakerList {
  readonly object: 'list';
  readonly data: readonly BreakerJson[];
  readonly providers: readonly ProviderBreakerJson[];
}

/** The targets that chains and models name. */
export function configuredTargets({ chains, providers }: Settings): string[] {
  const models = Object.values(providers).flatMap(({ id, models: named }) =>
    Object.keys(named).map((model) => `${id}/${model}`),
  );
  const chained = Object.values(chains).flatMap(({ targets }) => targets);
  return [...new Set([...chained, ...models])].toSorted();
}

export const isWholeProvider = (target: string): boolean => splitTarget(target).model === '*';

export interface SeenOfBreakers {
  /** Of single targets. */
  readonly readings: readonly BreakerReading[];
  readonly usual: ReadonlyMap<string, UsualCalls>;
  /** By `provider/*`, where all of a provider was opened by hand. */
  readonly whole: ReadonlyMap<string, BreakerState>;
  readonly nowMs: number;
}

export function breakerList(settings: Settings, seen: SeenOfBreakers): BreakerList {
  const configured = new Set(configuredTargets(settings));
  const data = seen.readings
    .map((reading) => breakerJson(reading, seen.usual.get(reading.target), configured.has(reading.target)))
    .toSorted((a, b) => (a.target < b.target ? -1 : 1));
  const states = Map.groupBy(seen.readings, ({ target }) => splitTarget(target).provider);
  const providers = [...new Set([...Object.keys(settings.providers), ...states.keys()])].map((id) =>
    providerJson(
      id,
      (states.get(id) ?? []).map(({ state }) => state),
      seen,
    ),
  );
  return { object: 'list', data, providers };
}

const nothingUsual: UsualCalls = { latencyMs: null, reliability: null };

function breakerJson(
  { target, state, counts }: BreakerReading,
  usual: UsualCalls = nothingUsual,
  isConfigured: boolean,
): BreakerJson {
  const { ok, failed, consecutive, latencyMs } = counts;
  return {
    object: 'breaker',
    target,
    provider: splitTarget(target).provider,
    ...stateJson(state),
    is_configured: isConfigured,
    successes: state.kind === 'half_open' ? state.successes : 0,
    counts: {
      calls: ok + failed,
      failed,
      consecutive_failures: consecutive,
      latency_ms: ok === 0 ? null : Math.round(latencyMs / ok),
    },
    usual: {
      latency_ms: usual.latencyMs === null ? null : Math.round(usual.latencyMs),
      reliability: usual.reliability === null ? null : Math.round(usual.reliability * 1_000) / 1_000,
    },
  };
}

const stateJson = (state: BreakerState): StateJson =>
  state.kind === 'closed'
    ? { state: 'closed', why: null, since: null, until: null }
    : {
        state: state.kind,
        why: state.why,
        since: isoOf(state.sinceMs),
        until: state.kind === 'open' && state.untilMs !== null ? isoOf(state.untilMs) : null,
      };

function providerJson(
  provider: string,
  states: readonly BreakerState[],
  { whole, nowMs }: SeenOfBreakers,
): ProviderBreakerJson {
  const own = whole.get(wholeProvider(`${provider}/`));
  const isShut = own?.kind === 'open' && admit(own, nowMs).kind === 'closed_to_calls';
  return {
    object: 'provider_breaker',
    provider,
    state: isShut ? 'open' : rollUp(states),
    opened: isShut ? { since: isoOf(own.sinceMs), until: own.untilMs === null ? null : isoOf(own.untilMs) } : null,
  };
}

const isoOf = (ms: number): string => new Date(ms).toISOString();
