/** The permits of the calls this process has under way: only these are renewed, so that a lost one can expire. */
import type { HeldPermit } from './coordination.ts';

export interface HeldPermits {
  add(permit: HeldPermit): void;
  remove(permit: HeldPermit): void;
  clear(): void;
  /** By provider. */
  byProvider(): ReadonlyMap<string, readonly HeldPermit[]>;
}

export function createHeldPermits(): HeldPermits {
  const held = new Map<string, HeldPermit>();
  return {
    add: (permit) => void held.set(permit.token, permit),
    remove: ({ token }) => void held.delete(token),
    clear: () => held.clear(),
    byProvider: () => Map.groupBy(held.values(), ({ target }) => target.slice(0, target.indexOf('/'))),
  };
}
