/**
 * A permit for one call: waited for a moment in the slot, then handed back to the queue as a delay.
 *
 * Waiting long in the slot would keep the pool from other targets of the same provider.
 */
import { randomUUID } from 'node:crypto';
import { concurrencyOf } from '@waybill/shared/config/model-settings.ts';
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { waitForSignal } from '@waybill/shared/coordination/wait-for-signal.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';

const longestWaitInSlotMs = 2_000;
const pollMs = 250;
/** How long a job that found no free place stays away. */
export const turnDelayMs = 1_000;

export type Permit = { readonly kind: 'go'; readonly token: string } | { readonly kind: 'delay' };

export async function takePermit(
  coordination: Coordination,
  request: { entryId: string; target: string; workerId: string; provider: ProviderSettings },
  signal: AbortSignal,
): Promise<Permit> {
  const token = randomUUID();
  const limit = concurrencyOf(request.provider, splitTarget(request.target).model);
  const startedAt = performance.now();
  for (;;) {
    const answer = await coordination.takePermit({
      token,
      entryId: request.entryId,
      target: request.target,
      workerId: request.workerId,
      limit,
    });
    if (answer.kind === 'go') return { kind: 'go', token };
    if (signal.aborted || performance.now() - startedAt > longestWaitInSlotMs) return { kind: 'delay' };
    await waitForSignal(
      coordination,
      (message) => message.type === 'permit_freed' && message.target === request.target,
      pollMs,
      signal,
    );
  }
}
