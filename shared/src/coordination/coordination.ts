/**
 * Coordination between processes: permits, pauses, throughput, shares, signals.
 *
 * What is true only now. It never knows money, never joins a job's transaction, and may lose everything it holds:
 * then it answers `epoch_lost` until the permits of running calls are rebuilt, and never loses a job.
 */
import type { BreakerCounts, BreakerState, Outcome } from '../routing/breaker.ts';
import type { CallSize, RateLimit } from '../routing/limits.ts';
import type { Pauses } from '../routing/pauses.ts';

/** Where a target can be called, and how many calls may be open there at once, over the fleet. */
export interface PermitPlace {
  /** Its account, and its address when there are several. */
  readonly id: string;
  readonly concurrency: number;
}

/** What a call reserves of its account's rates. */
export interface RateRequest {
  /** A large call that was refused is kept room for, under this name, so that small ones do not pass it for ever. */
  readonly jobId: string;
  /** Estimated; no more than each limit. */
  readonly size: CallSize;
  readonly limits: readonly RateLimit[];
}

export interface PermitRequest {
  /** New for each pick-up of an entry, so that a second delivery cannot give back the first one's permit. */
  readonly token: string;
  readonly target: string;
  /** Those that are open now. The one with the most headroom is taken; resting ones are left alone. */
  readonly places: readonly PermitPlace[];
  /** The provider's epoch; a store that does not hold it lets nothing through. */
  readonly epoch: string;
  /** Absent: nothing limits the rate. */
  readonly rates?: RateRequest;
}

export type PermitAnswer =
  | {
      readonly kind: 'go';
      readonly place: string;
      /** By the store's clock: where its reservation stands. */
      readonly atMs: number;
      /** The one call that finds out whether the target is well again. */
      readonly isProbe: boolean;
    }
  /**
   * `concurrency`: all places are taken. `rate_limit`: those with room rest, because the provider said so, or their
   * accounts have no rate left.
   * @property retryAfterMs when a place is known to come free; null: not known
   * @property forAllMs how long even the smallest call would wait; null: not known
   */
  | {
      readonly kind: 'wait';
      readonly reason: 'concurrency' | 'rate_limit';
      readonly retryAfterMs: number | null;
      readonly forAllMs: number | null;
    }
  /** The breaker is open, or a probe is under way. @property retryAfterMs null: not known */
  | { readonly kind: 'breaker'; readonly retryAfterMs: number | null }
  | { readonly kind: 'epoch_lost' };

export interface HeldPermit {
  readonly token: string;
  readonly target: string;
  readonly place: string;
  /** The one call that finds out whether the target is well again. */
  readonly isProbe?: boolean;
}

/** What was reserved with a permit. */
export interface Reservation extends Omit<RateRequest, 'jobId'> {
  readonly atMs: number;
}

/** A permit under which no request was sent. */
export interface UnusedPermit extends HeldPermit {
  readonly reservation?: Reservation;
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
  /** For the breaker. */
  readonly outcome: Outcome;
  readonly isProbe: boolean;
  /** How far back outcomes count, and whether a change of latency alone may open it. */
  readonly breakerWindowMs: number;
  readonly isLatencyWatched: boolean;
  /** Absent: nothing was reserved. @property used what the call really took; a request that was not sent took none */
  readonly rates?: Reservation & { readonly used: CallSize; readonly isSent: boolean };
}

/** What the store holds of a breaker. */
export interface BreakerReading {
  readonly target: string;
  /** Of the state: it can be changed by whoever has seen it. */
  readonly version: number;
  readonly state: BreakerState;
  readonly counts: BreakerCounts;
}

/** What an account has used of a limit, when a store is rebuilt. */
export interface SpentRate {
  readonly target: string;
  readonly account: string;
  readonly limit: RateLimit;
  /** Amounts by the number of their slot. */
  readonly slots: ReadonlyMap<number, number>;
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
  /** Those that are not closed, by target; by `provider/*` where an operator opened all of a provider. */
  readonly breakers: ReadonlyMap<string, BreakerState>;
  /** What is usual, by target. */
  readonly usual: ReadonlyMap<string, UsualCalls>;
}

export interface UsualCalls {
  /** Of answers; null: none yet. */
  readonly latencyMs: number | null;
  /** The part of calls that succeed, from [0, 1]; null: none yet. */
  readonly reliability: number | null;
}

export type Signal =
  | { readonly type: 'cancel'; readonly jobId: string }
  | { readonly type: 'final'; readonly jobId: string }
  | { readonly type: 'work' }
  | { readonly type: 'permit_freed'; readonly target: string }
  | { readonly type: 'breaker_changed'; readonly target: string }
  /** Something that was reserved of a budget is free again. */
  | { readonly type: 'budget_freed' }
  | { readonly type: 'configuration_changed'; readonly version: string };

export interface Coordination {
  /** Leave to call now, for 30 s, renewed with the worker's lease. */
  takePermit(request: PermitRequest): Promise<PermitAnswer>;
  /** No request was sent: the place is free, what was reserved is given back whole, and nothing is counted. */
  givePermitBack(permit: UnusedPermit): Promise<void>;
  /**
   * The call ended: the place is free, what was really used stands in the place of what was reserved, and it counts for
   * the target's throughput. Resolves to the breaker where the end may change it.
   */
  settlePermit(end: PermitEnd): Promise<BreakerReading | null>;
  readBreaker(target: string, windowMs: number): Promise<BreakerReading>;
  /**
   * Writes a new state, if it is still the one that was seen.
   * @param endedProbe the token of the probe that led to it: the next one may start
   */
  swapBreaker(seen: BreakerReading, next: BreakerState, endedProbe: string | null): Promise<boolean>;
  /** Closes the breaker and forgets what was counted. */
  resetBreaker(target: string): Promise<void>;
  /** Takes a retry from the provider's budget, also in advance: 0, or the ms until it may be made. */
  takeRetry(provider: string): Promise<number>;
  /** It was not used after all. */
  returnRetry(provider: string): Promise<void>;
  /** Renews the permits of the calls this process has under way. */
  renewPermits(): Promise<void>;
  /** Forgets which permits this process holds: its worker lease is lost, they must be able to expire. */
  dropPermits(): void;
  holdsEpoch(provider: string, epoch: string): Promise<boolean>;
  /** Replaces what the store holds of a provider's permits and rates; the epoch is written last. */
  restore(provider: string, epoch: string, permits: readonly HeldPermit[], spent?: readonly SpentRate[]): Promise<void>;
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

/** What is counted of a target's calls stands in slots of this length, as far back as the longest window can look. */
export const outcomeSlotMs = 5_000;
export const countedSlots = 121;
/** What is usual fades by half in this time. */
export const usualHalfLifeMs = 30 * 60_000;
/** A retry for each ten calls, and one each second at least; no more than so many are saved up. */
export const retryBudget = { perCall: 0.1, perSecond: 1, most: 10, forgottenMs: 10 * 60_000 };
/** Room is kept for a call that waits no longer than this, and for a moment more, in which it comes back. */
export const keptRoom = { longestWaitMs: 60_000, graceMs: 5_000 };
