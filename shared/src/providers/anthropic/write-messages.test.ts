import { describe, expect, test } from 'vitest';
import { hi, resultOf, said, text, user, write } from './fixture-written.ts';

const messagesOf = (...messages: object[]) => write({ messages }).body.messages;
const assistant = (content: unknown, more: object = {}) => ({ role: 'assistant', content, ...more });
const system = (content: unknown) => ({ role: 'system', content });

describe('instructions', () => {
  test('of system and developer before the conversation become the system text', () => {
    const messages = [system('One.'), { role: 'developer', content: [text('Two.')] }, user];
    expect(write({ messages }).body).toMatchObject({ system: 'One.\n\nTwo.', messages: [hi] });
  });

  test('that stand alone are what the model answers', () => {
    const { body } = write({ messages: [system('Tell a joke.')] });
    expect(body.messages).toEqual([said('user', text('Tell a joke.'))]);
    expect(body).not.toHaveProperty('system');
  });

  const tagged = text('<system>\nBe brief.\n</system>');
  const later = said('system', text('Be brief.'));
  test.for<[string, string, object[], object[]]>([
    [
      'tagged, in the turn of the user before',
      'claude-haiku-4-5',
      [user, system('Be brief.')],
      [said('user', text('Hi'), tagged)],
    ],
    ['under their own role, where the model takes it', 'claude-opus-5-5', [user, system('Be brief.')], [hi, later]],
    [
      'under their own role before an answer',
      'claude-opus-4-8',
      [user, system('Be brief.'), assistant('Yes?'), user],
      [hi, later, said('assistant', text('Yes?')), hi],
    ],
    [
      'tagged where the user goes on',
      'claude-opus-5-5',
      [user, system('Be brief.'), user],
      [said('user', text('Hi'), tagged, text('Hi'))],
    ],
    [
      'tagged after an answer',
      'claude-opus-5-5',
      [user, assistant('Yes?'), system('Be brief.')],
      [hi, said('assistant', text('Yes?')), said('user', tagged)],
    ],
  ])('inside the conversation stay there: %s', ([, model, messages, expected]) => {
    expect(write({ messages }, { model }).body.messages).toEqual(expected);
  });
});

describe('parts', () => {
  const image = (url: string) => ({ type: 'image_url', image_url: { url } });
  const file = (mediaType: string, data: string, filename?: string) => ({
    type: 'file',
    file: { file_data: `data:${mediaType};base64,${data}`, ...(filename ? { filename } : {}) },
  });

  test.for<[string, object, object]>([
    [
      'an image in the body',
      image('data:image/png;base64,iVBOR/+='),
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBOR/+=' } },
    ],
    [
      'an image by address',
      image('https://example.com/a.png'),
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
    ],
    [
      'a PDF with its name',
      file('application/pdf', 'JVBERi0=', 'a.pdf'),
      { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' }, title: 'a.pdf' },
    ],
    [
      'a text, decoded',
      file('text/markdown', Buffer.from('# Grüße').toString('base64')),
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: '# Grüße' } },
    ],
    [
      'JSON, as a text',
      file('application/json', Buffer.from('{}').toString('base64')),
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: '{}' } },
    ],
  ])('%s is written', ([, part, block]) => {
    expect(messagesOf({ role: 'user', content: [part, text('What?')] })).toEqual([said('user', block, text('What?'))]);
  });

  const audio = { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } };
  test.for<[string, object, object, string]>([
    ['sound', audio, {}, 'audio input'],
    ['another kind of image', image('data:image/bmp;base64,AAAA'), {}, 'images other than JPEG, PNG, GIF and WebP'],
    ['an image that is not base64', image('data:image/png,AAAA'), {}, 'images other than JPEG, PNG, GIF and WebP'],
    ['an image in the open', image('http://example.com/a.png'), {}, 'images that are not at an https address'],
    ['another kind of file', file('application/zip', 'AAAA'), {}, 'files other than PDF and text'],
    ['images of a server without', image('https://example.com/a.png'), { imageInput: 'none' }, 'images'],
    ['addresses of a server without', image('https://example.com/a.png'), { imageInput: 'data' }, 'images by address'],
    ['files of a server without', file('application/pdf', 'AAAA'), { fileInput: 'none' }, 'files'],
  ])('%s is unsupported before any byte is sent', ([, part, quirks, feature]) => {
    const messages = [user, assistant('Yes?'), { role: 'user', content: [text('What?'), part] }];
    expect(resultOf({ messages }, {}, quirks)).toEqual({ kind: 'unsupported', feature });
  });

  test('of white space are left out, and neighbours of one role are one turn', () => {
    expect(
      messagesOf(
        user,
        assistant(' \n'),
        assistant(null),
        { role: 'user', content: [text(''), text('there')] },
        assistant('Yes?'),
        { role: 'user', content: 'x' },
      ),
    ).toEqual([said('user', text('Hi'), text('there')), said('assistant', text('Yes?')), said('user', text('x'))]);
  });

  test.for<[string, object]>([
    ['as its part', assistant([{ type: 'refusal', refusal: 'No.' }])],
    ['beside it', assistant(null, { refusal: 'No.' })],
  ])('a refusal is what the turn said: %s', ([, message]) => {
    expect(messagesOf(user, message, user)).toEqual([hi, said('assistant', text('No.')), hi]);
  });
});

test('a conversation that the assistant begins is given a turn of the user first, with a warning', () => {
  const { body, warnings } = write({ messages: [assistant('Welcome!'), user] });
  expect(body.messages).toEqual([said('user', text('.')), said('assistant', text('Welcome!')), hi]);
  expect(warnings).toEqual(['began the conversation with a turn of the user, ".": Anthropic takes no other']);
});

