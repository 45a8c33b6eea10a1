/** Permits that are asked for, or settled, in one call: which belong together, and what the store answers for each. */
import { accountOfPlace } from '../config/model-settings.ts';
import type { RateLimit } from '../routing/limits.ts';
import { type CollectOptions, collectTick } from '../store/collect-tick.ts';
import type { PermitAnswer, PermitEnd, PermitPlace, PermitRequest } from './coordination.ts';

/** Requests share a call when all that decides is the same: after a change of configuration or epoch they do not. */
export const permitGroup = ({ target, epoch, places, rates }: PermitRequest): string =>
  [target, epoch, ...places.map(({ id, concurrency }) => `${id}=${concurrency}`), ...limitNames(rates?.limits)].join(
    ' ',
  );

export const settleGroup = ({ target, rates, breakerWindowMs, isLatencyWatched }: PermitEnd): string =>
  [target, breakerWindowMs, isLatencyWatched, ...limitNames(rates?.limits)].join(' ');

const limitNames = (limits: readonly RateLimit[] = []): string[] =>
  limits.map(({ name, limit, slotMs, slots }) => `${name}=${limit}/${slots}*${slotMs}`);

/** How many groups are remembered: those of configurations that are gone are forgotten. */
const mostGroups = 1_000;

/** Groups the calls of one tick that can share a statement. */
export function byKey<Item, Result>(
  keyOf: (item: Item) => string,
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  bounds: CollectOptions,
): (item: Item) => Promise<Result> {
  const collectors = new Map<string, (item: Item) => Promise<Result>>();
  return (item) => {
    const key = keyOf(item);
    let collect = collectors.get(key);
    if (!collect) {
      if (collectors.size >= mostGroups) collectors.clear();
      collect = collectTick(run, bounds);
      collectors.set(key, collect);
    }
    return collect(item);
  };
}

/** The places of calls that ended; of settings that differ the stricter ones hold. */
export function placesOfEnds(ends: readonly PermitEnd[]): PermitPlace[] {
  return [...Map.groupBy(ends, ({ place }) => place)].map(([id, list]) => ({
    id,
    concurrency: Math.min(...list.map(({ concurrency }) => concurrency)),
  }));
}

/**
 * @param answers for each request the number of its place from 1, the ms of its reservation, and 1 if it is the probe; or
 *   0, why (1 concurrency, 2 rate, 3 breaker), the ms until it may go and until any may, -1: not known. -1 first: the epoch
 *   is lost.
 */
export function toPermitAnswers(
  answers: readonly (readonly number[])[],
  places: readonly PermitPlace[],
  requests: number,
): PermitAnswer[] {
  if (Number(answers[0]?.[0]) < 0) return Array.from({ length: requests }, () => ({ kind: 'epoch_lost' }));
  return Array.from({ length: requests }, (_, index) => toAnswer((answers[index] ?? []).map(Number), places));
}

function toAnswer([place, second = 0, third = -1, forAll = -1]: readonly number[], places: readonly PermitPlace[]) {
  const found = places[(place ?? 0) - 1];
  if (found) return { kind: 'go', place: found.id, atMs: second, isProbe: third === 1 } as const;
  const known = (ms: number): number | null => (ms < 0 ? null : ms);
  if (second === 3) return { kind: 'breaker', retryAfterMs: known(third) } as const;
  if (second !== 2) return { kind: 'wait', reason: 'concurrency', retryAfterMs: null, forAllMs: null } as const;
  return { kind: 'wait', reason: 'rate_limit', retryAfterMs: known(third), forAllMs: known(forAll) } as const;
}

/** The accounts of places, each once. */
export const accountsOf = (places: readonly { readonly id: string }[]): string[] => [
  ...new Set(places.map(({ id }) => accountOfPlace(id))),
];

/** What was reserved and used, in the names that both stores read; whole tokens, as when it was reserved. */
export const flatRates = ({ atMs, size, used, isSent }: NonNullable<PermitEnd['rates']>) => ({
  atMs,
  isSent,
  input: Math.ceil(size.inputTokens),
  output: Math.ceil(size.outputTokens),
  usedInput: Math.ceil(used.inputTokens),
  usedOutput: Math.ceil(used.outputTokens),
});
