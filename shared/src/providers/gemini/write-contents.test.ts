import { describe, expect, test } from 'vitest';
import { chatRequest } from '../fixture-call.ts';
import { foreignSignature, writeContents } from './write-contents.ts';

const target = 'gemini/gemini-3.8-flash';
function write(messages: readonly object[], model = 'gemini-3.8-flash') {
  const written = writeContents({ request: chatRequest({ messages }), target, model });
  if (written.kind === 'unsupported') throw new Error(`unsupported: ${written.feature}`);
  return { ...written.fields, warnings: written.warnings };
}
const says = (role: string, ...texts: string[]) => ({ role, parts: texts.map((text) => ({ text })) });
const user = { role: 'user', content: 'Hi' };
const hi = says('user', 'Hi');
const placed = says('user', '(The conversation begins here.)');

const call = (id: string, name = 'weather', args = '{"city":"Rome"}') => ({
  id,
  type: 'function',
  function: { name, arguments: args },
});
const called = (id: string, name = 'weather', args: object = { city: 'Rome' }) => ({
  functionCall: { id, name, args },
});
const result = (tool_call_id: string, content = '21°') => ({ role: 'tool', tool_call_id, content });
const answered = (id: string, name = 'weather', output = '21°') => ({
  functionResponse: { id, name, response: { output } },
});

describe('a conversation', () => {
  test.for<[string, object[], object]>([
    [
      'alternates between two roles',
      [user, { role: 'assistant', content: 'Yes?' }, user],
      { contents: [hi, says('model', 'Yes?'), hi] },
    ],
    [
      'has its first instructions apart, in their parts',
      [{ role: 'system', content: 'A' }, { role: 'developer', content: [{ type: 'text', text: 'B' }] }, user],
      { systemInstruction: { parts: [{ text: 'A' }, { text: 'B' }] }, contents: [hi] },
    ],
    ['leaves empty instructions out', [{ role: 'system', content: '' }, user], { contents: [hi] }],
    ['joins the turns of one role', [user, user], { contents: [says('user', 'Hi', 'Hi')] }],
    [
      'leaves empty texts out',
      [user, { role: 'assistant', content: '' }, user],
      { contents: [says('user', 'Hi', 'Hi')] },
    ],
    [
      'holds what was refused',
      [
        user,
        { role: 'assistant', content: null, refusal: 'No' },
        user,
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'Nor this' }] },
        user,
      ],
      { contents: [hi, says('model', 'No'), hi, says('model', 'Nor this'), hi] },
    ],
  ])('%s', ([, messages, expected]) => {
    expect(write(messages)).toEqual({ ...expected, warnings: [] });
  });

  test.for<[string, object[], object, string]>([
    [
      'later instructions are said by the user',
      [{ role: 'system', content: 'A' }, user, { role: 'system', content: 'B' }, { role: 'system', content: 'C' }],
      { systemInstruction: { parts: [{ text: 'A' }] }, contents: [says('user', 'Hi', 'B', 'C')] },
      'sent later instructions as user turns: Gemini takes the first alone',
    ],
    [
      'instructions alone are said by the user',
      [{ role: 'system', content: 'A' }],
      { contents: [says('user', 'A')] },
      'sent the instructions as a user turn: there is no other, and Gemini wants one',
    ],
    [
      'one that the model begins has a user turn put before it',
      [{ role: 'assistant', content: 'Hello' }, user],
      { contents: [placed, says('model', 'Hello'), hi] },
      'put a user turn before the conversation: Gemini refuses one that begins with the model',
    ],
    [
      'names of speakers are dropped',
      [
        { ...user, name: 'ann' },
        { ...user, name: 'bob' },
      ],
      { contents: [says('user', 'Hi', 'Hi')] },
      'dropped "name" of messages: Gemini has no equivalent',
    ],
  ])('%s, and it is told once', ([, messages, expected, warning]) => {
    expect(write(messages)).toEqual({ ...expected, warnings: [warning] });
  });
});