describe('calls of tools', () => {
  const call = (id: string, args: string) => ({ id, type: 'function', function: { name: 'weather', arguments: args } });
  const use = (id: string, input: unknown) => ({ type: 'tool_use', id, name: 'weather', input });
  const given = (id: string, content: unknown) => ({ role: 'tool', tool_call_id: id, content });
  const result = (id: string, content: string) => ({ type: 'tool_result', tool_use_id: id, content });

  test('have all their results in one turn of the user, before the text that follows', () => {
    expect(
      messagesOf(
        user,
        assistant('Let me look.', { tool_calls: [call('a', '{"city":"Oslo"}'), call('b', '')] }),
        given('a', '3'),
        given('b', [text('4'), text('5')]),
        { role: 'user', content: 'And?' },
      ),
    ).toEqual([
      hi,
      said('assistant', text('Let me look.'), use('a', { city: 'Oslo' }), use('b', {})),
      said('user', result('a', '3'), result('b', '45'), text('And?')),
    ]);
  });

  test('have their results first, although instructions came between', () => {
    const messages = [user, assistant(null, { tool_calls: [call('a', '')] }), system('Be brief.'), given('a', '')];
    expect(messagesOf(...messages)).toEqual([
      hi,
      said('assistant', use('a', {})),
      said('user', result('a', ''), text('<system>\nBe brief.\n</system>')),
    ]);
  });

  test('whose ids are not in the letters that are taken get others, each its own, on both sides', () => {
    const ids = ['fn.w:0', 'fn_w_0', 'fn w 0'];
    const turn = assistant(null, { tool_calls: ids.map((id) => call(id, '')) });
    const [, calls, results] = messagesOf(user, turn, ...ids.map((id) => given(id, '3'))) as [
      unknown,
      { content: { id: string }[] },
      { content: { tool_use_id: string }[] },
    ];
    const sent = calls.content.map((block) => block.id);
    expect(results.content.map((block) => block.tool_use_id)).toEqual(sent);
    expect(sent[1]).toBe('fn_w_0');
    expect(new Set(sent).size).toBe(3);
    for (const id of sent) expect(id).toMatch(/^[A-Za-z0-9_-]+$/);
  });

  const origin = 'anthropic/claude-haiku-4-5';
  test('come after the thinking that led to them, which goes back unchanged and in order', () => {
    const parts = [
      { type: 'thinking', thinking: '', signature: 'c2ln', more: [1] },
      { type: 'redacted_thinking', data: 'x' },
      { type: 'thinking', thinking: 'Hm.', signature: 'bWU=' },
    ];
    const foreign = { origin: 'anthropic/claude-opus-5-5', part: parts[0] };
    const details = [...parts, 'odd', { type: 'new' }].map((part) => ({ origin, part }));
    const turn = assistant('Look.', { reasoning_details: [foreign, ...details], tool_calls: [call('a', '')] });
    expect(messagesOf(user, turn, given('a', '3'))).toEqual([
      hi,
      said('assistant', ...parts, text('Look.'), use('a', {})),
      said('user', result('a', '3')),
    ]);
  });
});

describe('cache breakpoints', () => {
  const marked = (value: string, ttl?: string) => ({
    ...text(value),
    prompt_cache_breakpoint: { mode: 'explicit', ...(ttl ? { ttl } : {}) },
  });
  const short = { cache_control: { type: 'ephemeral' } };
  const long = { cache_control: { type: 'ephemeral', ttl: '1h' } };

  test.for<[string | undefined, object]>([
    [undefined, short],
    ['5m', short],
    ['30m', long],
    ['1h', long],
    ['12h', long],
  ])('for %s take the nearest time of theirs', ([ttl, control]) => {
    expect(messagesOf({ role: 'user', content: [marked('A', ttl), text('B')] })).toEqual([
      said('user', { ...text('A'), ...control }, text('B')),
    ]);
  });

  test('stand in instructions, results, images and files too', () => {
    const point = { prompt_cache_breakpoint: { mode: 'explicit' } };
    const messages = [
      system([text('One.'), marked('Two.')]),
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://a.test/a.png' }, ...point }] },
      assistant([marked('Look.')], {
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '' } }],
      }),
      { role: 'tool', tool_call_id: 'a', content: [marked('3'), text('4')] },
    ];
    const { body, warnings } = write({ messages });
    expect(body.system).toEqual([text('One.'), { ...text('Two.'), ...short }]);
    expect(body.messages).toMatchObject([
      said('user', { type: 'image', ...short }),
      said('assistant', { ...text('Look.'), ...short }, { type: 'tool_use' }),
      said('user', { type: 'tool_result', content: '34', ...short }),
    ]);
    expect(warnings).toEqual([]);
  });

  test('beyond the fourth are dropped with a warning', () => {
    const messages = [
      system([marked('0')]),
      { role: 'user', content: ['1', '2', '3', '4', '5'].map((each) => marked(each)) },
    ];
    const { body, warnings } = write({ messages });
    expect(body.system).toEqual([{ ...text('0'), ...short }]);
    expect(body.messages).toEqual([
      said('user', ...['1', '2', '3'].map((each) => ({ ...text(each), ...short })), text('4'), text('5')),
    ]);
    expect(warnings).toEqual(['dropped 2 cache breakpoints: Anthropic takes 4']);
  });

  test('are never shorter before a longer one, which is refused', () => {
    const content = [marked('A', '5m'), marked('B', '1h'), marked('C', '5m')];
    expect(messagesOf({ role: 'user', content })).toEqual([
      said('user', { ...text('A'), ...long }, { ...text('B'), ...long }, { ...text('C'), ...short }),
    ]);
  });
});
