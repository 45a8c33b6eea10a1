import { format, inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Secret } from './secret.ts';

const text = 'sk-test-0123456789';
const secret = new Secret(text);

test('a secret is revealed when asked by name', () => {
  expect(secret.reveal()).toBe(text);
});

test.for<[string, () => string]>([
  ['a template', () => `${secret}`],
  ['a text it is added to', () => `key ${String(secret)}`],
  ['JSON', () => JSON.stringify({ credential: secret })],
  ['JSON of a list', () => JSON.stringify([[secret]])],
  ['inspect', () => inspect(secret)],
  ['inspect of what holds it, at any depth', () => inspect({ a: { b: [secret] } }, { depth: 9, showHidden: true })],
  ['a formatted line', () => format('%s %o %O %j', secret, secret, secret, secret)],
  ['an error that names it', () => String(new Error(`Cannot use ${secret}`))],
])('a secret does not show in %s', ([, show]) => {
  const shown = show();
  expect(shown).not.toContain(text);
  expect(shown).toContain('[secret]');
});

test('a secret has no field that a copy would take along', () => {
  expect(Object.keys(secret)).toEqual([]);
  expect(JSON.stringify({ ...secret })).toBe('{}');
});