const png = 'data:image/png;base64,aGk=';
const image = (url: string, more: object = {}) => ({ type: 'image_url', image_url: { url, ...more } });
const audio = (format: string) => ({ type: 'input_audio', input_audio: { data: 'aGk=', format } });
const file = (more: object = {}) => ({
  type: 'file',
  file: { file_data: 'data:application/pdf;base64,aGk=', ...more },
});
const inline = (mimeType: string) => ({ inlineData: { mimeType, data: 'aGk=' } });
const breakpoint = { prompt_cache_breakpoint: { mode: 'explicit' } };

describe('a part of a message', () => {
  test.for<[string, object, object]>([
    ['an image', image(png), inline('image/png')],
    ['a described image', image(png, { detail: 'auto' }), inline('image/png')],
    ['a file', file(), inline('application/pdf')],
    ['wav', audio('wav'), inline('audio/wav')],
    ['mp3', audio('mp3'), inline('audio/mp3')],
    [
      'an image by address',
      image('https://a.test/b.JPG?sig=1'),
      { fileData: { fileUri: 'https://a.test/b.JPG?sig=1', mimeType: 'image/jpeg' } },
    ],
  ])('%s', ([, part, expected]) => {
    const written = write([{ role: 'user', content: [{ type: 'text', text: 'See' }, part] }]);
    expect(written).toEqual({ contents: [{ role: 'user', parts: [{ text: 'See' }, expected] }], warnings: [] });
  });

  test.for([
    ['http://a.test/b.png', 'images by an address that is not https'],
    ['gs://a/b.png', 'images by an address that is not https'],
    ['nowhere', 'images by an address that is not https'],
    ['https://a.test/b', 'images by an address that does not tell their type'],
    ['https://a.test/b.constructor', 'images by an address that does not tell their type'],
    ['data:image/png,hi', 'images that are not base64'],
  ] as const)('%s cannot be sent', ([url, feature]) => {
    const request = chatRequest({ messages: [user, { role: 'user', content: [image(url)] }] });
    expect(writeContents({ request, target, model: 'm' })).toEqual({ kind: 'unsupported', feature });
  });

  test.for<[string, object, string]>([
    ['detail', image(png, { detail: 'low' }), 'dropped "detail" of images: Gemini has no equivalent'],
    ['filename', file({ filename: 'a.pdf' }), 'dropped "filename" of files: Gemini has no equivalent'],
    [
      'a mark for the cache',
      { ...file(), ...breakpoint },
      'dropped "prompt_cache_breakpoint": Gemini caches prefixes by itself',
    ],
  ])('what is dropped of it is told once: %s', ([, part, warning]) => {
    expect(
      write([
        { role: 'user', content: [part, part] },
        { role: 'user', content: [part] },
      ]).warnings,
    ).toEqual([warning]);
  });

  test('a mark for the cache is told wherever it stands', () => {
    const content = [{ type: 'text', text: 'x', ...breakpoint }];
    for (const messages of [
      [{ role: 'system', content }, user],
      [user, { role: 'assistant', content }],
      [user, { role: 'assistant', tool_calls: [call('c1')] }, { role: 'tool', tool_call_id: 'c1', content }],
    ])
      expect(write(messages, 'gemini-2.5-pro').warnings).toEqual([
        'dropped "prompt_cache_breakpoint": Gemini caches prefixes by itself',
      ]);
  });
});

describe('a tool turn', () => {
  const older = 'gemini-2.5-flash';

  test('its calls have their arguments as objects, and its results stand together under the names', () => {
    const messages = [
      user,
      { role: 'assistant', content: 'One moment', tool_calls: [call('c1'), call('c2', 'time', 'not JSON')] },
      result('c1'),
      result('c2', 'noon'),
      user,
    ];
    expect(write(messages, older)).toEqual({
      contents: [
        hi,
        { role: 'model', parts: [{ text: 'One moment' }, called('c1'), called('c2', 'time', { raw: 'not JSON' })] },
        { role: 'user', parts: [answered('c1'), answered('c2', 'time', 'noon')] },
        hi,
      ],
      warnings: [],
    });
  });

  test('a result belongs to the call of the turn before it, where ids begin anew with each turn', () => {
    const messages = [
      user,
      { role: 'assistant', tool_calls: [call('call_0', 'weather')] },
      result('call_0'),
      { role: 'assistant', tool_calls: [call('call_0', 'time')] },
      result('call_0'),
      { role: 'assistant', content: 'Done' },
      result('call_0'),
      result('nobody'),
    ];
    const { contents } = write(messages, older) as {
      contents?: { parts: { functionResponse?: { name: string } }[] }[];
    };
    const names = contents?.flatMap(({ parts }) => parts.flatMap((part) => part.functionResponse?.name ?? []));
    expect(names).toEqual(['weather', 'time', 'weather', 'nobody']);
  });
});

