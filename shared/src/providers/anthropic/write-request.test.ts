import { describe, expect, test } from 'vitest';
import type { CallInput } from '../dialect.ts';
import type { Quirks } from '../quirks.ts';
import { hi, plain, resultOf, said, text, user, write } from './fixture-written.ts';

test('a request goes to the Messages API with its version, its credential and a bound', () => {
  expect(write()).toEqual({
    url: 'https://api.test/v1/messages',
    headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', 'x-api-key': 'sk-test-1' },
    body: plain,
    warnings: [],
  });
});

test('no credential is no key header', () => {
  expect(write({}, { credential: null }).headers).not.toHaveProperty('x-api-key');
});

test('the version of the API is the configured one', () => {
  expect(write({}, { apiVersion: '2026-10-21' }).headers).toMatchObject({ 'anthropic-version': '2026-10-21' });
});

const schema = { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false };
const answerIn = (json: object) => ({
  response_format: { type: 'json_schema', json_schema: { name: 'a', schema: json } },
});

test.for<[string, object, object]>([
  ['max_tokens', { max_tokens: 9 }, { max_tokens: 9 }],
  ['max_completion_tokens', { max_completion_tokens: 9 }, { max_tokens: 9 }],
  ['one stop text', { stop: 'END' }, { stop_sequences: ['END'] }],
  ['several stop texts', { stop: ['A', 'B'] }, { stop_sequences: ['A', 'B'] }],
  ['temperature', { temperature: 0.3 }, { temperature: 0.3 }],
  ['top_p alone', { top_p: 0.9 }, { top_p: 0.9 }],
  ['the user', { user: 'u1' }, { metadata: { user_id: 'u1' } }],
  ['the safety identifier before the user', { user: 'u1', safety_identifier: 's1' }, { metadata: { user_id: 's1' } }],
  ['a JSON schema', answerIn(schema), { output_config: { format: { type: 'json_schema', schema } } }],
  ['a text', { response_format: { type: 'text' } }, {}],
  ['one choice, no log probabilities', { n: 1, logprobs: false }, {}],
])('%s: written in their words', ([, change, expected]) => {
  const { body, warnings } = write(change);
  expect(body).toEqual({ ...plain, ...expected });
  expect(warnings).toEqual([]);
});

test('a stream asks for one', () => {
  expect(write({}, { stream: true }).body).toEqual({ ...plain, stream: true });
});

test.for<[string, object]>([
  ['seed', { seed: 1 }],
  ['logit_bias', { logit_bias: { '1': 1 } }],
  ['frequency_penalty', { frequency_penalty: 1 }],
  ['presence_penalty', { presence_penalty: 1 }],
  ['verbosity', { verbosity: 'low' }],
  ['prompt_cache_key', { prompt_cache_key: 'k' }],
  ['metadata', { metadata: { a: 'b' } }],
  ['store', { store: true }],
])('"%s" has no equivalent: dropped with a warning', ([field, change]) => {
  const { body, warnings } = write(change);
  expect(body).toEqual(plain);
  expect(warnings).toEqual([`dropped "${field}": Anthropic has no equivalent`]);
});

test.for<[string, object, Partial<CallInput>, Partial<Quirks>, string]>([
  ['log probabilities', { logprobs: true }, {}, {}, 'log probabilities'],
  ['several choices', { n: 2 }, {}, {}, 'several choices'],
  ['JSON without a schema', { response_format: { type: 'json_object' } }, {}, {}, 'JSON without a schema'],
  [
    'a begun answer on a model that refuses it',
    { messages: [user, { role: 'assistant', content: 'A' }] },
    { model: 'claude-haiku-5-5' },
    {},
    'an answer that is begun for it',
  ],
])('%s: unsupported before any byte is sent', ([, change, more, quirks, feature]) => {
  expect(resultOf(change, more, quirks)).toEqual({ kind: 'unsupported', feature });
});

test('a bound of schema that is not enforced is told in words, with a warning', () => {
  const { body, warnings } = write(answerIn({ ...schema, properties: { a: { type: 'integer', minimum: 0 } } }));
  const told = { ...schema, properties: { a: { type: 'integer', description: 'Must hold: minimum 0.' } } };
  expect(body.output_config).toEqual({ format: { type: 'json_schema', schema: told } });
  expect(warnings).toHaveLength(1);
});

describe('sampling', () => {
  const asked = { temperature: 0.5, top_p: 0.5 };
  test.for<[string, object, Partial<CallInput>, object, string[]]>([
    [
      'not to a model that refuses it',
      asked,
      { model: 'claude-sonnet-4-7' },
      {},
      ['dropped "temperature": this model does not take it', 'dropped "top_p": this model does not take it'],
    ],
    [
      'to no model under the newer version',
      asked,
      { apiVersion: '2026-10-21' },
      {},
      ['dropped "temperature": this model does not take it', 'dropped "top_p": this model does not take it'],
    ],
    [
      'temperature alone of the two',
      asked,
      {},
      { temperature: 0.5 },
      ['dropped "top_p": it cannot go with "temperature"'],
    ],
    [
      'within their scale',
      { temperature: 1.7 },
      {},
      { temperature: 1 },
      ['wrote "temperature" as 1: the scale of Anthropic ends there'],
    ],
  ])('is sent %s', ([, request, more, expected, warnings]) => {
    const { body, warnings: told } = write(request, more);
    const { temperature, top_p } = body;
    expect(JSON.parse(JSON.stringify({ temperature, top_p }))).toEqual(expected);
    expect(told).toEqual(warnings);
  });
});

test('stop texts of white space are dropped with a warning', () => {
  const { body, warnings } = write({ stop: ['\n', 'END'] });
  expect(body.stop_sequences).toEqual(['END']);
  expect(warnings).toEqual(['dropped a stop text of white space: Anthropic refuses it']);
  expect(write({ stop: ' ' }).body).toEqual(plain);
});

