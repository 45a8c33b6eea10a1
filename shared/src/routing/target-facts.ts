/** What the settings and the shared state say about a target, in the form `candidates` reads. */
import { modelSettings, rateLimitsOf } from '../config/model-settings.ts';
import type { ProviderSettings, Settings } from '../config/settings.ts';
import { splitTarget } from '../domain/job.ts';
import { dialectOf } from '../providers/dialects.ts';
import { lackedBy } from '../providers/quirks.ts';
import type { CredentialRef } from '../security/credential-id.ts';
import { admit, type BreakerState } from './breaker.ts';
import type { TargetFacts } from './candidates.ts';
import { rateLimits } from './limits.ts';
import { openPlaces, type Pauses } from './pauses.ts';

export interface SharedState {
  readonly pauses: Pauses;
  /** Those that are not closed, by target. */
  readonly breakers: ReadonlyMap<string, BreakerState>;
  /** Providers that an operator has switched on or off; the others are as configured. */
  readonly switches: ReadonlyMap<string, boolean>;
  /** Context windows that servers say of themselves, by target. */
  readonly windows: ReadonlyMap<string, number>;
  /** The credentials of a provider as this process has read them. */
  readonly credentialsOf: (provider: ProviderSettings) => readonly CredentialRef[];
}

const closedWhy = { limits: 'limited', credentials: 'credentials_exhausted', failures: 'paused' } as const;

const unconfigured: TargetFacts = {
  isConfigured: false,
  isEnabled: false,
  labels: [],
  capabilities: null,
  lacks: [],
  contextWindow: null,
  limits: [],
  breaker: null,
  closed: null,
};

export function targetFacts(settings: Settings, state: SharedState, nowMs: number): (target: string) => TargetFacts {
  return (target) => {
    const { provider: id, model } = splitTarget(target);
    const provider = settings.providers[id];
    if (!provider) return unconfigured;
    const known = modelSettings(provider, model);
    const open = openPlaces(provider, target, state.credentialsOf(provider), state.pauses, nowMs);
    const dialect = dialectOf(provider.dialect);
    return {
      isConfigured: true,
      isEnabled: state.switches.get(id) ?? provider.enabled,
      labels: provider.labels,
      capabilities: known.capabilities,
      lacks: [...dialect.lacks, ...provider.lacks, ...lackedBy(provider.quirks), ...known.lacks],
      contextWindow: provider.models[model]?.contextWindow ?? state.windows.get(target) ?? known.contextWindow,
      limits: rateLimits(rateLimitsOf(provider, model)),
      breaker: breakerOf(target, state.breakers, nowMs),
      closed: open.closedBy === null ? null : { why: closedWhy[open.closedBy], untilMs: open.closedUntilMs },
    };
  };
}

/** All targets of a provider, where an operator has opened them together. */
export const wholeProvider = (target: string): string => `${splitTarget(target).provider}/*`;

/** Opened by itself and together with all of its provider, the later end counts. */
function breakerOf(target: string, breakers: SharedState['breakers'], nowMs: number): TargetFacts['breaker'] {
  const own = breakers.get(target);
  const ends = [breakers.get(wholeProvider(target)), own].flatMap((state) => {
    const admission = state === undefined ? null : admit(state, nowMs);
    return admission?.kind === 'closed_to_calls' ? [admission.untilMs ?? Number.POSITIVE_INFINITY] : [];
  });
  if (ends.length > 0) {
    const untilMs = Math.max(...ends);
    return { kind: 'open', untilMs: Number.isFinite(untilMs) ? untilMs : null };
  }
  return own === undefined || own.kind === 'closed' ? null : { kind: 'half_open' };
}