describe('a signature', () => {
  const detail = (part: unknown, origin = target) => ({ origin, part });
  const signedCall = (tool_call_id: string) => ({
    type: 'tool_call',
    tool_call_id,
    thought_signature: `s-${tool_call_id}`,
  });
  const signedText = (start: number, end: number) => ({ type: 'text', start, end, thought_signature: `s-${start}` });
  const turn = (details: object[], more: object = { tool_calls: [call('c1'), call('c2')] }) => [
    user,
    { role: 'assistant', ...more, reasoning_details: details },
    user,
  ];
  const modelParts = (messages: object[], model?: string) => {
    const { contents, warnings } = write(messages, model) as unknown as {
      contents: { parts: object[] }[];
      warnings: string[];
    };
    return { parts: contents[1]?.parts, warnings };
  };

  test('of a call stands on that call again', () => {
    expect(modelParts(turn([detail(signedCall('c1'))]))).toEqual({
      parts: [{ ...called('c1'), thoughtSignature: 's-c1' }, called('c2')],
      warnings: [],
    });
  });

  test.for<[string, object[]]>([
    ['another target made them', [detail(signedCall('c1'), 'other/m')]],
    ['nobody signed them', []],
    [
      'it is damaged',
      [detail({ type: 'tool_call', tool_call_id: 'c1' }), detail('x'), detail({ type: 'new', thought_signature: 's' })],
    ],
  ])('is asked not to be checked on the first call alone when %s', ([, details]) => {
    expect(modelParts(turn(details))).toEqual({
      parts: [{ ...called('c1'), thoughtSignature: foreignSignature }, called('c2')],
      warnings: ['asked not to check the signature of tool calls that have none'],
    });
  });

  test('is not asked for before generation 3', () => {
    expect(modelParts(turn([]), 'gemini-2.5-pro')).toEqual({ parts: [called('c1'), called('c2')], warnings: [] });
  });

  test.for<[string, object[], object[]]>([
    ['on the text', [signedText(0, 5)], [{ text: 'Hello', thoughtSignature: 's-0' }]],
    ['on the end of the text', [signedText(3, 5)], [{ text: 'Hel' }, { text: 'lo', thoughtSignature: 's-3' }]],
    ['on an empty part after the text', [signedText(5, 5)], [{ text: 'Hello' }, { text: '', thoughtSignature: 's-5' }]],
    [
      'on two parts',
      [signedText(0, 1), signedText(1, 2)],
      [{ text: 'H', thoughtSignature: 's-0' }, { text: 'e', thoughtSignature: 's-1' }, { text: 'llo' }],
    ],
    [
      'on thoughts',
      [{ type: 'thought', text: 'Hm', thought_signature: 's' }],
      [{ text: 'Hm', thought: true, thoughtSignature: 's' }, { text: 'Hello' }],
    ],
    ['beyond the text: left out', [signedText(2, 9)], [{ text: 'Hello' }]],
    [
      'over another: left out',
      [signedText(0, 3), signedText(2, 4)],
      [{ text: 'Hel', thoughtSignature: 's-0' }, { text: 'lo' }],
    ],
    ['the wrong way round: left out', [signedText(4, 2)], [{ text: 'Hello' }]],
  ])('stands where it stood: %s', ([, parts, expected]) => {
    const details = parts.map((part) => detail(part));
    expect(modelParts(turn(details, { content: 'Hello' }))).toEqual({ parts: expected, warnings: [] });
  });
});
