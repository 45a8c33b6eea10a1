/**
 * A permit for one call: waited for a moment in the slot, then handed back to the queue as a delay.
 *
 * Waiting long in the slot would keep the pool from other targets of the same provider.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Place } from '@waybill/shared/config/model-settings.ts';
import { type Coordination, type PermitEnd, permitLeaseMs } from '@waybill/shared/coordination/coordination.ts';
import { waitForSignal } from '@waybill/shared/coordination/wait-for-signal.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import type { WorkerContext } from '../worker-context.ts';

const longestWaitInSlotMs = 2_000;
const pollMs = 250;
/** How long a job that found no free place stays away. */
export const turnDelayMs = 1_000;

/** How long an entry is put off at once when its places rest; longer rests are waited for in steps. */
const longestRestStepMs = 10_000;

export interface Permit {
  readonly token: string;
  readonly target: string;
  readonly epoch: string;
  readonly place: Place;
  /** There was no other place to call it at. */
  readonly isAlone: boolean;
  /** By the monotonic clock. */
  readonly takenAtMs: number;
}

export type PermitResult =
  | { readonly kind: 'permit'; readonly permit: Permit }
  | { readonly kind: 'wait'; readonly reason: 'turn' | 'rate_limit'; readonly delayMs: number };

/** `wait`: no place came free in time. @param places those that are open now; at least one */
export async function takePermit(
  target: string,
  places: readonly Place[],
  signal: AbortSignal,
  { coordination, epochs }: Pick<WorkerContext, 'coordination' | 'epochs'>,
): Promise<PermitResult> {
  const { provider } = splitTarget(target);
  const startedAt = performance.now();
  for (;;) {
    const epoch = await epochs.of(provider);
    const token = randomUUID();
    const answer = await coordination.takePermit({ token, target, places, epoch });
    if (answer.kind === 'go') {
      const place = placeOf(places, answer.place);
      return {
        kind: 'permit',
        permit: { token, target, epoch, place, isAlone: places.length === 1, takenAtMs: performance.now() },
      };
    }
    const waitMs = answer.kind === 'wait' ? answer.retryAfterMs : null;
    const patienceMs = startedAt + longestWaitInSlotMs - performance.now();
    if (signal.aborted || patienceMs <= 0 || (waitMs ?? 0) > patienceMs)
      return answer.kind === 'wait' && answer.reason === 'rate_limit'
        ? { kind: 'wait', reason: 'rate_limit', delayMs: Math.min(longestRestStepMs, waitMs ?? turnDelayMs) }
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
export async function settlePermitInTime(coordination: Coordination, end: PermitEnd, logger: Logger): Promise<void> {
  const startedAt = performance.now();
  for (let waitMs = firstRetryMs; ; waitMs = Math.min(longestRetryMs, waitMs * 2)) {
    try {
      return await coordination.settlePermit(end);
    } catch (error) {
      if (performance.now() - startedAt + waitMs > permitLeaseMs)
        return logger.warn({ err: error, target: end.target }, 'a permit could not be settled; it has expired');
      await sleep(waitMs, undefined, { ref: false });
    }
  }
}
