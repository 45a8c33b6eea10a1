import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { strategies } from '../config/schema.ts';
import type { ChainSettings } from '../config/settings.ts';
import { fallbackOrder, orderTargets, type TargetStats } from './strategies.ts';

type Routing = Parameters<typeof orderTargets>[0];
type Known = Readonly<Record<string, Partial<TargetStats>>>;

const unknown: TargetStats = { costNano: null, latencyMs: null, reliability: null, freeCapacity: 1 };
const statsIn = (known: Known) => (target: string) => ({ ...unknown, ...known[target] });
const even = () => 0.5;

const chainOf = (
  strategy: ChainSettings['strategy'],
  tiers: readonly (readonly string[])[],
  more: Partial<Routing> = {},
): Routing => ({ tiers, strategy, weights: {}, score: { cost: 1, latency: 1, reliability: 1 }, ...more });

const abc = [['a/1'], ['b/1'], ['c/1']];
const letters = (targets: readonly string[]) => targets.map((target) => target[0]).join('');

describe('the order of the chain', () => {
  test.for([
    ['keeps its tiers', abc, 'ordered', 1, 'abc'],
    ['is turned by nothing at first', abc, 'round_robin', 0, 'abc'],
    ['begins one further with the next turn', abc, 'round_robin', 1, 'bca'],
    ['begins at the last with the third', abc, 'round_robin', 2, 'cab'],
    ['begins again after a whole round', abc, 'round_robin', 3, 'abc'],
    ['bears a turn that has run below zero', abc, 'round_robin', -1, 'cab'],
    ['has nothing to turn with one target', [['a/1']], 'round_robin', 5, 'a'],
    ['has nothing to turn without targets', [], 'round_robin', 5, ''],
    ['turns tiers, not their targets', [['a/1'], ['b/1', 'c/1']], 'round_robin', 1, 'bca'],
  ] as const)('%s', ([, tiers, strategy, turn, expected]) => {
    expect(letters(orderTargets(chainOf(strategy, tiers), statsIn({}), turn, even))).toBe(expected);
  });

  test('is a copy, so that the chain stays as it was', () => {
    const chain = chainOf('ordered', [['a/1', 'b/1']]);
    orderTargets(chain, statsIn({}), 0, even).reverse();
    expect(chain.tiers).toEqual([['a/1', 'b/1']]);
  });
});

/** How often each target comes first, over all dice of an even grid. */
function firsts(chain: Routing, known: Known, steps = 24): Record<string, number> {
  const targets = chain.tiers.flat();
  const count: Record<string, number> = Object.fromEntries(targets.map((target) => [target, 0]));
  const rolls = steps ** targets.length;
  for (let roll = 0; roll < rolls; roll += 1) {
    const random = (target: string) => ((Math.floor(roll / steps ** targets.indexOf(target)) % steps) + 0.5) / steps;
    const first = orderTargets(chain, statsIn(known), 0, random)[0] as string;
    count[first] = (count[first] ?? 0) + 1 / rolls;
  }
  return count;
}

