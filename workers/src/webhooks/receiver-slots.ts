/**
 * A receiver that is slow may hold a few of the sender's slots, not all of them: the others get their webhooks in time.
 */
const slowMs = 2_000;
/** Deliveries at once to a receiver whose last answer was slow. */
const slowSlots = 4;
const mostRemembered = 1_000;

export interface ReceiverSlots {
  /** False: the receiver is slow, and has as many deliveries under way as it may. */
  take(endpointId: string): boolean;
  release(endpointId: string, tookMs: number): void;
}

export function createReceiverSlots(): ReceiverSlots {
  const receivers = new Map<string, { running: number; isSlow: boolean }>();
  return {
    take(endpointId) {
      const known = receivers.get(endpointId) ?? { running: 0, isSlow: false };
      if (known.isSlow && known.running >= slowSlots) return false;
      receivers.set(endpointId, { ...known, running: known.running + 1 });
      return true;
    },
    release(endpointId, tookMs) {
      const known = receivers.get(endpointId);
      const running = Math.max(0, (known?.running ?? 1) - 1);
      const isSlow = tookMs >= slowMs;
      // A quick receiver with nothing under way is like one never seen.
      if (running === 0 && (!isSlow || receivers.size > mostRemembered)) receivers.delete(endpointId);
      else receivers.set(endpointId, { running, isSlow });
    },
  };
}
