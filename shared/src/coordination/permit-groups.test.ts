import { describe, expect, test } from 'vitest';
import type { RateLimit } from '../routing/limits.ts';
import type { PermitEnd, PermitRequest } from './coordination.ts';
import { accountsOf, flatRates, permitGroup, placesOfEnds, settleGroup, toPermitAnswers } from './permit-groups.ts';

const places = [
  { id: 'main', concurrency: 4 },
  { id: 'backup', concurrency: 2 },
];
const request: PermitRequest = { token: '1', target: 'openai/gpt', places, epoch: 'e' };
const rpm: RateLimit = {
  name: 'rpm',
  unit: 'requests',
  limit: 10,
  periodMs: 60_000,
  slotMs: 1_000,
  slots: 63,
  isPaced: true,
};
const size = { inputTokens: 1, outputTokens: 2 };
const rates = { jobId: 'job_1', size, limits: [rpm] };

describe('requests for permits share a call', () => {
  test('when only their tokens differ', () => {
    expect(permitGroup({ ...request, token: '2', places: [...places] })).toBe(permitGroup(request));
    const limited = permitGroup({ ...request, rates });
    const other = { ...rates, jobId: 'job_2', size: { inputTokens: 9, outputTokens: 9 }, limits: [{ ...rpm }] };
    expect(permitGroup({ ...request, token: '2', rates: other })).toBe(limited);
  });

  test.for<[string, Partial<PermitRequest>]>([
    ['target', { target: 'openai/gpt-2' }],
    ['epoch', { epoch: 'e2' }],
    ['number of places', { places: places.slice(0, 1) }],
    ['order of places', { places: places.toReversed() }],
    ['limit of a place', { places: [{ id: 'main', concurrency: 5 }, ...places.slice(1)] }],
    ['rates', { rates }],
  ])('but not when they differ in their %s', ([, change]) => {
    expect(permitGroup({ ...request, ...change })).not.toBe(permitGroup(request));
  });
});

test.for<[string, Partial<RateLimit>]>([
  ['name', { name: 'tpm' }],
  ['value', { limit: 11 }],
  ['slots', { slots: 64 }],
  ['length of a slot', { slotMs: 20 }],
])('calls do not share one when the %s of a limit differs', ([, change]) => {
  const changed = { ...rates, limits: [{ ...rpm, ...change }] };
  expect(permitGroup({ ...request, rates: changed })).not.toBe(permitGroup({ ...request, rates }));
});

test('ends share a call when their target, their limits and what their breaker looks at are the same', () => {
  const end = { token: '1', target: 'openai/gpt', breakerWindowMs: 60_000, isLatencyWatched: false } as PermitEnd;
  const reserved = { atMs: 1, size, used: size, isSent: true, limits: [rpm] };
  expect(settleGroup({ ...end, token: '2', place: 'backup' })).toBe(settleGroup(end));
  const changes: Partial<PermitEnd>[] = [
    { target: 'openai/gpt-2' },
    { breakerWindowMs: 30_000 },
    { isLatencyWatched: true },
    { rates: reserved },
  ];
  for (const change of changes) expect(settleGroup({ ...end, ...change })).not.toBe(settleGroup(end));
});

test('the addresses of an account share its rates', () => {
  expect(accountsOf([{ id: 'main' }, { id: 'main@2' }, { id: 'backup' }, { id: 'main@3' }])).toEqual([
    'main',
    'backup',
  ]);
});

test('a part of a token counts as a whole one', () => {
  const estimated = { inputTokens: 1.2, outputTokens: 2 };
  const flat = flatRates({
    atMs: 5,
    limits: [rpm],
    size: estimated,
    used: { ...size, outputTokens: 0.1 },
    isSent: true,
  });
  expect(flat).toEqual({ atMs: 5, isSent: true, input: 2, output: 2, usedInput: 1, usedOutput: 1 });
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
  const full = { kind: 'wait', reason: 'concurrency', retryAfterMs: null, forAllMs: null };
  const lost = { kind: 'epoch_lost' };
  const main = { kind: 'go', place: 'main', atMs: 7, isProbe: false };
  test.for<[string, number[][], object[]]>([
    [
      'names the place of each',
      [
        [2, 7, 0, 0],
        [1, 7, 0, 0],
      ],
      [{ ...main, place: 'backup' }, main],
    ],
    [
      'says which one is the probe',
      [
        [1, 7, 1, 0],
        [0, 3, -1, -1],
      ],
      [
        { ...main, isProbe: true },
        { kind: 'breaker', retryAfterMs: null },
      ],
    ],
    [
      'says when the breaker lets calls through',
      [
        [0, 3, 900, -1],
        [0, 3, 0, -1],
      ],
      [
        { kind: 'breaker', retryAfterMs: 900 },
        { kind: 'breaker', retryAfterMs: 0 },
      ],
    ],
    [
      'says that all places are taken',
      [
        [1, 7, 0, 0],
        [0, 1, -1, -1],
      ],
      [main, full],
    ],
    [
      'says how long a rate or a rest lasts, for it and for all',
      [
        [1, 7, 0, 0],
        [0, 2, 1_500, 20],
      ],
      [main, { kind: 'wait', reason: 'rate_limit', retryAfterMs: 1_500, forAllMs: 20 }],
    ],
    ['says that the epoch is lost, to all', [[-1, 0, 0, 0]], [lost, lost]],
    ['that is shorter than it should be lets nobody through', [[1, 7, 0, 0]], [main, full]],
    ['that names a place nobody asked for lets nobody through', [[3, 7, 0, 0], [9]], [full, full]],
    [
      'may hold its numbers as text',
      [
        ['1', '7', '0', '0'],
        ['0', '1', '-1', '-1'],
      ] as unknown as number[][],
      [main, full],
    ],
  ])('%s', ([, numbers, expected]) => {
    expect(toPermitAnswers(numbers, places, 2)).toEqual(expected);
  });
});
