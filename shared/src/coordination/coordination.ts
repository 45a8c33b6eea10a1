/**
 * Coordination between processes: permits, pauses, throughput, signals.
 *
 * What is true only now. It never knows money, never joins a job's transaction, and may lose everything it holds:
 * then it lets too few or, until the leases end, the same calls through, and never loses a job.
 */
import type { Pauses } from '../routing/target-facts.ts';

export interface PermitRequest {
  readonly entryId: string;
  /** New for each pick-up of the entry, so that a second delivery cannot give back the first one's permit. */
  readonly token: string;
  readonly target: string;
  readonly workerId: string;
  /** Calls at once to the target, over the fleet. */
  readonly limit: number;
}

export type PermitAnswer = { readonly kind: 'go' } | { readonly kind: 'wait' };

export type Signal =
  | { readonly type: 'cancel'; readonly jobId: string }
  | { readonly type: 'final'; readonly jobId: string }
  | { readonly type: 'work' }
  | { readonly type: 'permit_freed'; readonly target: string };

export interface Coordination {
  /** Leave to call now, for 30 s, renewed with the worker's lease. */
  takePermit(request: PermitRequest): Promise<PermitAnswer>;
  /** No request was sent: the place is free, and nothing is counted. */
  givePermitBack(token: string, target: string): Promise<void>;
  /** The call ended: the place is free, and counts for the target's throughput. */
  settlePermit(token: string, target: string): Promise<void>;
  /** Renews the permits of the calls this process has under way. */
  renewPermits(): Promise<void>;
  /** Calls ended per second over the fleet in the last ten seconds, by target. */
  throughput(): Promise<ReadonlyMap<string, number>>;
  /** The later deadline wins. */
  pause(scope: string, kind: string, untilMs: number): Promise<void>;
  pauses(): Promise<Pauses>;
  /** Forgets everything: the process that starts alone on an embedded database knows nobody else is there. */
  reset(): Promise<void>;
  publish(signal: Signal): void;
  subscribe(listener: (signal: Signal) => void): () => void;
}

export const permitLeaseMs = 30_000;
