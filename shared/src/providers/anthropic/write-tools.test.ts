import { describe, expect, test } from 'vitest';
import { callInput } from '../fixture-call.ts';
import { plain, resultOf, said, text, user, write } from './fixture-written.ts';
import { answerToolOf } from './write-request.ts';

const fn = { name: 'weather', description: 'Tells it', parameters: { type: 'object', properties: { city: {} } } };
const named = (name: string) => ({ type: 'function', function: { name } });
const tools = [{ type: 'function', function: fn }];
const theirTool = { name: 'weather', description: 'Tells it', input_schema: fn.parameters };
const now = { name: 'now', input_schema: { type: 'object', properties: {} } };
const allowed = (mode: string, ...names: string[]) => ({
  type: 'allowed_tools',
  allowed_tools: { mode, tools: names.map(named) },
});

test.for<[string, object, object]>([
  ['tools', { tools }, { tools: [theirTool], tool_choice: { type: 'auto' } }],
  ['a tool without parameters', { tools: [named('now')] }, { tools: [now], tool_choice: { type: 'auto' } }],
  [
    'parameters without a type',
    { tools: [{ type: 'function', function: { name: 'now', parameters: {} } }] },
    { tools: [{ name: 'now', input_schema: { type: 'object' } }], tool_choice: { type: 'auto' } },
  ],
  ['no tool choice', { tools, tool_choice: 'none' }, { tools: [theirTool], tool_choice: { type: 'none' } }],
  ['a required tool', { tools, tool_choice: 'required' }, { tools: [theirTool], tool_choice: { type: 'any' } }],
  [
    'a named tool',
    { tools, tool_choice: named('weather') },
    { tools: [theirTool], tool_choice: { type: 'tool', name: 'weather' } },
  ],
  [
    'one tool call at a time',
    { tools, parallel_tool_calls: false },
    { tools: [theirTool], tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
  ],
  [
    'one required tool call at a time',
    { tools, tool_choice: 'required', parallel_tool_calls: false },
    { tools: [theirTool], tool_choice: { type: 'any', disable_parallel_tool_use: true } },
  ],
  [
    'the allowed tools',
    { tools: [...tools, named('now')], tool_choice: allowed('auto', 'now') },
    { tools: [now], tool_choice: { type: 'auto' } },
  ],
  [
    'one of the allowed tools',
    { tools: [...tools, named('now')], tool_choice: allowed('required', 'now') },
    { tools: [now], tool_choice: { type: 'any' } },
  ],
  ['a choice without tools is nothing', { tool_choice: 'auto' }, {}],
])('%s: written in their words', ([, change, expected]) => {
  const { body, warnings } = write(change);
  expect(body).toEqual({ ...plain, ...expected });
  expect(warnings).toEqual([]);
});

test('a strict tool keeps to the schemas that are enforced, and others keep their own', () => {
  const parameters = { type: 'object', properties: { n: { type: 'integer', minimum: 0 } } };
  const strict = { type: 'function', function: { name: 'a', parameters, strict: true } };
  const loose = { type: 'function', function: { name: 'b', parameters } };
  const { body, warnings } = write({
    tools: [strict, { ...strict, function: { ...strict.function, name: 'c' } }, loose],
  });
  const enforced = {
    type: 'object',
    properties: { n: { type: 'integer', description: 'Must hold: minimum 0.' } },
    additionalProperties: false,
  };
  expect(body.tools).toEqual([
    { name: 'a', input_schema: enforced, strict: true },
    { name: 'c', input_schema: enforced, strict: true },
    { name: 'b', input_schema: parameters },
  ]);
  expect(warnings).toHaveLength(2);
});

test('calls of earlier turns bring their tools along, which may not be called again', () => {
  const call = { id: 'c1', type: 'function', function: { name: 'now', arguments: '' } };
  const calling = { role: 'assistant', content: null, tool_calls: [call, { ...call, id: 'c2' }] };
  const results = ['c1', 'c2'].map((id) => ({ role: 'tool', tool_call_id: id, content: 'noon' }));
  const { body } = write({ messages: [user, calling, ...results] });
  expect(body).toMatchObject({ tools: [now], tool_choice: { type: 'none' } });
});

describe('a model that cannot be made to call a tool', () => {
  const model = 'claude-opus-5-5';
  const required = { tools, tool_choice: 'required' };
  const schema = { ...fn.parameters, additionalProperties: false };
  const instruction = 'Use the tool "weather" now: answer with its arguments, as JSON and nothing else.';
  const asAnswer = {
    ...plain,
    model,
    max_tokens: 8_192,
    system: instruction,
    tools: [theirTool],
    tool_choice: { type: 'none' },
    output_config: { format: { type: 'json_schema', schema } },
  };

  test.for<[string, object, object]>([
    ['the only one', required, {}],
    ['a named one', { tools: [...tools, named('now')], tool_choice: named('weather') }, { tools: [theirTool, now] }],
    ['the only allowed one', { tools: [...tools, named('now')], tool_choice: allowed('required', 'weather') }, {}],
  ])('answers with the arguments of %s', ([, request, more]) => {
    const { body, warnings } = write(request, { model });
    expect(body).toEqual({ ...asAnswer, ...more });
    expect(warnings).toContain(
      'asked for the arguments of the tool as the answer: this model cannot be made to call one',
    );
    expect(answerToolOf(callInput(request, { model }))).toBe('weather');
  });

  test('is told so after the instructions it has, and may think about it', () => {
    const request = { ...required, messages: [{ role: 'system', content: 'One.' }, user], reasoning_effort: 'low' };
    const { body } = write(request, { model });
    expect(body).toMatchObject({
      system: `One.\n\n${instruction}`,
      messages: [said('user', text('Hi'))],
      thinking: { type: 'adaptive' },
    });
  });

  test('is given a tool without parameters too', () => {
    const { body } = write({ tools: [named('now')], tool_choice: 'required' }, { model });
    expect(body.output_config).toEqual({
      format: { type: 'json_schema', schema: { ...now.input_schema, additionalProperties: false } },
    });
  });

  const several = { tools: [...tools, named('now')], tool_choice: 'required' };
  test('cannot be made to choose one of several', () => {
    expect(resultOf(several, { model })).toEqual({ kind: 'unsupported', feature: 'forced tool use' });
    expect(answerToolOf(callInput(several, { model }))).toBeNull();
  });

  test('may yet take it where nobody knows: one of several is asked for, one alone is played safe', () => {
    const unverified = { model: 'claude-haiku-5-5' };
    expect(write(several, unverified).body.tool_choice).toEqual({ type: 'any' });
    expect(write(required, unverified).body.tool_choice).toEqual({ type: 'none' });
  });

  test('is asked as any other where it need not call', () => {
    expect(write({ tools }, { model }).body.tool_choice).toEqual({ type: 'auto' });
    expect(answerToolOf(callInput({ tools }, { model }))).toBeNull();
  });
});
