import { expect, test } from 'vitest';
import { toEnforceable } from './json-schema.ts';

const closed = { type: 'object', additionalProperties: false };
const told = (...keywords: string[]) =>
  `told the model ${keywords.join(', ')} of a JSON schema: Anthropic does not enforce them`;
const closing = 'closed the objects of a JSON schema: Anthropic takes no others';

test.for<[string, object]>([
  ['a closed object', { ...closed, properties: { a: { type: 'string' } }, required: ['a'] }],
  ['what is not an object', { type: 'array', items: { type: 'string', enum: ['a'], format: 'date' } }],
  ['one item at least', { type: 'array', minItems: 1 }],
  ['values that look like keywords', { ...closed, properties: {}, default: { minimum: 1 }, enum: [{ pattern: 'x' }] }],
  ['always', { ...closed, properties: { a: true } }],
])('a schema within their language stays as it is: %s', ([, schema]) => {
  expect(toEnforceable({ ...schema })).toEqual({ schema, warnings: [] });
});

test.for<[string, object, string]>([
  ['minimum', { type: 'integer', minimum: 0 }, 'minimum 0'],
  ['maximum', { type: 'integer', maximum: 9 }, 'maximum 9'],
  ['exclusiveMinimum', { exclusiveMinimum: 0 }, 'exclusiveMinimum 0'],
  ['exclusiveMaximum', { exclusiveMaximum: 9 }, 'exclusiveMaximum 9'],
  ['multipleOf', { multipleOf: 5 }, 'multipleOf 5'],
  ['minLength', { minLength: 1 }, 'minLength 1'],
  ['maxLength', { maxLength: 9 }, 'maxLength 9'],
  ['pattern', { pattern: '^a"' }, 'pattern "^a\\""'],
  ['minItems', { minItems: 2 }, 'minItems 2'],
  ['maxItems', { maxItems: 3 }, 'maxItems 3'],
  ['uniqueItems', { uniqueItems: true }, 'uniqueItems true'],
  ['minProperties', { minProperties: 1 }, 'minProperties 1'],
  ['maxProperties', { maxProperties: 2 }, 'maxProperties 2'],
  ['not', { not: { type: 'null' } }, 'not {"type":"null"}'],
])('"%s" is told in words', ([keyword, schema, words]) => {
  const { [keyword]: _, ...rest } = schema as Record<string, unknown>;
  expect(toEnforceable({ ...schema })).toEqual({
    schema: { ...rest, description: `Must hold: ${words}.` },
    warnings: [told(keyword)],
  });
});

test('several bounds follow the description that is there', () => {
  const schema = { type: 'string', description: 'A code.', minLength: 2, maxLength: 4 };
  expect(toEnforceable(schema)).toEqual({
    schema: { type: 'string', description: 'A code. Must hold: minLength 2, maxLength 4.' },
    warnings: [told('minLength', 'maxLength')],
  });
});

test('schemas are reached wherever they stand, and properties may be named like keywords', () => {
  const long = { type: 'string', minLength: 2 };
  const short = { type: 'string', description: 'Must hold: minLength 2.' };
  const object = { type: 'object', properties: { pattern: long } };
  const shut = { type: 'object', properties: { pattern: short }, additionalProperties: false };
  const schema = {
    ...object,
    $defs: { a: object },
    definitions: { b: object },
    anyOf: [object, false],
    oneOf: [object],
    allOf: [object],
    prefixItems: [object],
    items: object,
  };
  expect(toEnforceable(schema)).toEqual({
    schema: {
      ...shut,
      $defs: { a: shut },
      definitions: { b: shut },
      anyOf: [shut, false],
      oneOf: [shut],
      allOf: [shut],
      prefixItems: [shut],
      items: shut,
    },
    warnings: [told('minLength'), closing],
  });
  expect(toEnforceable({ items: [long] }).schema).toEqual({ items: [short] });
});

test.for<[string, object]>([
  ['open', { type: 'object' }],
  ['open by its word', { type: 'object', additionalProperties: true }],
  ['open to some', { type: 'object', additionalProperties: { type: 'string' } }],
  ['or null', { type: ['object', 'null'] }],
  ['without a type', { properties: {} }],
])('an object is closed, and that is told: %s', ([, schema]) => {
  expect(toEnforceable({ ...schema })).toEqual({
    schema: { ...schema, additionalProperties: false },
    warnings: [closing],
  });
});

test('the schema it is given is not changed', () => {
  const schema = { type: 'object', properties: { a: { type: 'integer', minimum: 0 } } };
  const before = structuredClone(schema);
  toEnforceable(schema);
  expect(schema).toEqual(before);
});
