/** What is refused as a secret, and that no word of it is said. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import { expect, test } from 'vitest';
import { secretOf } from './secret-body.ts';

const canary = 'sk-canary-4f1d';

function problemOf(body: Record<string, unknown>): Problem {
  try {
    secretOf(body);
  } catch (error) {
    if (error instanceof Problem) return error;
  }
  throw new Error('it was taken');
}

test('a secret is taken as it is', () => {
  expect(secretOf({ secret: canary }).reveal()).toBe(canary);
});

test.for<[string, Record<string, unknown>, number, RegExp]>([
  ['nothing', { secret: '' }, 422, /is empty/],
  ['blanks', { secret: ' \n\t' }, 422, /is empty/],
  ['double quotes', { secret: `"${canary}"` }, 422, /quotes/],
  ['single quotes and a line break', { secret: `'${canary}'\n` }, 422, /quotes/],
  ['a line break at the end', { secret: `${canary}\n` }, 422, /line break/],
  ['a space inside', { secret: `${canary} ${canary}` }, 422, /space/],
  ['a letter no header takes', { secret: `${canary}é` }, 422, /header/],
  ['a control character', { secret: `${canary}\u0000` }, 422, /header/],
  ['too long a text', { secret: canary.repeat(400) }, 422, /4096/],
  ['no text', { secret: [canary] }, 400, /must be a text/],
  ['another field, with the secret as its name', { [canary]: true, secret: canary }, 400, /one field/],
  ['no field', {}, 400, /must be a text/],
])('%s is refused, and not quoted', ([, body, status, message]) => {
  const problem = problemOf(body);
  expect(problem.status).toBe(status);
  expect(problem.message).toMatch(message);
  expect(problem.message).not.toContain(canary);
});
