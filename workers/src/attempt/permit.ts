/**
 * A permit for one call: waited for a moment in the slot, then handed back to the queue as a delay.
 *
 * Waiting long in the slot would keep the pool from other targets of the same provider.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Place } from '@waybill/shared/config/model-settings.ts';
import {
  type BreakerReading,
  type Coordination,
  type PermitEnd,
  permitLeaseMs,
  type RateRequest,
  type Reservation,
  type UnusedPermit,
} from '@waybill/shared/coordination/coordination.ts';
import { waitForSignal } from '@waybill/shared/coordination/wait-for-signal.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { startWithinMs } from '@waybill/shared/routing/limits.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import type { WorkerContext } from '../worker-context.ts';

const longestWaitInSlotMs = 2_000;
const pollMs = 250;
/** How long a job that found no free place stays away. */
export const turnDelayMs = 1_000;

export interface Permit {
  readonly token: string;
  readonly target: string;
  readonly epoch: string;
  readonly place: Place;
  /** There was no other place to call it at. */
  readonly isAlone: boolean;
  /** The call finds out whether the target is well again. */
  readonly isProbe: boolean;
  /** Of its account's rates; null: nothing limits them. */
  readonly reservation: Reservation | null;
  /** By the monotonic clock. */
  readonly takenAtMs: number;
}

export type PermitResult =
  | { readonly kind: 'permit'; readonly permit: Permit }
  | { readonly kind: 'wait'; readonly reason: 'turn'; readonly delayMs: number }
  /** @property forAllMs how long any call would wait; null: not known */
  | { readonly kind: 'wait'; readonly reason: 'rate_limit'; readonly delayMs: number; readonly forAllMs: number | null }
  /** @property waitMs null: not known */
  | { readonly kind: 'breaker'; readonly waitMs: number | null };

export interface PermitWish {
  readonly target: string;
  /** Those that are open now; at least one. */
  readonly places: readonly Place[];
  readonly rates: RateRequest;
}

/** `wait`: no place came free in time. */
export async function takePermit(
  { target, places, rates }: PermitWish,
  signal: AbortSignal,
  { coordination, epochs }: Pick<WorkerContext, 'coordination' | 'epochs'>,
): Promise<PermitResult> {
  const { provider } = splitTarget(target);
  const startedAt = performance.now();
  const isLimited = rates.limits.length > 0;
  for (;;) {
    const epoch = await epochs.of(provider);
    const token = randomUUID();
    const takenAtMs = performance.now();
    const answer = await coordination.takePermit({ token, target, places, epoch, ...(isLimited ? { rates } : {}) });
    if (answer.kind === 'go') {
      const place = placeOf(places, answer.place);
      const reservation = isLimited ? { size: rates.size, limits: rates.limits, atMs: answer.atMs } : null;
      const { isProbe } = answer;
      return {
        kind: 'permit',
        permit: { token, target, epoch, place, isAlone: places.length === 1, isProbe, reservation, takenAtMs },
      };
    }
    if (answer.kind === 'breaker') return { kind: 'breaker', waitMs: answer.retryAfterMs };
    const waitMs = answer.kind === 'wait' ? answer.retryAfterMs : null;
    const patienceMs = startedAt + longestWaitInSlotMs - performance.now();
    if (signal.aborted || patienceMs <= 0 || (waitMs ?? 0) > patienceMs)
      return answer.kind === 'wait' && answer.reason === 'rate_limit'
        ? { kind: 'wait', reason: 'rate_limit', delayMs: waitMs ?? turnDelayMs, forAllMs: answer.forAllMs }
        : { kind: 'wait', reason: 'turn', delayMs: turnDelayMs };
    if (answer.kind === 'epoch_lost') epochs.lost(provider, epoch);
    else
      await waitForSignal(
        coordination,
        (message) => message.type === 'permit_freed' && message.target === target,
        waitMs ?? pollMs,
        signal,
      );
  }
}

/** A call under the permit would start too late for the account's window: it has to ask again. */
export const isTooLate = ({ reservation, takenAtMs }: Permit): boolean =>
  reservation !== null && performance.now() - takenAtMs > startWithinMs;

/** No request was sent. */
export const unusedPermit = ({ token, target, place, isProbe, reservation }: Permit): UnusedPermit => ({
  token,
  target,
  place: place.id,
  isProbe,
  ...(reservation === null ? {} : { reservation }),
});

function placeOf(places: readonly Place[], id: string): Place {
  const found = places.find((place) => place.id === id);
  if (!found) throw new Error(`Cannot use the permit: its place "${id}" was not asked for`);
  return found;
}

const firstRetryMs = 250;
const longestRetryMs = 2_000;

/**
 * Settles a permit, again and again while the store does not answer, until it has expired by itself: a place that
 * stays taken after an outage keeps jobs waiting. Nothing waits for this, and it does not keep the process.
 */
export async function settlePermitInTime(
  coordination: Coordination,
  end: PermitEnd,
  logger: Logger,
): Promise<BreakerReading | null> {
  const startedAt = performance.now();
  for (let waitMs = firstRetryMs; ; waitMs = Math.min(longestRetryMs, waitMs * 2)) {
    try {
      return await coordination.settlePermit(end);
    } catch (error) {
      if (performance.now() - startedAt + waitMs > permitLeaseMs) {
        logger.warn({ err: error, target: end.target }, 'a permit could not be settled; it has expired');
        return null;
      }
      await sleep(waitMs, undefined, { ref: false });
    }
  }
}
