import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { faultsOf, nearestHint, notSupportedYet, strictObject } from './strict-object.ts';

describe('nearestHint', () => {
  const known = ['model', 'max_tokens', 'temperature'];
  test.for([
    ['names the closest field', 'modle', known, '; did you mean "model"?'],
    ['bears more errors in a long name', 'tempreatuer', known, ''],
    ['bears three errors in a name of eleven letters', 'tempratur', known, '; did you mean "temperature"?'],
    ['says nothing when no name is near', 'banana', known, ''],
    ['says nothing when nothing is known', 'model', [], ''],
    ['says nothing of a very long name', 'm'.repeat(65), ['m'.repeat(64)], ''],
  ] as const)('%s', ([, name, names, expected]) => {
    expect(nearestHint(name, names)).toBe(expected);
  });
});

const schema = strictObject({
  model: z.string(),
  limit: z.int().min(1).max(5).optional(),
  list: z.array(z.union([z.string(), strictObject({ name: z.string() })])).optional(),
  strategy: z.enum(['a', 'b']).optional(),
  late: notSupportedYet('late', (value) => value === false),
  never: notSupportedYet('never'),
});
const faults = (change: object, root?: string) => {
  const { error } = schema.safeParse({ model: 'm', ...change });
  return error ? faultsOf(error, root) : [];
};

describe('a strict object', () => {
  test.for([
    ['with an unknown field', { modle: 1 }, '', 'unknown_field', 'unknown field "modle"; did you mean "model"?'],
    ['with two unknown fields', { xx: 1, yyyyyyy: 2 }, '', 'unknown_field', 'unknown field "xx"'],
    ['with a wrong type', { model: 1 }, 'model', 'invalid_type', 'expected string'],
    ['with too great a value', { limit: 6 }, 'limit', 'out_of_range', '<=5'],
    ['with too small a value', { limit: 0 }, 'limit', 'out_of_range', '>=1'],
    ['with a value that is not one of those allowed', { strategy: 'c' }, 'strategy', 'invalid_value', '"a"|"b"'],
    ['with a field that is not built', { never: 1 }, 'never', 'not_supported_yet', '"never" is not supported yet'],
    ['with a value that is not built', { late: true }, 'late', 'not_supported_yet', '"late" is not supported yet'],
    ['with a fault inside a union', { list: ['x', { name: 1 }] }, 'list[1].name', 'invalid_type', 'expected string'],
    ['with no branch of a union', { list: [1] }, 'list[0]', 'invalid_type', 'Invalid input'],
  ] as const)('%s is refused by name', ([, change, path, code, words]) => {
    const [fault] = faults(change);
    expect(fault).toMatchObject({ path, code });
    expect(fault?.message).toContain(words);
  });

  test.for([
    ['unset', {}],
    ['null', { never: null, late: null }],
    ['neutral', { late: false }],
  ] as const)('accepts a field that is not built when it is %s', ([, change]) => {
    expect(schema.safeParse({ model: 'm', ...change }).data).toEqual({ model: 'm' });
  });

  test('tells all faults at once', () => {
    expect(
      faults({ limit: 9, strategy: 'c', zz: 1 })
        .map((fault) => fault.code)
        .toSorted(),
    ).toEqual(['invalid_value', 'out_of_range', 'unknown_field']);
  });

  test('says where the fault is, from the root it is given', () => {
    expect(faults({ list: [{ name: 1 }] }, 'body')[0]?.path).toBe('body.list[0].name');
  });

  test('shows at most 64 characters of an unknown name', () => {
    expect(faults({ ['n'.repeat(500)]: 1 })[0]?.message).toBe(`unknown field "${'n'.repeat(64)}"`);
  });

  test('takes an issue without a code of ours for an invalid value', () => {
    const { error } = z
      .string()
      .refine(() => false, { params: { code: 'no_such_code' } })
      .safeParse('x');
    expect(error && faultsOf(error)[0]?.code).toBe('invalid_value');
  });
});
