/**
 * How many entries of a target may wait in its queue: about four seconds of its throughput.
 *
 * Small, so that a tenant arriving now waits seconds and Redis stays small whatever the backlog; large enough that
 * the pool never runs dry between two rounds of the dispatcher.
 */
const secondsOfWork = 4;
const ceiling = 1_000;

export function windowSize(throughputPerSecond: number, concurrency: number): number {
  const least = 2 * concurrency;
  return Math.round(Math.min(Math.max(throughputPerSecond * secondsOfWork, least), Math.max(ceiling, least)));
}

/**
 * Places of a window that only interactive jobs may take, so that they find room whatever fills the rest. A sole place is
 * for all: a target that is being tried again must be tried with what there is.
 */
export const interactiveReserve = (window: number): number => (window === 1 ? 0 : Math.ceil(window / 10));
