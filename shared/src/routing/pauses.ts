/**
 * Pauses: what is left alone for a while after a failure, and what that leaves open of a target. Pure.
 *
 * A scope is a key such as `account_model:openai/main/gpt-4.1-mini`; whatever its kind, its provider stands first, so
 * that all pauses of a provider are kept together.
 */
import { type Place, placesOf } from '../config/model-settings.ts';
import type { ProviderSettings } from '../config/settings.ts';
import type { PauseScope } from '../domain/failure.ts';
import { splitTarget } from '../domain/job.ts';
import type { CredentialRef } from '../security/credential-id.ts';

export interface Pause {
  readonly kind: string;
  readonly untilMs: number;
}
/** By scope. */
export type Pauses = ReadonlyMap<string, Pause>;

/** What a call used. */
export interface PauseSubject {
  readonly target: string;
  readonly account: string;
  /** null: the server asks for none. */
  readonly credentialId: string | null;
  /** Of the provider's endpoints, counted from 1. */
  readonly endpoint: number;
}

export function pauseScopeKey(scope: PauseScope, { target, account, credentialId, endpoint }: PauseSubject): string {
  const { provider, model } = splitTarget(target);
  const credential = credentialId ?? 'none';
  switch (scope) {
    case 'provider':
      return `${scope}:${provider}`;
    case 'model':
      return `${scope}:${provider}/${model}`;
    case 'endpoint':
      return `${scope}:${provider}/${endpoint}`;
    case 'account':
      return `${scope}:${provider}/${account}`;
    case 'account_model':
      return `${scope}:${provider}/${account}/${model}`;
    case 'credential':
      return `${scope}:${provider}/${credential}`;
    case 'credential_model':
      return `${scope}:${provider}/${credential}/${model}`;
  }
}

/** What may be called now, and when that changes. */
export interface OpenPlaces {
  readonly places: readonly Place[];
  /** Credentials that may be used, by account; empty for a server that asks for none. */
  readonly credentials: readonly CredentialRef[];
  /** When there is no place: the earliest that one opens; null when there is one, or none is configured. */
  readonly closedUntilMs: number | null;
  /** When there is no place: why. `limited`: nothing but limits, which end by themselves. */
  readonly closedBy: 'limits' | 'credentials' | 'failures' | null;
}

const limits: ReadonlySet<string> = new Set(['rate_limit', 'quota_period']);

export function openPlaces(
  provider: ProviderSettings,
  target: string,
  credentials: readonly CredentialRef[],
  pauses: Pauses,
  nowMs: number,
): OpenPlaces {
  const { model } = splitTarget(target);
  const kinds = new Set<string>();
  const untilOf = (scopes: readonly PauseScope[], subject: Partial<PauseSubject>): number => {
    let until = 0;
    if (pauses.size === 0) return until;
    for (const scope of scopes) {
      const key = pauseScopeKey(scope, { target, account: '', credentialId: null, endpoint: 1, ...subject });
      const pause = pauses.get(key);
      if (pause === undefined || pause.untilMs <= nowMs) continue;
      kinds.add(pause.kind);
      until = Math.max(until, pause.untilMs);
    }
    return until;
  };
  const wholeUntil = untilOf(['provider', 'model'], {});
  const credentialUntil = (each: CredentialRef): number =>
    untilOf(['credential', 'credential_model', 'account', 'account_model'], {
      account: each.account,
      credentialId: each.id,
    });
  const usable = credentials.filter((each) => credentialUntil(each) <= nowMs);
  const opensAt = ({ account, endpoint }: Place): number => {
    const own = credentials.filter((each) => each.account === account);
    const isWithout = provider.credentials.length === 0;
    const accountUntil = isWithout
      ? untilOf(['credential', 'credential_model', 'account', 'account_model'], { account })
      : Math.min(Number.POSITIVE_INFINITY, ...own.map(credentialUntil));
    const index = provider.endpoints.findIndex(({ url }) => url === endpoint) + 1;
    return Math.max(wholeUntil, accountUntil, untilOf(['endpoint'], { endpoint: index }));
  };
  const all = placesOf(provider, model);
  const places = wholeUntil > nowMs ? [] : all.filter((place) => opensAt(place) <= nowMs);
  const earliest = Math.min(...all.map(opensAt));
  const closedBy = (): OpenPlaces['closedBy'] => {
    if (kinds.size > 0 && kinds.isSubsetOf(limits)) return 'limits';
    const isWithout = provider.credentials.length > 0 && usable.length === 0;
    return wholeUntil <= nowMs && isWithout ? 'credentials' : 'failures';
  };
  return {
    places,
    credentials: usable,
    closedUntilMs: places.length === 0 && Number.isFinite(earliest) ? earliest : null,
    closedBy: places.length > 0 ? null : closedBy(),
  };
}
