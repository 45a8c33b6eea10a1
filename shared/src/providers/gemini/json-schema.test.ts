import { expect, test } from 'vitest';
import { droppedKeywords, toKnownSchema } from './json-schema.ts';

const text = { type: 'string' };

test.for<[string, object]>([
  ['plain keywords', { type: 'array', minItems: 1, maxItems: 3, title: 'T', description: 'D', items: text }],
  ['properties, whatever their names', { type: 'object', properties: { pattern: text, not: text }, required: ['not'] }],
  ['properties as true and false', { properties: { a: true }, additionalProperties: false }],
  ['alternatives', { anyOf: [text, { type: 'number', minimum: 1, maximum: 2 }], oneOf: [text] }],
  ['items by position', { prefixItems: [text, { enum: ['a'] }] }],
  ['references', { $defs: { a: { $anchor: 'x', ...text } }, items: { $ref: '#/$defs/a' } }],
])('what Gemini knows stays as it is: %s', ([, schema]) => {
  expect(toKnownSchema(schema as Record<string, unknown>)).toEqual({ schema, dropped: new Set() });
});

test.for<[string, Record<string, unknown>, object]>([
  ['definitions', { definitions: { a: text }, $ref: '#/definitions/a' }, { $defs: { a: text }, $ref: '#/$defs/a' }],
  ['a constant', { const: 'a' }, { enum: ['a'] }],
])('an older spelling becomes the one that says the same: %s', ([, schema, known]) => {
  expect(toKnownSchema(schema)).toEqual({ schema: known, dropped: new Set() });
});

test('what it does not know is left out at every depth, and named once', () => {
  const { schema, dropped } = toKnownSchema({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: { a: { ...text, pattern: '^a' }, b: { type: 'array', items: { ...text, pattern: 'b', default: 1 } } },
    $defs: { c: { not: text } },
    anyOf: [{ const: null }],
    $ref: 7,
    'a secret prompt as a keyword': 1,
  });
  expect(schema).toEqual({
    type: 'object',
    properties: { a: text, b: { type: 'array', items: text } },
    $defs: { c: {} },
    anyOf: [{}],
  });
  expect(dropped).toEqual(new Set(['$schema', 'pattern', 'default', 'not', 'const', '$ref', 'another keyword']));
});

test('the warning names a few of many', () => {
  const many = new Set(Array.from({ length: 12 }, (_, index) => `k${index}`));
  expect(droppedKeywords(many, 'a schema')).toEqual([
    'dropped "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9" and 2 more from a schema: Gemini does not know them',
  ]);
  expect(droppedKeywords(new Set(), 'a schema')).toEqual([]);
});
