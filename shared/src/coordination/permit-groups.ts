/** Permits that are asked for, or settled, in one call: which belong together, and what the store answers for each. */
import type { PermitAnswer, PermitEnd, PermitPlace, PermitRequest } from './coordination.ts';

/** Requests share a call when all that decides is the same: after a change of configuration or epoch they do not. */
export const permitGroup = ({ target, epoch, places }: PermitRequest): string =>
  [target, epoch, ...places.map(({ id, concurrency }) => `${id}=${concurrency}`)].join(' ');

/** The places of calls that ended; of settings that differ the stricter ones hold. */
export function placesOfEnds(ends: readonly PermitEnd[]): PermitPlace[] {
  return [...Map.groupBy(ends, ({ place }) => place)].map(([id, list]) => ({
    id,
    concurrency: Math.min(...list.map(({ concurrency }) => concurrency)),
  }));
}

/**
 * @param numbers for each request the number of its place from 1, or 0; then 0, or the ms until a place with room has
 *   rested. -1 alone: the epoch is lost.
 */
export function toPermitAnswers(
  numbers: readonly number[],
  places: readonly PermitPlace[],
  requests: number,
): PermitAnswer[] {
  if (Number(numbers[0]) < 0) return Array.from({ length: requests }, () => ({ kind: 'epoch_lost' }));
  const restedInMs = Number(numbers[requests] ?? 0);
  return Array.from({ length: requests }, (_, index): PermitAnswer => {
    const place = places[Number(numbers[index]) - 1];
    if (place) return { kind: 'go', place: place.id };
    if (restedInMs > 0) return { kind: 'wait', reason: 'rate_limit', retryAfterMs: restedInMs };
    return { kind: 'wait', reason: 'concurrency', retryAfterMs: null };
  });
}
