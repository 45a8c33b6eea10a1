import { expect, test } from 'vitest';
import { effortFor, nearestEffort } from './efforts.ts';
import { plainQuirks, type Quirks } from './quirks.ts';

test.for([
  ['medium', null, 'medium'],
  ['medium', ['low', 'medium', 'high'], 'medium'],
  ['none', ['low', 'medium', 'high'], 'low'],
  ['minimal', ['low', 'medium', 'high'], 'low'],
  ['max', ['low', 'medium', 'high'], 'high'],
  ['low', ['none', 'high'], 'high'],
  ['minimal', ['none', 'high'], 'none'],
  ['medium', ['none', 'high'], 'high'],
] as const)('of %s, the nearest of %j is %s', ([effort, known, expected]) => {
  expect(nearestEffort(effort, known)).toBe(expected);
});

test.for<[string, Partial<Quirks>, ReturnType<typeof effortFor>]>([
  ['as it is asked for', {}, { effort: 'low', warnings: [] }],
  [
    'as the nearest, the higher of two',
    { efforts: ['none', 'high'] },
    {
      effort: 'high',
      warnings: ['wrote "reasoning_effort" as "high": the nearest this target takes'],
    },
  ],
  [
    'not at all',
    { reasoningRequest: 'none' },
    {
      effort: null,
      warnings: ['dropped "reasoning_effort": this provider does not take it'],
    },
  ],
])('an effort is sent %s', ([, quirks, expected]) => {
  expect(effortFor('low', { ...plainQuirks, ...quirks })).toEqual(expected);
});

test.for([null, undefined])('an effort of %s is none to speak of', (asked) => {
  expect(effortFor(asked, { ...plainQuirks, efforts: ['high'] })).toEqual({ effort: null, warnings: [] });
});
