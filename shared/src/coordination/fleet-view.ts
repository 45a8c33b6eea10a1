/**
 * What the fleet knows, read at most twice a second however many attempts ask.
 *
 * When the store does not answer, what it said last holds for a while: a frozen Redis must not stop jobs from being
 * accepted or settled.
 */
import type { Coordination, FleetState } from './coordination.ts';

const freshMs = 500;
/** A store that did not answer is left alone for this long: each question may take seconds. */
const retryMs = 5_000;
const nothingKnown: FleetState = { throughput: new Map(), pauses: new Map() };

export interface FleetView {
  read(): Promise<FleetState>;
  /** What was just changed here must be seen here. */
  forget(): void;
}

export function createFleetView(
  coordination: Pick<Coordination, 'fleetState'>,
  onError: (error: Error) => void,
  now: () => number = () => performance.now(),
): FleetView {
  let last = nothingKnown;
  let goodUntil = Number.NEGATIVE_INFINITY;
  let reading: Promise<FleetState> | null = null;
  /** What was read before a change here does not count after it. */
  let round = 0;
  const readAnew = async (): Promise<FleetState> => {
    const own = round;
    try {
      const state = await coordination.fleetState();
      if (own === round) goodUntil = now() + freshMs;
      last = state;
    } catch (error) {
      goodUntil = now() + retryMs;
      onError(error as Error);
    }
    return last;
  };
  return {
    async read() {
      if (now() < goodUntil) return last;
      if (reading !== null) return reading;
      const running = readAnew().finally(() => {
        if (reading === running) reading = null;
      });
      reading = running;
      return running;
    },
    forget() {
      round += 1;
      goodUntil = Number.NEGATIVE_INFINITY;
      reading = null;
    },
  };
}
