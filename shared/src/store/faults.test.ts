import { expect, test } from 'vitest';
import { z } from 'zod';
import { isDataFault, isOfServer, isUnanswered } from './faults.ts';

const withCode = (code: string) => Object.assign(new Error('refused'), { code });

const table: [string, unknown, ('unanswered' | 'server' | 'data')[]][] = [
  ['a statement that took too long', withCode('57014'), ['unanswered', 'server']],
  ['a server that shuts down', withCode('57P01'), ['unanswered', 'server']],
  ['a connection that broke', withCode('ECONNRESET'), ['unanswered', 'server']],
  ['a connection that the driver gave up', new Error('Connection terminated unexpectedly'), ['unanswered', 'server']],
  ['a deadlock', withCode('40P01'), ['server']],
  ['a lock that was not free in time', withCode('55P03'), ['server']],
  ['a full disk', withCode('53100'), ['server']],
  ['a value that does not fit', withCode('22003'), ['data']],
  ['a constraint', withCode('23502'), ['data']],
  ['a value that cannot be written', new TypeError('Do not know how to serialize a BigInt'), ['data']],
  ['a list that is too long', new RangeError('Invalid string length'), ['data']],
  ['a shape that is not known', z.string().safeParse(1).error, ['data']],
  ['a fault of ours', withCode('42883'), []],
  ['something else', 'no error', []],
];

test.each(table)('%s', (_, error, kinds) => {
  const found = { unanswered: isUnanswered(error), server: isOfServer(error), data: isDataFault(error) };
  expect(Object.entries(found).flatMap(([kind, is]) => (is ? kind : []))).toEqual(kinds);
});