describe('balanced targets', () => {
  test.for<[string, Partial<Routing>, Known, number[]]>([
    ['evenly, when nothing tells them apart', {}, {}, [1 / 3, 1 / 3, 1 / 3]],
    ['by their weights', { weights: { 'a/1': 2 } }, {}, [1 / 2, 1 / 4, 1 / 4]],
    ['by their free capacity', {}, { 'c/1': { freeCapacity: 6 } }, [1 / 8, 1 / 8, 6 / 8]],
    [
      'by weight times free capacity',
      { weights: { 'a/1': 3, 'b/1': 0.5 } },
      { 'a/1': { freeCapacity: 2 }, 'b/1': { freeCapacity: 4 }, 'c/1': { freeCapacity: 2 } },
      [6 / 10, 2 / 10, 2 / 10],
    ],
    [
      'never a full one, while another has room',
      { weights: { 'a/1': 999 } },
      { 'a/1': { freeCapacity: 0 } },
      [0, 1 / 2, 1 / 2],
    ],
    [
      'by their weights when all are full',
      { weights: { 'b/1': 2 } },
      { 'a/1': { freeCapacity: 0 }, 'b/1': { freeCapacity: 0 }, 'c/1': { freeCapacity: 0 } },
      [1 / 4, 1 / 2, 1 / 4],
    ],
  ])('come first %s', ([, more, known, expected]) => {
    const count = firsts(chainOf('balanced', abc, more), known);
    ['a/1', 'b/1', 'c/1'].forEach((target, index) => {
      // The grid is coarse where all dice are close to 1.
      expect(Math.abs((count[target] as number) - (expected[index] as number))).toBeLessThan(0.03);
    });
  });

  test('are balanced within a tier, which keeps its turn', () => {
    const chain = chainOf('ordered', [['a/1', 'b/1'], ['c/1']]);
    const bFirst = (target: string) => (target === 'b/1' ? 0.9 : 0.1);
    expect(letters(orderTargets(chain, statsIn({}), 0, bFirst))).toBe('bac');
    expect(letters(orderTargets(chain, statsIn({ 'b/1': { freeCapacity: 0 } }), 0, bFirst))).toBe('abc');
  });

  test('keep the order of the chain when the dice fall alike, at the ends of their range too', () => {
    for (const roll of [0, 0.5, 1])
      expect(letters(orderTargets(chainOf('balanced', abc), statsIn({}), 0, () => roll))).toBe('abc');
  });
});

describe('the cheapest first', () => {
  test.for<[string, Known, string]>([
    ['by expected cost', { 'a/1': { costNano: 3n }, 'b/1': { costNano: 1n }, 'c/1': { costNano: 2n } }, 'bca'],
    ['an unknown cost last: it is not zero', { 'b/1': { costNano: 9n }, 'c/1': { costNano: 0n } }, 'cba'],
    ['in the order of the chain among equals', { 'b/1': { costNano: 1n }, 'c/1': { costNano: 1n } }, 'bca'],
    ['in the order of the chain when nothing is known', {}, 'abc'],
    [
      'whatever a double would round off',
      { 'a/1': { costNano: 10n ** 18n + 1n }, 'b/1': { costNano: 10n ** 18n }, 'c/1': { costNano: 0n } },
      'cba',
    ],
  ])('%s', ([, known, expected]) => {
    const targets = abc.flat();
    expect(letters(fallbackOrder(targets, statsIn(known)))).toBe(expected);
    expect(letters(orderTargets(chainOf('cheapest', [targets]), statsIn(known), 1, even))).toBe(expected);
    expect(letters(targets)).toBe('abc');
  });
});

describe('the fastest first', () => {
  test.for<[string, Known, string]>([
    ['by latency', { 'a/1': { latencyMs: 3 }, 'b/1': { latencyMs: 1 }, 'c/1': { latencyMs: 2 } }, 'bca'],
    ['an unknown one as the median of two', { 'b/1': { latencyMs: 9 }, 'c/1': { latencyMs: 1 } }, 'cab'],
    ['an unknown one as the only one known, and before it by the chain', { 'b/1': { latencyMs: 9 } }, 'abc'],
    ['in the order of the chain when nothing is known', {}, 'abc'],
  ])('%s', ([, known, expected]) => {
    expect(letters(orderTargets(chainOf('fastest', abc), statsIn(known), 0, even))).toBe(expected);
  });

  test('an unknown one as the middle of three', () => {
    const known = { 'a/1': { latencyMs: 900 }, 'b/1': { latencyMs: 20 }, 'd/1': { latencyMs: 10 } };
    const chain = chainOf('fastest', [...abc, ['d/1']]);
    // c counts as 20, and stands behind b in the chain.
    expect(letters(orderTargets(chain, statsIn(known), 0, even))).toBe('dbca');
  });
});

