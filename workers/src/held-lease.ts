/**
 * The lease of something that one process of the fleet does: the dispatcher, the sweep, the health probes. Asked for before each round,
 * renewed only when a third of it is over. Two holders for a moment do no harm: every round is conditional statements.
 */
import { holdLease, taskLeaseMs } from '@waybill/shared/store/workers.ts';
import type { WorkerContext } from './worker-context.ts';

const renewAfterMs = 3_000;

export interface HeldLease {
  /** True: this process may do the next round. */
  holds(): Promise<boolean>;
}

export function createHeldLease(
  name: 'dispatch' | 'sweep' | 'health',
  { database, lease }: Pick<WorkerContext, 'database' | 'lease'>,
  now: () => number = () => performance.now(),
): HeldLease {
  let heldAt = Number.NEGATIVE_INFINITY;
  let holder = '';
  return {
    async holds() {
      const id = lease.id();
      const ageMs = now() - heldAt;
      if (holder === id && ageMs < Math.min(renewAfterMs, taskLeaseMs)) return true;
      const askedAt = now();
      const isHeld = await holdLease(database, name, id);
      heldAt = isHeld ? askedAt : Number.NEGATIVE_INFINITY;
      holder = isHeld ? id : '';
      return isHeld;
    },
  };
}
