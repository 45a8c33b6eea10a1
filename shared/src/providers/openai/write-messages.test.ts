import { expect, test } from 'vitest';
import type { CallInput } from '../dialect.ts';
import { callInput } from '../fixture-call.ts';
import { presetOf } from '../presets.ts';
import { plainQuirks, type Quirks } from '../quirks.ts';
import { writeRequest } from './write-request.ts';

const quirksOf = (id: string): Quirks => presetOf(id)?.quirks ?? plainQuirks;
const openai: Partial<CallInput> = { model: 'gpt-5.6-sol', quirks: quirksOf('openai') };
const withQuirks = (quirks: Partial<Quirks>): Partial<CallInput> => ({ quirks: { ...plainQuirks, ...quirks } });
const user = { role: 'user', content: 'Hi' };

function write(messages: readonly object[], more: Partial<CallInput> = {}) {
  const result = writeRequest(callInput({ messages }, more));
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  const body = JSON.parse(result.http.body) as { messages: Record<string, unknown>[] };
  return { messages: body.messages, warnings: result.http.warnings };
}

const call = (id: string) => ({ id, type: 'function', function: { name: 'look', arguments: '{"x":' } });

test('messages keep roles, parts, images, names, calls and results', () => {
  const messages = [
    { role: 'developer', content: 'Be brief.' },
    {
      role: 'user',
      name: 'ann',
      content: [
        { type: 'text', text: 'What is it?' },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
      ],
    },
    { role: 'assistant', content: null, tool_calls: [call('c1')] },
    { role: 'tool', tool_call_id: 'c1', content: 'a cat' },
  ];
  expect(write(messages)).toEqual({ messages, warnings: [] });
});

test.for<[string, Partial<CallInput>, string, string]>([
  ['as it is', {}, 'system', 'system'],
  ['as it is', {}, 'developer', 'developer'],
  ['as the system', withQuirks({ systemRole: 'system' }), 'developer', 'system'],
  ['as a developer', withQuirks({ systemRole: 'developer' }), 'system', 'developer'],
  ['as a developer, to a reasoning model of OpenAI', openai, 'system', 'developer'],
  ['as it is, to another of its models', { ...openai, model: 'gpt-4.1' }, 'system', 'system'],
])('instructions are given %s', ([, more, role, expected]) => {
  expect(write([{ role, content: 'Be brief.' }, user], more).messages[0]?.role).toBe(expected);
});

test('names are dropped with one warning where messages have none, and Mistral hears whose result it is', () => {
  const messages = [
    { ...user, name: 'ann' },
    { role: 'assistant', content: null, name: 'bot', tool_calls: [call('aB3dE6gH9')] },
    { role: 'tool', tool_call_id: 'aB3dE6gH9', content: 'a cat' },
  ];
  expect(write(messages, { quirks: quirksOf('mistral') })).toEqual({
    messages: [
      user,
      { role: 'assistant', content: null, tool_calls: [call('aB3dE6gH9')] },
      { role: 'tool', tool_call_id: 'aB3dE6gH9', name: 'look', content: 'a cat' },
    ],
    warnings: ['dropped "name" of messages: this provider does not take it'],
  });
});

test.for<[string, Partial<CallInput>, (id: string) => boolean]>([
  ['Mistral', { quirks: quirksOf('mistral') }, (id) => /^[A-Za-z0-9]{9}$/.test(id)],
  ['OpenAI', openai, (id) => id.length <= 40],
])('an id that %s refuses is written anew in the call and in its result', ([, more, isTaken]) => {
  const id = `toolu_${'x'.repeat(60)}`;
  const { messages } = write(
    [user, { role: 'assistant', tool_calls: [call(id)] }, { role: 'tool', tool_call_id: id, content: 'x' }],
    more,
  );
  const calls = messages[1]?.tool_calls as { id: string }[] | undefined;
  const written = calls?.[0]?.id ?? '';
  expect(isTaken(written)).toBe(true);
  expect(messages[2]?.tool_call_id).toBe(written);
});

const refused = { role: 'assistant', content: null, refusal: 'No.' };
const refusedPart = { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] };
test.for<[string, Partial<CallInput>, object, object]>([
  ['a refusal is a refusal at OpenAI', openai, refused, refused],
  ['and its part too', openai, refusedPart, refusedPart],
  ['elsewhere it is what was said', {}, refused, { role: 'assistant', content: 'No.' }],
  ['and its part too', {}, refusedPart, { role: 'assistant', content: [{ type: 'text', text: 'No.' }] }],
  ['beside a text it is left out', {}, { ...refused, content: 'Well.' }, { role: 'assistant', content: 'Well.' }],
  ['a turn without anything is empty', {}, { role: 'assistant' }, { role: 'assistant', content: '' }],
  ['at OpenAI too', openai, { role: 'assistant', content: null }, { role: 'assistant', content: '' }],
])('%s', ([, more, message, expected]) => {
  expect(write([user, message, user], more).messages[1]).toEqual(expected);
});

