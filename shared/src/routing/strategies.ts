/**
 * The order in which a chain's targets are tried. Pure: what is known of a target, the turn and the dice come in.
 *
 * `ordered` and `round_robin` keep the chain's tiers; the other strategies see all targets of the chain as one.
 */
import type { ChainSettings, ScoreWeights } from '../config/settings.ts';
import type { NanoUsd } from '../domain/money.ts';

export interface TargetStats {
  /** Expected for this request; null: unknown. */
  readonly costNano: NanoUsd | null;
  /** Usual; null: unknown. */
  readonly latencyMs: number | null;
  /** The part of its calls that succeed, [0, 1]; null: unknown. */
  readonly reliability: number | null;
  /** Calls it can take now, from 0. */
  readonly freeCapacity: number;
}

type StatsOf = (target: string) => TargetStats;
type Draw = (target: string) => number;
type Routing = Pick<ChainSettings, 'tiers' | 'weights' | 'strategy' | 'score'>;

/**
 * Every target of the chain, once, the first to be tried first.
 * @param turn counts the jobs, for `round_robin`
 * @param random from [0, 1), for each target anew
 */
export function orderTargets(chain: Routing, statsOf: StatsOf, turn: number, random: Draw): string[] {
  const balance = (tier: readonly string[]) => balanced(tier, chain.weights, statsOf, random);
  const all = chain.tiers.flat();
  switch (chain.strategy) {
    case 'ordered':
      return chain.tiers.flatMap(balance);
    case 'round_robin':
      return rotated(chain.tiers, turn).flatMap(balance);
    case 'balanced':
      return balance(all);
    case 'cheapest':
      return fallbackOrder(all, statsOf);
    case 'fastest':
      return byLatency(all, statsOf);
    case 'scored':
      return byScore(all, statsOf, chain.score);
  }
}

/** From the cheapest to the dearest; an unknown cost is not zero and comes last. Equal ones stay as they stood. */
export function fallbackOrder(targets: readonly string[], statsOf: StatsOf): string[] {
  const costs = targets.map((target) => ({ target, cost: statsOf(target).costNano }));
  return costs.toSorted((a, b) => compareCosts(a.cost, b.cost)).map(({ target }) => target);
}

function compareCosts(one: NanoUsd | null, other: NanoUsd | null): number {
  if (one === null || other === null) return Number(one === null) - Number(other === null);
  return one < other ? -1 : Number(one > other);
}

function rotated<T>(tiers: readonly T[], turn: number): T[] {
  if (tiers.length === 0) return [];
  const start = ((turn % tiers.length) + tiers.length) % tiers.length;
  return [...tiers.slice(start), ...tiers.slice(0, start)];
}

/**
 * Drawn one after the other, each with the chance of its weight among those that are left: sorting by the times of
 * independent exponential clocks, whose rates are the weights, is the same. Full targets come last, by their
 * configured weights alone: were they in a fixed order, all that waits would wait for one of them.
 */
function balanced(
  tier: readonly string[],
  weights: ChainSettings['weights'],
  statsOf: StatsOf,
  random: Draw,
): string[] {
  if (tier.length < 2) return [...tier];
  const drawn = tier.map((target) => {
    const { freeCapacity } = statsOf(target);
    const isFree = freeCapacity > 0;
    const rate = (weights[target] ?? 1) * (isFree ? freeCapacity : 1);
    return { target, isFree, time: -Math.log(random(target)) / rate };
  });
  return drawn
    .toSorted((a, b) => Number(b.isFree) - Number(a.isFree) || compareNumbers(a.time, b.time))
    .map(({ target }) => target);
}

/** Two that are infinite are equal, where their difference is not a number. */
const compareNumbers = (one: number, other: number): number => (one < other ? -1 : Number(one > other));

/** An unknown latency counts as the median of the known ones: a new target is neither favoured nor left out. */
function byLatency(targets: readonly string[], statsOf: StatsOf): string[] {
  const latencies = targets.map((target) => statsOf(target).latencyMs);
  return sortedBy(targets, withMedian(latencies));
}

/** The lowest sum of cost, latency and failures, each from 0, the best known, to 1, the worst; an unknown cost is 1. */
function byScore(targets: readonly string[], statsOf: StatsOf, weights: ScoreWeights): string[] {
  const stats = targets.map(statsOf);
  const costs = scaled(stats.map(({ costNano }) => (costNano === null ? null : Number(costNano))));
  const latencies = withMedian(scaled(stats.map(({ latencyMs }) => latencyMs)));
  const failures = withMedian(scaled(stats.map(({ reliability }) => (reliability === null ? null : 1 - reliability))));
  // Only the ratio of the weights matters to the order.
  const scores = stats.map(
    (_, index) =>
      weights.cost * (costs[index] ?? 1) +
      weights.latency * (latencies[index] as number) +
      weights.reliability * (failures[index] as number),
  );
  return sortedBy(targets, scores);
}

/** Ties stay as they stood. */
const sortedBy = (targets: readonly string[], values: readonly number[]): string[] =>
  targets
    .map((target, index) => ({ target, value: values[index] as number }))
    .toSorted((a, b) => a.value - b.value)
    .map(({ target }) => target);

const isKnown = (value: number | null): value is number => value !== null;

/** To [0, 1] over the known ones; all 0 where they are equal. */
function scaled(values: readonly (number | null)[]): (number | null)[] {
  const known = values.filter(isKnown);
  const least = Math.min(...known);
  const range = Math.max(...known) - least;
  return values.map((value) => (value === null ? null : range > 0 ? (value - least) / range : 0));
}

/** Without any known one, all are equal. */
function withMedian(values: readonly (number | null)[]): number[] {
  const known = values.filter(isKnown).toSorted((a, b) => a - b);
  const middle = known.slice(Math.floor((known.length - 1) / 2), Math.floor(known.length / 2) + 1);
  const median = middle.reduce((sum, each) => sum + each / middle.length, 0);
  return values.map((value) => value ?? median);
}
