import { expect, test } from 'vitest';
import { chatRequest } from '../fixture-call.ts';
import { writeTools } from './write-tools.ts';

const fn = { name: 'weather', description: 'Tells it', parameters: { type: 'object', properties: { city: {} } } };
const tools = [
  { type: 'function', function: fn },
  { type: 'function', function: { name: 'now' } },
];
const declarations = [
  { name: 'weather', description: 'Tells it', parametersJsonSchema: fn.parameters },
  { name: 'now' },
];
const write = (change: object) => writeTools(chatRequest({ tools, ...change }));
const weather = [{ type: 'function', function: { name: 'weather' } }];
const narrowed = (mode: string) => ({ type: 'allowed_tools', allowed_tools: { mode, tools: weather } });

test.for<[string, object, object]>([
  ['nothing', {}, { mode: 'AUTO' }],
  ['auto', { tool_choice: 'auto' }, { mode: 'AUTO' }],
  ['none', { tool_choice: 'none' }, { mode: 'NONE' }],
  ['required', { tool_choice: 'required' }, { mode: 'ANY' }],
  ['one by name', { tool_choice: weather[0] }, { mode: 'ANY', allowedFunctionNames: ['weather'] }],
  ['some, or text', { tool_choice: narrowed('auto') }, { mode: 'VALIDATED', allowedFunctionNames: ['weather'] }],
  ['one of some', { tool_choice: narrowed('required') }, { mode: 'ANY', allowedFunctionNames: ['weather'] }],
])('all tools are declared, and the choice of %s is said', ([, change, functionCallingConfig]) => {
  expect(write(change)).toEqual({
    fields: { tools: [{ functionDeclarations: declarations }], toolConfig: { functionCallingConfig } },
    warnings: [],
  });
});

test('a strict tool has its arguments validated', () => {
  const strict = [{ type: 'function', function: { ...fn, strict: true } }];
  expect(write({ tools: strict }).fields.toolConfig).toEqual({ functionCallingConfig: { mode: 'VALIDATED' } });
});

test.for([[{ tools: [] }], [{ tools: undefined, tool_choice: 'none' }]])('no tools are no fields', ([change]) => {
  expect(writeTools(chatRequest(change))).toEqual({ fields: {}, warnings: [] });
});

test('keywords Gemini does not know are named once for all tools', () => {
  const odd = (name: string) => ({
    type: 'function',
    function: { name, parameters: { type: 'object', not: {}, minProperties: 1 } },
  });
  const { fields, warnings } = write({ tools: [odd('a'), odd('b')] });
  expect(JSON.stringify(fields)).not.toMatch(/minProperties|not/);
  expect(warnings).toEqual(['dropped "not", "minProperties" from the schemas of tools: Gemini does not know them']);
});
