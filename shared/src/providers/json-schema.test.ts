import { expect, test } from 'vitest';
import { rewriteInside } from './json-schema.ts';

const seen = (keyword: string, value: unknown) => rewriteInside(keyword, value, (schema) => ({ seen: schema }));
const text = { type: 'string' };

test.for<[string, unknown, unknown]>([
  ['properties', { a: text, type: text }, { a: { seen: text }, type: { seen: text } }],
  ['$defs', { a: text }, { a: { seen: text } }],
  ['definitions', { a: true }, { a: true }],
  ['items', text, { seen: text }],
  ['items', [text, false], [{ seen: text }, false]],
  ['additionalProperties', false, false],
  ['anyOf', [text, text], [{ seen: text }, { seen: text }]],
  ['not', text, { seen: text }],
  ['properties', 'x', {}],
  ['anyOf', 'x', 'x'],
])('the schemas in %s of %j are rewritten', ([keyword, value, expected]) => {
  expect(seen(keyword, value)).toEqual(expected);
});

test.for<[string, unknown]>([
  ['type', 'object'],
  ['enum', [{ type: 'string' }]],
  ['default', { type: 'string' }],
  ['required', ['properties']],
])('%s of %j holds no schema, and stays', ([keyword, value]) => {
  expect(seen(keyword, value)).toEqual(value);
});
