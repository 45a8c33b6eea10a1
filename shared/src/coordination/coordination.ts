/**
 * Coordination between processes: permits, pauses, throughput, shares, signals.
 *
 * What is true only now. It never knows money, never joins a job's transaction, and may lose everything it holds:
 * then it answers `epoch_lost` until the permits of running calls are rebuilt, and never loses a job.
 */
import type { Pauses } from '../routing/pauses.ts';

/** Where a target can be called, and how many calls may be open there at once, over the fleet. */
export interface PermitPlace {
  readonly id: string;
  readonly concurrency: number;
}

export interface PermitRequest {
  /** New for each pick-up of an entry, so that a second delivery cannot give back the first one's permit. */
  readonly token: string;
  readonly target: string;
  /** Those that are open now. The one with the most headroom is taken; resting ones are left alone. */
  readonly places: readonly PermitPlace[];
  /** The provider's epoch; a store that does not hold it lets nothing through. */
  readonly epoch: string;
}

export type PermitAnswer =
  | { readonly kind: 'go'; readonly place: string }
  /**
   * `concurrency`: all places are taken. `rate_limit`: those with room rest, because the provider said so.
   * @property retryAfterMs when a place is known to come free; null: not known
   */
  | { readonly kind: 'wait'; readonly reason: 'concurrency' | 'rate_limit'; readonly retryAfterMs: number | null }
  | { readonly kind: 'epoch_lost' };

export interface HeldPermit {
  readonly token: string;
  readonly target: string;
  readonly place: string;
}

/** A call that ended. */
export interface PermitEnd extends HeldPermit {
  /** Of its place, as configured. */
  readonly concurrency: number;
  /**
   * What the end says of the place. `congested` (429, 529) lowers what it takes at once to 0.7, once for all calls that
   * were under way together; each `eased` one raises it by a little, up to what is configured.
   */
  readonly pressure: 'congested' | 'eased' | 'none';
  /** How long the permit was held. */
  readonly heldMs: number;
  /** How long the place is to be left alone; 0: not at all. */
  readonly restMs: number;
  readonly tenantId: string;
  /** Tokens that the tenant was charged for at dispatch, and that were really used. */
  readonly estimated: number;
  readonly used: number;
}

/** What a tenant has had of a target, in tokens. */
export interface Charge {
  readonly target: string;
  readonly tenantId: string;
  readonly tokens: number;
  /** `added`: entries that came without the dispatcher; of calls that ended, what was `estimated` and what was `used`. */
  readonly why: 'added' | 'estimated' | 'used';
}

/** What the fleet knows of its targets. */
export interface FleetState {
  /** Calls ended per second in the last ten seconds, by target. */
  readonly throughput: ReadonlyMap<string, number>;
  readonly pauses: Pauses;
}

export type Signal =
  | { readonly type: 'cancel'; readonly jobId: string }
  | { readonly type: 'final'; readonly jobId: string }
  | { readonly type: 'work' }
  | { readonly type: 'permit_freed'; readonly target: string }
  | { readonly type: 'configuration_changed'; readonly version: string };

export interface Coordination {
  /** Leave to call now, for 30 s, renewed with the worker's lease. */
  takePermit(request: PermitRequest): Promise<PermitAnswer>;
  /** No request was sent: the place is free, and nothing is counted. */
  givePermitBack(permit: HeldPermit): Promise<void>;
  /** The call ended: the place is free, and counts for the target's throughput. */
  settlePermit(end: PermitEnd): Promise<void>;
  /** Renews the permits of the calls this process has under way. */
  renewPermits(): Promise<void>;
  /** Forgets which permits this process holds: its worker lease is lost, they must be able to expire. */
  dropPermits(): void;
  holdsEpoch(provider: string, epoch: string): Promise<boolean>;
  /** Replaces what the store holds of a provider's permits; the epoch is written last. */
  restore(provider: string, epoch: string, permits: readonly HeldPermit[]): Promise<void>;
  fleetState(): Promise<FleetState>;
  /** An entry that was added without the dispatcher is charged to its tenant all the same. */
  charge(charge: Omit<Charge, 'why'>): Promise<void>;
  /** What came together since the last call, over the fleet. */
  takeCharges(): Promise<readonly Charge[]>;
  /** The later deadline wins. True: it was not paused before. */
  pause(scope: string, kind: string, untilMs: number): Promise<boolean>;
  /** Ends a pause before its time. True: there was one. */
  resume(scope: string): Promise<boolean>;
  /** Forgets everything: the process that starts alone on an embedded database knows nobody else is there. */
  reset(): Promise<void>;
  /** Told to this process at once, to the others soon; never awaited, and nothing depends on its arrival. */
  publish(signal: Signal): void;
  subscribe(listener: (signal: Signal) => void): () => void;
  close(): Promise<void>;
}

/** What congestion leaves of a place's concurrency. */
export const congestedFactor = 0.7;
export const permitLeaseMs = 30_000;
export const throughputSeconds = 10;
