/**
 * A permit for one call: waited for a moment in the slot, then handed back to the queue as a delay.
 *
 * Waiting long in the slot would keep the pool from other targets of the same provider.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { concurrencyOf } from '@waybill/shared/config/model-settings.ts';
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import {
  type Coordination,
  type PermitEnd,
  type PermitLimits,
  permitLeaseMs,
} from '@waybill/shared/coordination/coordination.ts';
import { waitForSignal } from '@waybill/shared/coordination/wait-for-signal.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
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
  readonly limits: PermitLimits;
}

/** null: no place came free in time. */
export async function takePermit(
  target: string,
  provider: ProviderSettings,
  signal: AbortSignal,
  { coordination, epochs }: Pick<WorkerContext, 'coordination' | 'epochs'>,
): Promise<Permit | null> {
  const limits = { concurrency: concurrencyOf(provider, splitTarget(target).model) };
  const startedAt = performance.now();
  for (;;) {
    const epoch = await epochs.of(provider.id);
    const permit = { token: randomUUID(), target, epoch, limits };
    const answer = await coordination.takePermit(permit);
    if (answer.kind === 'go') return permit;
    if (signal.aborted || performance.now() - startedAt > longestWaitInSlotMs) return null;
    if (answer.kind === 'epoch_lost') epochs.lost(provider.id, epoch);
    else
      await waitForSignal(
        coordination,
        (message) => message.type === 'permit_freed' && message.target === target,
        answer.retryAfterMs ?? pollMs,
        signal,
      );
  }
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
