import { describe, expect, test } from 'vitest';
import type { PermitEnd, PermitRequest } from './coordination.ts';
import { permitGroup, placesOfEnds, toPermitAnswers } from './permit-groups.ts';

const places = [
  { id: 'main', concurrency: 4 },
  { id: 'backup', concurrency: 2 },
];
const request: PermitRequest = { token: '1', target: 'openai/gpt', places, epoch: 'e' };

describe('requests for permits share a call', () => {
  test('when only their tokens differ', () => {
    expect(permitGroup({ ...request, token: '2', places: [...places] })).toBe(permitGroup(request));
  });

  test.for<[string, Partial<PermitRequest>]>([
    ['target', { target: 'openai/gpt-2' }],
    ['epoch', { epoch: 'e2' }],
    ['number of places', { places: places.slice(0, 1) }],
    ['order of places', { places: places.toReversed() }],
    ['limit of a place', { places: [{ id: 'main', concurrency: 5 }, ...places.slice(1)] }],
  ])('but not when they differ in their %s', ([, change]) => {
    expect(permitGroup({ ...request, ...change })).not.toBe(permitGroup(request));
  });
});

test('of ends that name the same place with different settings, the stricter ones hold', () => {
  const end = { token: '1', target: 'openai/gpt' } as PermitEnd;
  const ends = [
    { ...end, place: 'main', concurrency: 4 },
    { ...end, place: 'backup', concurrency: 2 },
    { ...end, place: 'main', concurrency: 3 },
  ];
  expect(placesOfEnds(ends)).toEqual([
    { id: 'main', concurrency: 3 },
    { id: 'backup', concurrency: 2 },
  ]);
});

describe('the answer of a store', () => {
  const full = { kind: 'wait', reason: 'concurrency', retryAfterMs: null };
  test.for<[string, number[], object[]]>([
    [
      'names the place of each',
      [2, 1, 0],
      [
        { kind: 'go', place: 'backup' },
        { kind: 'go', place: 'main' },
      ],
    ],
    ['says that all places are taken', [1, 0, 0], [{ kind: 'go', place: 'main' }, full]],
    [
      'says how long the rest of those with room lasts',
      [1, 0, 1_500],
      [
        { kind: 'go', place: 'main' },
        { kind: 'wait', reason: 'rate_limit', retryAfterMs: 1_500 },
      ],
    ],
    ['says that the epoch is lost, to all', [-1], [{ kind: 'epoch_lost' }, { kind: 'epoch_lost' }]],
    ['that is shorter than it should be lets nobody through', [1], [{ kind: 'go', place: 'main' }, full]],
    ['that names a place nobody asked for lets nobody through', [3, 9, 0], [full, full]],
  ])('%s', ([, numbers, expected]) => {
    expect(toPermitAnswers(numbers, places, 2)).toEqual(expected);
  });
});
