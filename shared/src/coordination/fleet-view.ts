/**
 * What the fleet knows, read at most twice a second however many attempts ask.
 *
 * When the store does not answer, what it said last holds for a while: a frozen Redis must not stop jobs from being
 * accepted or settled.
 */
import type { Database } from '../store/database.ts';
import { readServerWindows } from '../store/health.ts';
import { readSwitches } from '../store/provider-switches.ts';
import type { Coordination, FleetState } from './coordination.ts';

const freshMs = 500;
/** What servers say of themselves changes with their configuration. */
const windowsFreshMs = 10_000;
/** A store that did not answer is left alone for this long: each question may take seconds. */
const retryMs = 5_000;
const nothingKnown: FleetKnowledge = {
  throughput: new Map(),
  pauses: new Map(),
  breakers: new Map(),
  usual: new Map(),
  switches: new Map(),
  windows: new Map(),
};

/** What the coordination store holds, and what an operator has switched. */
export interface FleetKnowledge extends FleetState {
  readonly switches: ReadonlyMap<string, boolean>;
  /** Context windows that servers say of themselves, by target. */
  readonly windows: ReadonlyMap<string, number>;
}

export interface FleetSources {
  fleetState(): Promise<FleetState>;
  switches(): Promise<ReadonlyMap<string, boolean>>;
  windows(): Promise<ReadonlyMap<string, number>>;
}

export const fleetSources = (coordination: Coordination, database: Database): FleetSources => ({
  fleetState: () => coordination.fleetState(),
  switches: () => readSwitches(database),
  windows: () => readServerWindows(database),
});

export interface FleetView {
  read(): Promise<FleetKnowledge>;
  /** What was just changed here must be seen here. */
  forget(): void;
}

export function createFleetView(
  sources: FleetSources,
  onError: (error: Error) => void,
  now: () => number = () => performance.now(),
): FleetView {
  let last = nothingKnown;
  let goodUntil = Number.NEGATIVE_INFINITY;
  let windowsGoodUntil = Number.NEGATIVE_INFINITY;
  let reading: Promise<FleetKnowledge> | null = null;
  /** What was read before a change here does not count after it. */
  let round = 0;
  const readAnew = async (): Promise<FleetKnowledge> => {
    const own = round;
    try {
      const isOld = now() >= windowsGoodUntil;
      const [state, switches, windows] = await Promise.all([
        sources.fleetState(),
        sources.switches(),
        isOld ? sources.windows() : last.windows,
      ]);
      if (isOld) windowsGoodUntil = now() + windowsFreshMs;
      if (own === round) goodUntil = now() + freshMs;
      last = { ...state, switches, windows };
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
