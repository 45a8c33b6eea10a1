import { expect, test } from 'vitest';
import { chatRequest } from './fixture-call.ts';
import { parseArguments, toolNameOf } from './tool-calls.ts';

test.for([
  ['an object passes', '{"a":1}', { a: 1 }],
  ['nothing is an empty object', '', {}],
  ['a list is wrapped', '[1]', { value: [1] }],
  ['null is wrapped', 'null', { value: null }],
  ['a number is wrapped', '1', { value: 1 }],
  ['broken JSON keeps its text', '{"a":', { raw: '{"a":' }],
] as const)('arguments a model wrote: %s', ([, text, expected]) => {
  expect(parseArguments(text)).toEqual(expected);
});

const call = (id: string, name: string) => ({ id, type: 'function', function: { name, arguments: '{}' } });
const { messages } = chatRequest({
  messages: [
    { role: 'user', content: 'c1' },
    { role: 'assistant', content: 'No call here.' },
    { role: 'assistant', tool_calls: [call('c1', 'look'), call('c2', 'ask')] },
    { role: 'tool', tool_call_id: 'c2', content: 'who?' },
  ],
});

test.for([
  ['the first call of a turn', 'c1', 'look'],
  ['another call of a turn', 'c2', 'ask'],
  ['the id where no call has it', 'c9', 'c9'],
] as const)('the name of a result is that of its call: %s', ([, id, name]) => {
  expect(toolNameOf(id, messages)).toBe(name);
});
