import { describe, expect, test } from 'vitest';
import { entryId, idPrefixes, isId, newId } from './ids.ts';

const hex = '0193a5b27c4d7e8f9a0b1c2d3e4f5061';

describe('a new id', () => {
  test.for(idPrefixes)('of kind %s is recognised as one, and as no other', (prefix) => {
    const id = newId(prefix);
    expect(idPrefixes.filter((other) => isId(other, id))).toEqual([prefix]);
  });

  test('sorts after those before it, and none comes twice', () => {
    const ids = Array.from({ length: 1_000 }, () => newId('job'));
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('holds neither a colon, which BullMQ refuses, nor a dash', () => {
    expect(newId('job')).toMatch(/^job_[0-9a-f]{32}$/);
  });
});

test.for([
  ['our own form', `job_${hex}`, true],
  ['another prefix', `key_${hex}`, false],
  ['no prefix', hex, false],
  ['a digit too few', `job_${hex.slice(1)}`, false],
  ['a digit too many', `job_${hex}0`, false],
  ['capitals', `job_${hex.toUpperCase()}`, false],
  ['a letter beyond f', `job_${hex.slice(1)}g`, false],
  ['a line end', `job_${hex.slice(1)}\n`, false],
  ['a path', '../../etc/passwd', false],
  ['a uuid with dashes', 'job_0193a5b2-7c4d-7e8f-9a0b-1c2d3e4f', false],
  ['nothing', '', false],
] as const)('a job id is judged by its form: %s', ([, value, expected]) => {
  expect(isId('job', value)).toBe(expected);
});

test('the entry of a job is named by the job and its turn', () => {
  expect(entryId(`job_${hex}`, 7)).toBe(`job_${hex}-7`);
});
