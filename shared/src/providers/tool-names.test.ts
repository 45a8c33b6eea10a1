import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chatRequest } from './fixture-call.ts';
import { toolNamesOf } from './tool-names.ts';

const tool = (name: string) => ({ type: 'function', function: { name } });
const strictest = 'A-Za-z0-9_';
const namesOf = (...names: string[]) => toolNamesOf(chatRequest({ tools: names.map(tool) }), strictest);

test.for([
  ['a name that fits', ['get_weather2'], ['get_weather2']],
  ['a dash', ['get-weather'], ['get_weather']],
  ['a digit first', ['2fa'], ['_2fa']],
  ['a dash first', ['-x'], ['_x']],
  ['a name that is taken by one that fits', ['a-b', 'a_b'], ['a_b_2', 'a_b']],
  ['a digit first, and the name it would get', ['1a', '_1a'], ['_1a_2', '_1a']],
  ['three that would be one', ['a-b', 'a_b', 'a_b_2', 'a--b'], ['a_b_3', 'a_b', 'a_b_2', 'a__b']],
] as const)('%s', ([, ours, theirs]) => {
  const names = namesOf(...ours);
  expect(ours.map(names.toTheirs)).toEqual(theirs);
  expect(theirs.map(names.toOurs)).toEqual(ours);
});

test('a tool that was called before and is gone has a name too', () => {
  const call = { id: 'c1', type: 'function', function: { name: 'old.tool', arguments: '{}' } };
  const names = toolNamesOf(chatRequest({ messages: [{ role: 'assistant', tool_calls: [call] }] }), strictest);
  expect(names.toTheirs('old.tool')).toBe('old_tool');
});

test('a provider that knows more characters is given more of a name', () => {
  const names = toolNamesOf(chatRequest({ tools: [tool('a-b'), tool('-x')] }), 'A-Za-z0-9_.:-');
  expect(['a-b', '-x'].map(names.toTheirs)).toEqual(['a-b', '_-x']);
});

test('a name nobody gave comes back as it is, and is made to fit on the way there', () => {
  expect(namesOf('a-b').toOurs('made_up')).toBe('made_up');
  expect(namesOf('a-b').toTheirs('made-up')).toBe('made_up');
});

test('any tools keep names of their own, which the strictest takes, and come back', () => {
  const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/);
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 20 }), (ours) => {
      const names = namesOf(...ours);
      const theirs = ours.map(names.toTheirs);
      expect(new Set(theirs).size).toBe(ours.length);
      for (const each of theirs) expect(each).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/);
      expect(theirs.map(names.toOurs)).toEqual(ours);
    }),
  );
});
