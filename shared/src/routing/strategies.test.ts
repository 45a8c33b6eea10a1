import { describe, expect, test } from 'vitest';
import { orderTargets } from './strategies.ts';

const targets = ['a/1', 'b/1', 'c/1'];

describe('orderTargets', () => {
  test.for([
    ['keeps the order of the chain', targets, 'ordered', 1, ['a/1', 'b/1', 'c/1']],
    ['starts a round at the first', targets, 'round_robin', 0, ['a/1', 'b/1', 'c/1']],
    ['starts the next turn one further', targets, 'round_robin', 1, ['b/1', 'c/1', 'a/1']],
    ['starts the third turn at the last', targets, 'round_robin', 2, ['c/1', 'a/1', 'b/1']],
    ['begins again after a whole round', targets, 'round_robin', 3, ['a/1', 'b/1', 'c/1']],
    ['bears a turn that has run below zero', targets, 'round_robin', -1, ['c/1', 'a/1', 'b/1']],
    ['has nothing to turn with one target', ['a/1'], 'round_robin', 5, ['a/1']],
    ['has nothing to turn without targets', [], 'round_robin', 5, []],
  ] as const)('%s', ([, given, strategy, turn, expected]) => {
    expect(orderTargets(given, strategy, turn)).toEqual(expected);
  });

  test('hands out a copy, so that the chain stays as it was', () => {
    const ordered = orderTargets(targets, 'ordered', 0);
    ordered.reverse();
    expect(targets).toEqual(['a/1', 'b/1', 'c/1']);
  });
});