describe('thinking', () => {
  const budget = { thinking: { type: 'enabled', budget_tokens: 4_096 } };
  const older = { max_tokens: 20_000, reasoning_effort: 'medium' };
  const tools = [{ type: 'function', function: { name: 'look' } }];
  const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } };
  const calling = { role: 'assistant', content: null, tool_calls: [call] };
  const result = { role: 'tool', tool_call_id: 'c1', content: 'a cat' };
  const thought = { origin: 'anthropic/claude-haiku-4-5', part: { type: 'thinking', thinking: 'Hm.', signature: 's' } };

  test.for<[string, object, Partial<CallInput>, object]>([
    ['has a budget on older models', older, {}, budget],
    ['makes room for itself', { reasoning_effort: 'medium' }, {}, { ...budget, max_tokens: 8_192 }],
    [
      'is adaptive with an effort on newer ones',
      { reasoning_effort: 'high', ...answerIn(schema) },
      { model: 'claude-opus-5-5', stream: true },
      {
        thinking: { type: 'adaptive' },
        output_config: { effort: 'high', format: { type: 'json_schema', schema } },
        max_tokens: 20_480,
      },
    ],
    [
      'is switched off',
      { reasoning_effort: 'none' },
      { model: 'claude-sonnet-5-5' },
      { thinking: { type: 'between_tools' } },
    ],
    [
      'goes on after a call made without it, where it is adaptive',
      { ...older, tools, messages: [user, calling, result] },
      { model: 'claude-opus-4-6' },
      { thinking: { type: 'adaptive' } },
    ],
    [
      'goes on after a call made with it',
      { ...older, tools, messages: [user, { ...calling, reasoning_details: [thought] }, result] },
      {},
      budget,
    ],
  ])('%s', ([, request, more, expected]) => {
    const { body, warnings } = write(request, more);
    expect(body).toMatchObject(expected);
    expect(warnings).toEqual([]);
  });

  test.for<[string, object, Partial<CallInput>, Partial<Quirks>, string]>([
    [
      'with a forced tool',
      { ...older, tools, tool_choice: 'required' },
      {},
      {},
      'asked for no thinking: it cannot go with a forced tool call',
    ],
    [
      'after a call made without it',
      { ...older, tools, messages: [user, calling, result] },
      {},
      {},
      'asked for no thinking: the call it goes on from was made without it',
    ],
    [
      'after such a call and instructions',
      { ...older, tools, messages: [user, calling, result, { role: 'system', content: 'Be brief.' }] },
      {},
      {},
      'asked for no thinking: the call it goes on from was made without it',
    ],
    [
      'after a call that is not there',
      { ...older, tools, messages: [user, result] },
      {},
      {},
      'asked for no thinking: the call it goes on from was made without it',
    ],
    [
      'with a begun answer',
      { ...older, messages: [user, { role: 'assistant', content: 'A' }] },
      {},
      {},
      'asked for no thinking: the answer is begun for it',
    ],
    [
      'of a server that takes no effort',
      older,
      {},
      { reasoningRequest: 'none' },
      'dropped "reasoning_effort": this provider does not take it',
    ],
  ])('is not asked for %s, with a warning', ([, request, more, quirks, warning]) => {
    const { body, warnings } = write(request, more, quirks);
    expect(body).not.toHaveProperty('thinking');
    expect(warnings).toEqual([warning]);
  });

  test('does not go with sampling', () => {
    const { body, warnings } = write({ ...older, temperature: 0.5, top_p: 0.5 });
    expect(body).toEqual({ ...plain, max_tokens: 20_000, ...budget });
    expect(warnings).toEqual([
      'dropped "temperature": it cannot go with thinking',
      'dropped "top_p": it cannot go with thinking',
    ]);
  });

  test('is asked for by the nearest effort a server knows', () => {
    const { body, warnings } = write(
      { reasoning_effort: 'max' },
      { model: 'claude-opus-5-5' },
      { efforts: ['low', 'high'] },
    );
    expect(body.output_config).toEqual({ effort: 'high' });
    expect(warnings).toEqual(['wrote "reasoning_effort" as "high": the nearest this target takes']);
  });
});

test('what a server is known to refuse is not sent, with one warning', () => {
  const { body, warnings } = write(
    { temperature: 0.5, seed: 1, stop: 'END' },
    {},
    { drop: ['temperature', 'seed', 'user'] },
  );
  expect(body).toEqual({ ...plain, stop_sequences: ['END'] });
  expect(warnings).toEqual([
    'dropped "temperature": this provider does not take it',
    'dropped "seed": this provider does not take it',
  ]);
});

test('an answer that was paused goes on from what it said', () => {
  const soFar = [{ type: 'server_tool_use', id: 's1', name: 'web_search', input: {} }, text('So')];
  expect(write({}, { continuation: soFar }).body.messages).toEqual([hi, said('assistant', ...soFar)]);
});

test('a begun answer loses the white space it ends with, which is refused', () => {
  const messages = [user, { role: 'assistant', content: 'Dear  \n' }];
  expect(write({ messages }).body.messages).toEqual([hi, said('assistant', text('Dear'))]);
});

test('reasoning of another target is dropped with a warning', () => {
  const foreign = { origin: 'openai/gpt-5', part: { type: 'thinking' } };
  const messages = [user, { role: 'assistant', content: 'A', reasoning_details: [foreign] }, user];
  const { body, warnings } = write({ messages });
  expect(body.messages).toEqual([hi, said('assistant', text('A')), hi]);
  expect(warnings).toEqual(['dropped reasoning of another target: it is bound to the endpoint that made it']);
});
