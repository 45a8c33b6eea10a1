/** Shapes of answers, and what has changed between two of them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareShapes, shapeOf } from './answer-shape.ts';

const answer = {
  id: 'chatcmpl-1',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'secret text' } },
    { index: 1, message: { role: 'assistant', content: null } },
  ],
  usage: { prompt_tokens: 3 },
};

test('a shape has the fields and types of an answer, and nothing it says', () => {
  expect(shapeOf(answer)).toEqual({
    '': 'object',
    choices: 'list',
    'choices[]': 'object',
    'choices[].index': 'number',
    'choices[].message': 'object',
    'choices[].message.content': 'null | string',
    'choices[].message.role': 'string',
    id: 'string',
    usage: 'object',
    'usage.prompt_tokens': 'number',
  });
  expect(JSON.stringify(shapeOf(answer))).not.toContain('secret');
});

test.for<[string, object, ReturnType<typeof compareShapes>]>([
  ['the same answer', answer, []],
  ['another text', { ...answer, id: 'chatcmpl-2' }, []],
  ['a null where there was a value', { ...answer, id: null }, []],
  [
    'a field that is gone',
    { id: 'x', choices: answer.choices },
    [
      { kind: 'field_gone', path: 'usage' },
      { kind: 'field_gone', path: 'usage.prompt_tokens' },
    ],
  ],
  ['another type', { ...answer, id: 7 }, [{ kind: 'type_changed', path: 'id', from: 'string', to: 'number' }]],
  ['a new field', { ...answer, tier: 'flex' }, [{ kind: 'field_new', path: 'tier' }]],
])('%s', ([, live, changes]) => {
  expect(compareShapes(shapeOf(answer), shapeOf(live))).toEqual(changes);
});

test('any JSON has a shape, within bounds, that does not differ from itself', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 20 }), (value) => {
      const shape = shapeOf(value);
      expect(Object.keys(shape).length).toBeLessThanOrEqual(2_000);
      expect(compareShapes(shape, shape)).toEqual([]);
    }),
  );
});
