/** Permits, whichever store keeps them: calls of one tick go out together, and those under way are renewed. */

import type { CollectOptions } from '../store/collect-tick.ts';
import type {
  BreakerReading,
  Coordination,
  HeldPermit,
  PermitAnswer,
  PermitEnd,
  PermitRequest,
  UnusedPermit,
} from './coordination.ts';
import { createHeldPermits } from './held-permits.ts';
import { byKey, permitGroup, settleGroup } from './permit-groups.ts';
import type { Signals } from './signals.ts';

export interface PermitStore {
  /** Requests of one `permitGroup`. */
  take(requests: readonly PermitRequest[]): Promise<readonly PermitAnswer[]>;
  /** Ends of one `settleGroup`. `isFull`: a place was full, somebody may wait for one. */
  settle(ends: readonly PermitEnd[]): Promise<{ readonly isFull: boolean; readonly reading: BreakerReading | null }>;
  giveBack(permit: UnusedPermit): Promise<void>;
  /** By provider. */
  renew(permits: ReadonlyMap<string, readonly HeldPermit[]>): Promise<void>;
}

// What fails fails for all: tried again one by one, a script whose answer was lost would have run twice.
const groups: CollectOptions = { maxItems: 100, maxInFlight: 2, again: () => 'none' };

export function createPermits(
  store: PermitStore,
  signals: Signals,
): Pick<Coordination, 'takePermit' | 'givePermitBack' | 'settlePermit' | 'renewPermits' | 'dropPermits'> {
  const held = createHeldPermits();
  const freed = (target: string) => signals.publish({ type: 'permit_freed', target });
  const take = byKey(permitGroup, (requests: readonly PermitRequest[]) => store.take(requests), groups);
  const settle = byKey(
    settleGroup,
    async (ends: readonly PermitEnd[]) => {
      const { isFull, reading } = await store.settle(ends);
      if (isFull) freed(ends[0]?.target ?? '');
      return ends.map(() => reading);
    },
    groups,
  );
  return {
    async takePermit(request) {
      const { token, target } = request;
      const answer = await take(request);
      if (answer.kind === 'go') held.add({ token, target, place: answer.place, isProbe: answer.isProbe });
      return answer;
    },
    async givePermitBack(permit) {
      held.remove(permit);
      await store.giveBack(permit);
      freed(permit.target);
    },
    async settlePermit(end) {
      held.remove(end);
      return settle(end);
    },
    renewPermits: () => store.renew(held.byProvider()),
    dropPermits: () => held.clear(),
  };
}