describe('the best score first', () => {
  const known: Known = {
    'a/1': { costNano: 0n, latencyMs: 1_000, reliability: 0.8 },
    'b/1': { costNano: 50n, latencyMs: 100, reliability: 0.9 },
    'c/1': { costNano: 100n, latencyMs: 500, reliability: 1 },
  };
  test.for<[string, ChainSettings['score'], Known, string]>([
    ['by cost alone', { cost: 1, latency: 0, reliability: 0 }, known, 'abc'],
    ['by latency alone', { cost: 0, latency: 0.3, reliability: 0 }, known, 'bca'],
    ['by reliability alone', { cost: 0, latency: 0, reliability: 0.7 }, known, 'cba'],
    // a: 0 + 1 + 1, b: 0.5 + 0 + 0.5, c: 1 + 0.44 + 0.
    ['by all three', { cost: 1, latency: 1, reliability: 1 }, known, 'bca'],
    ['by the ratio of the weights', { cost: 0.1, latency: 0.1, reliability: 0.1 }, known, 'bca'],
    ['by the chain when nothing weighs', { cost: 0, latency: 0, reliability: 0 }, known, 'abc'],
    ['by the chain when nothing is known', { cost: 1, latency: 1, reliability: 1 }, {}, 'abc'],
    ['an unknown cost as the worst', { cost: 1, latency: 0, reliability: 0 }, { ...known, 'a/1': {} }, 'bac'],
    [
      'any known cost before an unknown one, though it is the only one',
      { cost: 1, latency: 0, reliability: 0 },
      { 'c/1': { costNano: 5n } },
      'cab',
    ],
    [
      'an unknown latency as the median',
      { cost: 0, latency: 1, reliability: 0 },
      { 'b/1': { latencyMs: 900 }, 'c/1': { latencyMs: 100 } },
      'cab',
    ],
    [
      'an unknown reliability as the median',
      { cost: 0, latency: 0, reliability: 1 },
      { 'b/1': { reliability: 0.2 }, 'c/1': { reliability: 0.9 } },
      'cab',
    ],
  ])('%s', ([, score, stats, expected]) => {
    expect(letters(orderTargets(chainOf('scored', abc, { score }), statsIn(stats), 0, even))).toBe(expected);
  });
});

const share = fc.double({ min: 0, max: 1, noNaN: true });
const stats: fc.Arbitrary<TargetStats> = fc.record({
  costNano: fc.option(fc.bigInt({ min: 0n, max: 10n ** 19n })),
  latencyMs: fc.option(fc.nat(600_000)),
  reliability: fc.option(share),
  freeCapacity: fc.oneof(fc.constant(0), fc.nat(10_000)),
});
const chains = fc
  .array(fc.array(fc.record({ weight: fc.double({ min: 0.01, max: 1_000, noNaN: true }), stats }), { maxLength: 5 }), {
    maxLength: 12,
  })
  .map((tiers) => {
    const named = tiers.map((tier, place) => tier.map((each, index) => ({ ...each, target: `p${place}/m${index}` })));
    const all = named.flat();
    return {
      tiers: named.map((tier) => tier.map(({ target }) => target)),
      weights: Object.fromEntries(all.map(({ target, weight }) => [target, weight])),
      known: Object.fromEntries(all.map((each) => [each.target, each.stats])),
    };
  });
const scores = fc.record({ cost: share, latency: share, reliability: share });

describe('whatever the chain, its strategy and what is known', () => {
  test('every target comes exactly once, and in the same order again', () => {
    fc.assert(
      fc.property(
        ...[
          chains,
          fc.constantFrom(...strategies),
          scores,
          fc.integer(),
          fc.func(fc.double({ min: 0, max: 0.999, noNaN: true })),
        ],
        ({ tiers, weights, known }, strategy, score, turn, random) => {
          const run = () => orderTargets({ tiers, weights, strategy, score }, statsIn(known), turn, random);
          expect(run().toSorted()).toEqual(tiers.flat().toSorted());
          expect(run()).toEqual(run());
        },
      ),
    );
  });

  test('tiers stay together where they count', () => {
    fc.assert(
      fc.property(
        chains,
        fc.nat(20),
        fc.constantFrom('ordered', 'round_robin'),
        ({ tiers, weights, known }, turn, strategy) => {
          const score = { cost: 1, latency: 1, reliability: 1 };
          const ordered = orderTargets({ tiers, weights, strategy, score }, statsIn(known), turn, even);
          const tierOf = (target: string) => tiers.findIndex((tier) => tier.includes(target));
          const places = ordered.map(tierOf);
          const changes = places.filter((place, index) => index > 0 && place !== places[index - 1]).length;
          expect(changes).toBe(Math.max(0, new Set(places).size - 1));
          if (strategy === 'ordered') expect(places).toEqual(places.toSorted((a, b) => a - b));
        },
      ),
    );
  });
});
