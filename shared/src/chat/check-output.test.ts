/** Answers against the form that was asked for. */
import { describe, expect, test } from 'vitest';
import { checkOutput } from './check-output.ts';

const schemaFormat = (schema: Record<string, unknown>) =>
  ({ type: 'json_schema', json_schema: { name: 'a', schema } }) as const;
const person = {
  type: 'object',
  properties: { name: { type: 'string', minLength: 1 }, age: { type: 'integer', minimum: 0 } },
  required: ['name', 'age'],
  additionalProperties: false,
};

test.for<[string, string, Parameters<typeof checkOutput>[1], string | null]>([
  ['nothing asked for passes', 'hello', undefined, null],
  ['text passes', 'hello', { type: 'text' }, null],
  ['an object where one was asked for', '{"a":1}', { type: 'json_object' }, null],
  ['a list where an object was asked for', '[1]', { type: 'json_object' }, 'the answer is not an object'],
  ['prose where JSON was asked for', 'Sure!', { type: 'json_object' }, 'the answer is not JSON'],
  ['what the schema describes', '{"name":"A","age":3}', schemaFormat(person), null],
  ['cut JSON', '{"name":"A","ag', schemaFormat(person), 'the answer is not JSON'],
  ['a missing field', '{"name":"A"}', schemaFormat(person), 'the answer does not hold to the schema ("required")'],
  ['a wrong type', '{"name":"A","age":"3"}', schemaFormat(person), 'the answer does not hold to the schema ("type")'],
  [
    'a field too many',
    '{"name":"A","age":3,"x":1}',
    schemaFormat(person),
    'the answer does not hold to the schema ("additionalProperties")',
  ],
  ['a format', '"2026-11-21"', schemaFormat({ type: 'string', format: 'date' }), null],
  [
    'a broken format',
    '"tomorrow"',
    schemaFormat({ type: 'string', format: 'date' }),
    'the answer does not hold to the schema ("format")',
  ],
  ['a schema that nobody understands', '{"a":1}', schemaFormat({ type: 'wobbly' }), null],
  ['a schema that names another document', '1', schemaFormat({ $ref: 'https://example.com/x' }), null],
  ['an older dialect', '1', schemaFormat({ $schema: 'http://json-schema.org/draft-07/schema#', type: 'number' }), null],
])('%s', ([, text, format, expected]) => {
  expect(checkOutput(text, format)).toBe(expected);
});

describe('a schema from outside', () => {
  test('may hold the same $id as another', () => {
    const schema = (type: string) => schemaFormat({ $id: 'https://example.com/same', type });
    expect(checkOutput('1', schema('number'))).toBeNull();
    expect(checkOutput('1', schema('string'))).toContain('"type"');
  });

  test('may hold a pattern that costs a backtracking engine years', () => {
    const format = schemaFormat({ type: 'string', pattern: '^(a+)+$' });
    expect(checkOutput(JSON.stringify(`${'a'.repeat(50_000)}!`), format)).toContain('"pattern"');
  });

  test('is not judged by when it is huge', () => {
    const schema = schemaFormat({ description: 'x'.repeat(300 * 1_024), type: 'string' });
    expect(checkOutput('1', schema)).toBeNull();
  });

  test('is kept compiled, but not for ever', () => {
    for (let n = 0; n < 250; n++) expect(checkOutput(`${n}`, schemaFormat({ const: n }))).toBeNull();
    expect(checkOutput('1', schemaFormat({ const: 0 }))).toContain('"const"');
  });

  test('is answered without a word of the answer', () => {
    const answer = checkOutput('{"secret-name":"secret-value"}', schemaFormat(person));
    expect(answer).not.toContain('secret');
  });
});
