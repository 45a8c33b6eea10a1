/** The configuration in force: resolved, defaulted, and the same in all parts of the process. */
import type { Capability } from '../chat/capabilities.ts';
import type { FailureAction, FailureKind } from '../domain/failure.ts';
import type { Priority } from '../domain/job.ts';
import type { ConfiguredPrice } from '../pricing/price.ts';
import type { DialectName, Quirks } from '../providers/dialect.ts';
import type { Timeouts } from '../providers/transport.ts';
import type { Secret } from '../security/secret.ts';

export interface ModelSettings {
  readonly concurrency: number | null;
  readonly contextWindow: number | null;
  /** null: unknown, which passes. */
  readonly capabilities: readonly Capability[] | null;
  readonly price: ConfiguredPrice | null;
}

export interface ProviderSettings {
  readonly id: string;
  readonly dialect: DialectName;
  readonly endpoint: string;
  readonly enabled: boolean;
  readonly credential: { readonly name: string; readonly account: string; readonly secret: Secret } | null;
  readonly labels: readonly string[];
  readonly isLocal: boolean;
  /** Calls at once per model, over the fleet. */
  readonly concurrency: number;
  readonly timeouts: Timeouts;
  readonly quirks: Quirks;
  readonly pricesAs: string | null;
  readonly models: Readonly<Record<string, ModelSettings>>;
}

export interface BackoffSettings {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: 'full' | 'none';
}

export interface ChainSettings {
  readonly name: string;
  readonly targets: readonly string[];
  readonly strategy: 'ordered' | 'round_robin';
  readonly mode: 'graceful' | 'immediate';
  readonly sameTargetRetries: number;
  readonly maxAttempts: number;
  /** How long a job waits for a limit before it falls back; null: for ever. */
  readonly onLimitMs: Readonly<Record<Priority, number | null>>;
  readonly backoff: BackoffSettings;
  readonly on: Readonly<Partial<Record<FailureKind, FailureAction>>>;
  readonly timeouts: Partial<Timeouts>;
}

export interface Settings {
  /** A hash of everything below, secrets left out; kept with every job. */
  readonly version: string;
  readonly providers: Readonly<Record<string, ProviderSettings>>;
  readonly chains: Readonly<Record<string, ChainSettings>>;
  readonly webhooks: { readonly allowNetworks: readonly string[]; readonly timeoutMs: number };
  /** Things worth saying at start: presets left out, variables that had no effect. */
  readonly notes: readonly string[];
}
