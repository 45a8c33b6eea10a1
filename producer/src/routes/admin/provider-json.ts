/**
 * A provider as an operator sees it: as configured, as switched, and what the fleet has seen of it. Pure.
 *
 * Never a secret: credentials are named, addresses come without their query. What nobody knows is `unknown`, or null.
 */
import { credentialRefs } from '@waybill/shared/config/credential-refs.ts';
import type { CredentialSettings, ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { type Health, type HealthStatus, successRate } from '@waybill/shared/routing/health.ts';
import type { Pauses } from '@waybill/shared/routing/pauses.ts';
import type { KnownHealth } from '@waybill/shared/store/health.ts';

export interface EndpointJson {
  readonly url: string;
  /** Calls at once per model at this address; null: the provider's. */
  readonly concurrency: number | null;
  readonly status: HealthStatus;
  readonly changed_at: string | null;
  readonly checked_at: string | null;
  /** Of the last 100 calls, from [0, 1]; null: none was made. */
  readonly success_rate: number | null;
  readonly calls: number;
  /** Of the calls that succeeded. */
  readonly latency_p50_ms: number | null;
  readonly latency_p95_ms: number | null;
  /** Share of the time it was watched, from [0, 1]. */
  readonly availability: number | null;
  readonly consecutive_failures: number;
  readonly consecutive_successes: number;
  readonly last_failure: string | null;
}

export interface PauseJson {
  readonly scope: string;
  /** What of the provider it is about: a model, an account, a credential, an address by its number; null: all of it. */
  readonly subject: string | null;
  readonly kind: string;
  readonly until: string;
}

export interface ProviderJson {
  readonly object: 'provider';
  readonly id: string;
  readonly preset: string;
  readonly dialect: string;
  readonly enabled: boolean;
  readonly enabled_by: 'configuration' | 'switch';
  readonly status: HealthStatus;
  readonly labels: readonly string[];
  readonly endpoints: readonly EndpointJson[];
  readonly credentials: readonly {
    readonly name: string;
    readonly account: string;
    readonly source: 'configuration' | 'environment' | 'file' | 'stored';
  }[];
  readonly models: readonly string[];
  readonly chains: readonly string[];
  readonly pauses: readonly PauseJson[];
}

/** What the stores hold beside the configuration. */
export interface SeenOfProviders {
  readonly switches: ReadonlyMap<string, boolean>;
  readonly pauses: Pauses;
  readonly health: readonly KnownHealth[];
  /** The ids of stored credentials as they are now, by name. */
  readonly storedIds: ReadonlyMap<string, string>;
  readonly nowMs: number;
}

export function providerJson(provider: ProviderSettings, settings: Settings, seen: SeenOfProviders): ProviderJson {
  const switched = seen.switches.get(provider.id);
  const endpoints = provider.endpoints.map(({ url, concurrency }, index): EndpointJson => {
    const known = seen.health.find((each) => each.provider === provider.id && each.endpoint === index + 1);
    return { url: withoutQuery(url), concurrency, ...healthJson(known?.health ?? null) };
  });
  const chains = Object.values(settings.chains).map(({ name, targets }) => ({
    name,
    models: targets.map(splitTarget).flatMap((target) => (target.provider === provider.id ? [target.model] : [])),
  }));
  return {
    object: 'provider',
    id: provider.id,
    preset: provider.preset,
    dialect: provider.dialect,
    enabled: switched ?? provider.enabled,
    enabled_by: switched === undefined ? 'configuration' : 'switch',
    status: bestOf(endpoints.map(({ status }) => status)),
    labels: provider.labels,
    endpoints,
    credentials: provider.credentials.map((each) => ({
      name: each.name,
      account: each.account,
      source: sourceOf(each),
    })),
    models: [...new Set([...Object.keys(provider.models), ...chains.flatMap(({ models }) => models)])],
    chains: chains.flatMap(({ name, models }) => (models.length > 0 ? [name] : [])),
    pauses: pausesOf(provider, seen),
  };
}

/** An address may carry a secret in its query. */
const withoutQuery = (url: string): string => url.replace(/[?#].*$/s, '');

/** What the file itself holds has no name of its own. */
const sourceOf = ({ name, source }: CredentialSettings) =>
  source.kind !== 'fixed' ? source.kind : name === 'api_key' ? 'configuration' : 'environment';

/** One address that is well can serve; else what is nearest to it. */
const bestOf = (statuses: readonly HealthStatus[]): HealthStatus =>
  (['healthy', 'loading', 'unhealthy'] as const).find((each) => statuses.includes(each)) ?? 'unknown';

const isoOf = (ms: number): string => new Date(ms).toISOString();

function healthJson(health: Health | null): Omit<EndpointJson, 'url' | 'concurrency'> {
  const latencies = (health?.calls ?? []).filter((each) => each >= 0).toSorted((a, b) => a - b);
  return {
    status: health?.status ?? 'unknown',
    changed_at: health === null ? null : isoOf(health.changedAtMs),
    checked_at: health === null || health.checkedAtMs === null ? null : isoOf(health.checkedAtMs),
    success_rate: health === null || health.calls.length === 0 ? null : rounded(successRate(health)),
    calls: health?.calls.length ?? 0,
    latency_p50_ms: percentile(latencies, 0.5),
    latency_p95_ms: percentile(latencies, 0.95),
    availability: health === null || health.watchedS <= 0 ? null : rounded(health.healthyS / health.watchedS),
    consecutive_failures: health?.consecutiveFailures ?? 0,
    consecutive_successes: health?.consecutiveSuccesses ?? 0,
    last_failure: health?.lastFailure ?? null,
  };
}

const rounded = (share: number): number => Math.round(share * 10_000) / 10_000;

/** The nearest rank. @param sorted the smallest first */
const percentile = (sorted: readonly number[], share: number): number | null =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;

/** `credential:openai/OPENAI_API_KEY#1a2b3c4d` in its parts; null: of another provider. */
export function partsOfScope(key: string, providerId: string): { scope: string; subject: string | null } | null {
  const [, scope = '', provider = '', subject] = /^([a-z_]+):([^/]+)(?:\/(.*))?$/s.exec(key) ?? [];
  return provider === providerId ? { scope, subject: subject ?? null } : null;
}

function pausesOf(provider: ProviderSettings, { pauses, nowMs, storedIds }: SeenOfProviders): PauseJson[] {
  const ids = currentIds(provider, storedIds);
  return [...pauses].flatMap(([key, { kind, untilMs }]): PauseJson[] => {
    const parts = partsOfScope(key, provider.id);
    if (!parts || untilMs <= nowMs || isOfFormerSecret(parts, ids)) return [];
    const subject = parts.subject === null ? null : withoutMark(parts.subject);
    return [{ scope: parts.scope, subject, kind, until: isoOf(untilMs) }];
  });
}

/** By name. A file is read anew by the workers: what its mark is now is not known here. */
const currentIds = (provider: ProviderSettings, storedIds: ReadonlyMap<string, string>): Map<string, string> =>
  new Map(
    credentialRefs(provider).flatMap(({ id }, index): [string, string][] => {
      const credential = provider.credentials[index];
      if (!credential || credential.source.kind === 'file') return [];
      return [[credential.name, credential.source.kind === 'stored' ? (storedIds.get(credential.name) ?? '') : id]];
    }),
  );

/** The pause of a credential whose secret was replaced since holds nobody back. */
function isOfFormerSecret(parts: { scope: string; subject: string | null }, ids: ReadonlyMap<string, string>): boolean {
  const [, name = '', mark] = /^(.*?)(#[0-9a-f]{8})(?:\/|$)/s.exec(parts.subject ?? '') ?? [];
  const current = ids.get(name);
  return parts.scope.startsWith('credential') && current !== undefined && current !== `${name}${mark ?? ''}`;
}

/** The mark is of use to the fleet alone. */
const withoutMark = (subject: string): string => subject.replace(/#[0-9a-f]{8}(?=\/|$)/, '');
