import { Problem } from '@waybill/shared/domain/problem.ts';
import { expect, test } from 'vitest';
import { toProblem } from './problems.ts';

const withCode = (code: string, message = 'x') => Object.assign(new Error(message), { code });

test.for([
  ['a full disk', withCode('53100'), 'storage_unavailable', 30],
  ['a full disk below the database', withCode('ENOSPC'), 'storage_unavailable', 30],
  ['a lost connection', withCode('08006'), 'storage_unavailable', 5],
  ['a server that shuts down', withCode('57P01'), 'storage_unavailable', 5],
  ['a statement that took too long', withCode('57014'), 'storage_unavailable', 5],
  ['too many connections', withCode('53300'), 'storage_unavailable', 5],
  ['nobody who listens', withCode('ECONNREFUSED'), 'storage_unavailable', 5],
  ['a connection that was reset', withCode('ECONNRESET'), 'storage_unavailable', 5],
  ['no answer', new Error('Query read timeout'), 'storage_unavailable', 5],
  ['no connection in time', new Error('timeout exceeded when trying to connect'), 'storage_unavailable', 5],
  ['an end in the middle', new Error('Connection terminated unexpectedly'), 'storage_unavailable', 5],
  ['a path that cannot be decoded', new URIError('x'), 'invalid_path', null],
  ['a constraint', withCode('23505'), 'internal_error', null],
  ['something thrown that is no error', 'x', 'internal_error', null],
] as const)('%s', ([, error, code, retryAfterSeconds]) => {
  expect(toProblem(error)).toMatchObject({ code, retryAfterSeconds });
});

test('a problem stays what it is', () => {
  const problem = new Problem('not_found', 'Cannot find it');
  expect(toProblem(problem)).toBe(problem);
});