const own = { origin: 'provider/m', part: { type: 'reasoning.text', text: 'Hm.' } };
const foreign = { origin: 'other/m', part: { signature: 's' } };
const thought = (details: object[]) => ({
  role: 'assistant',
  content: 'Hi.',
  reasoning_content: 'Hm.',
  reasoning_details: details,
});
const dropsForeign = 'dropped reasoning of another target: it is bound to the endpoint that made it';
const dropsOwn = 'dropped "reasoning_details": this provider does not take it';
test.for<[string, Quirks['reasoningReplay'], object[], object, string[]]>([
  ['parts of its own go back', 'reasoning_details', [own, foreign], { reasoning_details: [own.part] }, [dropsForeign]],
  ['parts of others do not', 'reasoning_details', [foreign], {}, [dropsForeign]],
  ['the text goes back where it is wanted', 'reasoning_content', [], { reasoning_content: 'Hm.' }, []],
  ['nothing goes back elsewhere', 'none', [own], {}, [dropsOwn]],
  ['nothing is nothing', 'none', [], {}, []],
])('reasoning of earlier turns: %s', ([, reasoningReplay, details, expected, warnings]) => {
  const written = write([user, thought(details), user], withQuirks({ reasoningReplay }));
  expect(written.messages[1]).toEqual({ role: 'assistant', content: 'Hi.', ...expected });
  expect(written.warnings).toEqual(warnings);
});

test('reasoning that is wanted as text and is not there is not sent', () => {
  const messages = [user, { role: 'assistant', content: 'Hi.' }, user];
  expect(write(messages, withQuirks({ reasoningReplay: 'reasoning_content' })).messages).toEqual(messages);
});

const marked = (ttl?: string) => [
  { role: 'user', content: [{ type: 'text', text: 'Hi', prompt_cache_breakpoint: { mode: 'explicit', ttl } }] },
];
test.for([
  [undefined, undefined],
  ['5m', '30m'],
  ['30m', '30m'],
  ['1h', '12h'],
  ['12h', '12h'],
] as const)('a mark of the prompt cache for %s is kept for %s', ([ttl, expected]) => {
  expect(write(marked(ttl), openai)).toEqual({ messages: marked(expected), warnings: [] });
});

test.for<[string, Partial<CallInput>]>([
  ['another server', {}],
  ['an older model of OpenAI', { ...openai, model: 'gpt-4.1' }],
])('marks of the prompt cache are not sent to %s, with one warning', ([, more]) => {
  expect(write([...marked('5m'), ...marked('1h')], more)).toEqual({
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
      { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
    ],
    warnings: ['dropped "prompt_cache_breakpoint": this target does not take it'],
  });
});

const pdf = { file_data: 'data:application/pdf;base64,QQ==', filename: 'a.pdf' };
const note = { file_data: `data:text/plain;base64,${Buffer.from('Grüße').toString('base64')}` };
const sound = { type: 'input_audio', input_audio: { data: 'QQ==', format: 'wav' } };
test.for<[string, Partial<CallInput>, object, object]>([
  ['a file', openai, { type: 'file', file: pdf }, { type: 'file', file: pdf }],
  ['a sound', openai, sound, sound],
  [
    'a file for Mistral',
    { quirks: quirksOf('mistral') },
    { type: 'file', file: pdf },
    { type: 'document_url', document_url: pdf.file_data, document_name: 'a.pdf' },
  ],
  [
    'a file without a name for Mistral',
    { quirks: quirksOf('mistral') },
    { type: 'file', file: { file_data: pdf.file_data } },
    { type: 'document_url', document_url: pdf.file_data },
  ],
  [
    'a file of text for Mistral',
    { quirks: quirksOf('mistral') },
    { type: 'file', file: note },
    { type: 'text', text: 'Grüße' },
  ],
  ['a sound for Mistral', { quirks: quirksOf('mistral') }, sound, { type: 'input_audio', input_audio: 'QQ==' }],
])('%s is written in the part that the server reads', ([, more, part, expected]) => {
  expect(write([{ role: 'user', content: [part] }], more).messages).toEqual([{ role: 'user', content: [expected] }]);
});

test('an image in its original size is sent in a high one to servers that do not know the word', () => {
  const picture = (detail: string) => [
    { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://a.test/b.png', detail } }] },
  ];
  expect(write(picture('original'))).toEqual({
    messages: picture('high'),
    warnings: ['image detail "original" sent as high: the nearest that this provider takes'],
  });
  expect(write(picture('original'), openai)).toEqual({ messages: picture('original'), warnings: [] });
});
