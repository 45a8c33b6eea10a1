import { expect, test } from 'vitest';
import { z } from 'zod';
import { againAfter, isDataFault, isUnanswered } from './faults.ts';

const withCode = (code: string) => Object.assign(new Error('refused'), { code });

const table: [string, unknown, 'each' | 'halves' | 'none', ('unanswered' | 'data')[]][] = [
  ['a statement that took too long', withCode('57014'), 'halves', ['unanswered']],
  ['a server that shuts down', withCode('57P01'), 'none', ['unanswered']],
  ['a connection that broke', withCode('ECONNRESET'), 'none', ['unanswered']],
  ['a connection that the driver gave up', new Error('Connection terminated unexpectedly'), 'none', ['unanswered']],
  ['a deadlock', withCode('40P01'), 'halves', []],
  ['a lock that was not free in time', withCode('55P03'), 'halves', []],
  ['a full disk', withCode('53100'), 'none', []],
  ['a value that does not fit', withCode('22003'), 'each', ['data']],
  ['a constraint', withCode('23502'), 'each', ['data']],
  ['a value that cannot be written', new TypeError('Do not know how to serialize a BigInt'), 'each', ['data']],
  ['a list that is too long', new RangeError('Invalid string length'), 'each', ['data']],
  ['a shape that is not known', z.string().safeParse(1).error, 'each', ['data']],
  ['a fault of ours', withCode('42883'), 'each', []],
  ['something else', 'no error', 'each', []],
];

test.each(table)('%s', (_, error, again, kinds) => {
  const found = { unanswered: isUnanswered(error), data: isDataFault(error) };
  expect(againAfter(error)).toBe(again);
  expect(Object.entries(found).flatMap(([kind, is]) => (is ? kind : []))).toEqual(kinds);
});
