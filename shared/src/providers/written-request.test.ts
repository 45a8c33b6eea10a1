import { describe, expect, test } from 'vitest';
import { chatRequest } from './fixture-call.ts';
import { plainQuirks } from './quirks.ts';
import {
  allowedTools,
  droppedFields,
  droppedFromMessages,
  foreignReasoning,
  ownReasoning,
  parseDataUri,
  spokenText,
  stopTexts,
  toolUse,
  withoutDropped,
} from './written-request.ts';

test('every hint that is given and has no word there is warned of once, unset ones are not', () => {
  const request = { seed: 0, user: null, store: false, verbosity: undefined, logit_bias: {} };
  expect(droppedFields(request, ['seed', 'user', 'store', 'verbosity', 'metadata'], 'Provider')).toEqual([
    'dropped "seed": Provider has no equivalent',
    'dropped "store": Provider has no equivalent',
  ]);
});

test.for<[string, string, ReturnType<typeof parseDataUri>]>([
  ['base64', 'data:image/png;base64,iVBOR/+=', { mediaType: 'image/png', data: 'iVBOR/+=' }],
  ['with further parameters', 'data:text/plain;charset=utf-8;base64,SGk=', { mediaType: 'text/plain', data: 'SGk=' }],
  ['without a media type', 'data:;base64,SGk=', { mediaType: '', data: 'SGk=' }],
  ['as text', 'data:text/plain,Hi', null],
  ['without its data', 'data:image/png;base64', null],
  ['an address', 'https://example.com/a,b.png', null],
])('a data URI is taken apart: %s', ([, uri, expected]) => {
  expect(parseDataUri(uri)).toEqual(expected);
});

describe('reasoning of earlier turns', () => {
  const said = (...origins: string[]) => ({
    role: 'assistant',
    content: 'Yes.',
    reasoning_details: origins.map((origin, part) => ({ origin, part })),
  });
  const user = { role: 'user', content: 'Hi' };
  const messageOf = (message: object) => {
    const found = chatRequest({ messages: [user, message] }).messages[1];
    if (!found) throw new Error('no message');
    return found;
  };

  test.for<[string, object, number[]]>([
    ['the parts it made, in order', said('a/m', 'b/m', 'a/m'), [0, 2]],
    ['none of others', said('b/m'), []],
    ['none where there is none', { role: 'assistant', content: 'Yes.' }, []],
    ['none of a user', user, []],
  ])('a target is given back %s', ([, message, expected]) => {
    expect(ownReasoning(messageOf(message), 'a/m')).toEqual(expected);
  });

  test.for<[string, object[], number]>([
    ['all its own', [user, said('a/m')], 0],
    ['some of another', [user, said('a/m'), user, said('b/m', 'a/m')], 1],
    ['none', [user, { role: 'assistant', content: 'Yes.' }], 0],
  ])('what is dropped is warned of once: %s', ([, messages, warnings]) => {
    expect(foreignReasoning(chatRequest({ messages }), 'a/m')).toHaveLength(warnings);
  });
});

describe('tools', () => {
  const tool = (name: string) => ({ type: 'function', function: { name } });
  const tools = [tool('look'), tool('ask')];
  const allowed = (mode: string, ...names: string[]) => ({
    type: 'allowed_tools',
    allowed_tools: { mode, tools: names.map(tool) },
  });

  test.for<[string, object, string[]]>([
    ['all where nothing narrows them', { tools }, ['look', 'ask']],
    ['all where one is named', { tools, tool_choice: tool('ask') }, ['look', 'ask']],
    ['the allowed ones', { tools, tool_choice: allowed('auto', 'ask', 'nobody') }, ['ask']],
    ['none', {}, []],
  ])('may be called: %s', ([, request, names]) => {
    expect(allowedTools(chatRequest(request)).map((each) => each.function.name)).toEqual(names);
  });

  test.for<[string, object, ReturnType<typeof toolUse>]>([
    ['as the model likes, by default', {}, { kind: 'auto' }],
    ['not at all', { tool_choice: 'none' }, { kind: 'none' }],
    ['one of them', { tool_choice: 'required' }, { kind: 'required' }],
    ['a named one', { tool_choice: tool('ask') }, { kind: 'named', name: 'ask' }],
    ['one of the allowed', { tool_choice: allowed('required', 'ask') }, { kind: 'required' }],
    ['the allowed, as it likes', { tool_choice: allowed('auto', 'ask') }, { kind: 'auto' }],
  ])('are used: %s', ([, request, expected]) => {
    expect(toolUse(chatRequest({ tools, ...request }))).toEqual(expected);
  });
});

test.for<[string, object, string[] | undefined]>([
  ['one', { stop: 'END' }, ['END']],
  ['several', { stop: ['A', 'B'] }, ['A', 'B']],
  ['null', { stop: null }, undefined],
  ['none', {}, undefined],
])('stop texts are a list: %s', ([, request, expected]) => {
  expect(stopTexts(chatRequest(request))).toEqual(expected);
});

const image = (detail?: string) => ({ type: 'image_url', image_url: { url: 'https://x.test/a.png', detail } });
test.for<[string, object, string[]]>([
  ['a name', { content: 'Hi', name: 'ada' }, ['name']],
  [
    'a mark for the cache',
    { content: [{ type: 'text', text: 'Hi', prompt_cache_breakpoint: { mode: 'explicit' } }] },
    ['prompt_cache_breakpoint'],
  ],
  ['the detail of an image', { content: [image('low')] }, ['detail']],
  ['no wish for a detail', { content: [image('auto'), image()] }, []],
  ['nothing', { content: 'Hi' }, []],
])('hints of messages that a provider has no word for are told once: %s', ([, message, expected]) => {
  const user = { role: 'user', ...message };
  const found = droppedFromMessages(
    chatRequest({ messages: [user, user] }),
    ['name', 'prompt_cache_breakpoint', 'detail'],
    'Acme',
  );
  expect(found).toEqual(expected.map((hint) => `dropped "${hint}" of messages: Acme has no equivalent`));
});

test('fields that a server is known to refuse are left out, and told where they ask for something', () => {
  const drop = ['seed', 'store', 'parallel_tool_calls', 'user', 'model', 'messages'];
  const request = chatRequest({ seed: 0, store: false, parallel_tool_calls: false, top_p: 1 });
  expect(withoutDropped({ request, quirks: { ...plainQuirks, drop } })).toEqual({
    request: chatRequest({ top_p: 1 }),
    warnings: ['seed', 'parallel_tool_calls'].map((field) => `dropped "${field}": this provider does not take it`),
  });
});

test.for<[string, object, string]>([
  ['a text', { content: 'No.', refusal: 'Never.' }, 'No.'],
  [
    'its parts',
    {
      content: [
        { type: 'text', text: 'N' },
        { type: 'refusal', refusal: 'o.' },
      ],
    },
    'No.',
  ],
  ['a refusal', { content: null, refusal: 'No.' }, 'No.'],
  ['nothing', { content: null }, ''],
])('what a turn said is %s', ([, message, expected]) => {
  expect(spokenText({ role: 'assistant', ...message } as never)).toBe(expected);
});
