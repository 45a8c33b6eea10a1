/** The configuration in force: resolved, defaulted, and the same in all parts of the process. */
import type { Capability } from '../chat/capabilities.ts';
import type { ChatParams } from '../chat/request.ts';
import type { FailureAction, FailureKind } from '../domain/failure.ts';
import type { Priority } from '../domain/job.ts';
import type { ConfiguredPrice } from '../pricing/price.ts';
import type { UnreadFiles } from '../privacy/content-strings.ts';
import type { DetectorKind } from '../privacy/detectors.ts';
import type { DialectName } from '../providers/dialect.ts';
import type { Quirks } from '../providers/quirks.ts';
import type { Timeouts } from '../providers/transport.ts';
import type { BreakerPolicy } from '../routing/breaker.ts';
import type { BudgetRule } from '../routing/budgets.ts';
import type { Secret } from '../security/secret.ts';
import type { modes, strategies } from './schema.ts';

/** Per account and model; null: no limit. */
export interface RateLimits {
  readonly requestsPerMinute: number | null;
  readonly requestsPerDay: number | null;
  /** Input and output together. */
  readonly tokensPerMinute: number | null;
  readonly tokensPerDay: number | null;
  readonly inputTokensPerMinute: number | null;
  readonly outputTokensPerMinute: number | null;
}

export interface ModelSettings {
  readonly concurrency: number | null;
  /** Those named for the model; the others are the provider's. */
  readonly limits: Partial<RateLimits>;
  readonly contextWindow: number | null;
  /** null: unknown, which passes. */
  readonly capabilities: readonly Capability[] | null;
  readonly price: ConfiguredPrice | null;
  /** The name the server knows; null: the model's own. */
  readonly servedAs: string | null;
  readonly defaults: ChatParams;
}

/** Where a credential's secret is read from. It is read again while the process runs: a new one heals without restart. */
export type CredentialSource =
  | { readonly kind: 'fixed'; readonly secret: Secret }
  | { readonly kind: 'file'; readonly path: string; readonly secret: Secret }
  | { readonly kind: 'stored' };

export interface CredentialSettings {
  readonly name: string;
  /** What the provider limits. Credentials of one account share its limits. */
  readonly account: string;
  readonly source: CredentialSource;
}

export interface EndpointSettings {
  readonly url: string;
  /** Calls at once per model at this address; null: the provider's. */
  readonly concurrency: number | null;
}

export interface HealthSettings {
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly failuresToUnhealthy: number;
  readonly successesToRecover: number;
  /** Of the last 100 calls, from [0, 1]. */
  readonly leastSuccessRate: number;
  readonly isProbed: boolean;
}

export interface ProviderSettings {
  readonly id: string;
  readonly dialect: DialectName;
  readonly preset: string;
  readonly endpoints: readonly EndpointSettings[];
  readonly enabled: boolean;
  /** Empty: the server asks for none. */
  readonly credentials: readonly CredentialSettings[];
  /** `anthropic-version`, or Azure's `api-version`; null: the dialect's own default. */
  readonly apiVersion: string | null;
  /** Sent with every request; values may be secrets. */
  readonly headers: Readonly<Record<string, Secret>>;
  readonly labels: readonly string[];
  readonly isLocal: boolean;
  /** Calls at once per model, over the fleet. */
  readonly concurrency: number;
  readonly limits: RateLimits;
  readonly health: HealthSettings;
  readonly timeouts: Timeouts;
  readonly quirks: Quirks;
  /** Capabilities no model of it has. */
  readonly lacks: readonly Capability[];
  readonly pricesAs: string | null;
  readonly models: Readonly<Record<string, ModelSettings>>;
}

export interface BackoffSettings {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: 'full' | 'none';
}

export type Strategy = (typeof strategies)[number];
export type Mode = (typeof modes)[number];

export interface ScoreWeights {
  readonly cost: number;
  readonly latency: number;
  readonly reliability: number;
}

export interface ChainSettings {
  readonly name: string;
  /** All of them, tier by tier. */
  readonly targets: readonly string[];
  /** In the order of their turn; the targets of one tier share its turn. */
  readonly tiers: readonly (readonly string[])[];
  /** Of a target among those it is balanced with; 1 where none is named. */
  readonly weights: Readonly<Record<string, number>>;
  /** What a target adds to the request, or puts in its place. */
  readonly params: Readonly<Record<string, ChatParams>>;
  readonly strategy: Strategy;
  readonly score: ScoreWeights;
  readonly mode: Mode;
  readonly sameTargetRetries: number;
  readonly maxAttempts: number;
  /** How long a job waits for a limit before it falls back; null: for ever. */
  readonly onLimitMs: Readonly<Record<Priority, number | null>>;
  readonly onUnavailable: 'next' | 'cheapest';
  readonly backoff: BackoffSettings;
  readonly on: Readonly<Partial<Record<FailureKind, FailureAction>>>;
  readonly timeouts: Partial<Timeouts>;
  readonly onLength: 'accept' | 'fallback' | 'fail';
  readonly resume: 'restart' | 'continue';
  /** What answers when no target did; null: the job fails. */
  readonly lastResort: string | null;
}

/** A name that stands for the chain of a request's class. */
export interface Classifier {
  readonly vision: string | null;
  readonly tools: string | null;
  readonly short: string | null;
  readonly long: string | null;
  readonly otherwise: string;
  /** Estimated tokens of input. */
  readonly longFrom: number;
}

export interface PrivacySettings {
  /** False: only targets with the label `local` are called. */
  readonly isCloudOn: boolean;
  readonly detect: readonly DetectorKind[];
  /** What a file in a request counts as when it is not text: as every kind of `detect`, or as nothing. */
  readonly unreadFiles: UnreadFiles;
  /** Labels that a request in which something was found requires. */
  readonly require: readonly string[];
}

export interface TenantSettings {
  readonly weight: number;
  /** What the model `default` means for it; null: the chain of that name. */
  readonly chain: string | null;
  readonly require: readonly string[];
  readonly excludeProviders: readonly string[];
}

export interface Settings {
  /** A hash of everything below, secrets left out; kept with every job. */
  readonly version: string;
  readonly providers: Readonly<Record<string, ProviderSettings>>;
  readonly chains: Readonly<Record<string, ChainSettings>>;
  readonly classifiers: Readonly<Record<string, Classifier>>;
  readonly breaker: BreakerPolicy;
  readonly privacy: PrivacySettings;
  readonly budgets: readonly BudgetRule[];
  /** By name; the id of a tenant is `ten_` and its name. */
  readonly tenants: Readonly<Record<string, TenantSettings>>;
  /** Calls that were waited for are answered with the target, the attempts and the cost as headers. */
  readonly hasRouteHeaders: boolean;
  readonly webhooks: { readonly allowNetworks: readonly string[]; readonly timeoutMs: number };
  /** Things worth saying at start: presets left out, variables that had no effect. */
  readonly notes: readonly string[];
}
