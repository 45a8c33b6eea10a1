import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ChatRequest, chatRequestSchema } from '../chat/request.ts';
import { type EmbeddingsRequest, embeddingsRequestSchema } from '../embeddings/request.ts';
import type { JobBody } from '../routing/request-needs.ts';
import { detectIn, requiredLabels } from './detect.ts';
import { type DetectorKind, detectorKinds } from './detectors.ts';

const chat = (change: object): JobBody => ({
  endpoint: '/v1/chat/completions',
  request: { model: 'default', messages: [{ role: 'user', content: 'hello' }], ...change } as ChatRequest,
});
const embeddings = (change: object): JobBody => ({
  endpoint: '/v1/embeddings',
  request: { model: 'default', input: 'hello', ...change } as EmbeddingsRequest,
});
const spoken = (...content: readonly object[]) => chat({ messages: [{ role: 'user', content }] });
const base64 = (text: string | Uint8Array) => Buffer.from(text as string).toString('base64');

const card = '4111 1111 1111 1111';
const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d]);

describe('finds a card number in', () => {
  const parts = [
    { type: 'text', text: 'the number is 4111 1111' },
    { type: 'text', text: ' 1111 1111, thanks' },
  ];
  const call = (text: string) => ({ id: 'call_1', type: 'function', function: { name: 'pay', arguments: text } });
  const tool = (change: object) => ({
    tools: [{ type: 'function', function: { name: 'pay', ...change } }],
  });
  const schema = (change: object) => ({
    response_format: { type: 'json_schema', json_schema: { name: 'payment', schema: { type: 'object' }, ...change } },
  });
  const first = { role: 'user', content: 'hello' };

  const chats: readonly (readonly [string, object])[] = [
    ...['system', 'developer', 'user', 'assistant'].map(
      (role) => [`the content of the role ${role}`, { messages: [first, { role, content: card }] }] as const,
    ),
    ['a part', { messages: [{ role: 'user', content: [{ type: 'text', text: card }] }] }],
    ['two parts that it is cut in', { messages: [{ role: 'user', content: parts }] }],
    ['a name', { messages: [{ role: 'user', content: 'hello', name: card }] }],
    ['a refusal', { messages: [first, { role: 'assistant', refusal: card }] }],
    ['a refusal part', { messages: [first, { role: 'assistant', content: [{ type: 'refusal', refusal: card }] }] }],
    ['reasoning', { messages: [first, { role: 'assistant', content: 'x', reasoning_content: card }] }],
    [
      'reasoning details',
      { messages: [first, { role: 'assistant', reasoning_details: [{ origin: 'a/b', part: { thinking: card } }] }] },
    ],
    ['arguments of a tool call', { messages: [first, { role: 'assistant', tool_calls: [call(`{"n":"${card}"}`)] }] }],
    [
      'JSON inside JSON',
      {
        messages: [
          first,
          { role: 'assistant', tool_calls: [call(JSON.stringify({ a: JSON.stringify({ b: `\n${card}\n` }) }))] },
        ],
      },
    ],
    [
      'a number inside JSON that was cut off',
      { messages: [first, { role: 'assistant', tool_calls: [call('{"n":4111111111111111,"b')] }] },
    ],
    ['a tool result', { messages: [first, { role: 'tool', tool_call_id: 'call_1', content: card }] }],
    ['the id of a tool call', { messages: [first, { role: 'tool', tool_call_id: card, content: 'x' }] }],
    ['the description of a tool', tool({ description: card })],
    ['the parameters of a tool', tool({ parameters: { properties: { n: { examples: [card] } } } })],
    ['a key in the parameters of a tool', tool({ parameters: { properties: { [card]: {} } } })],
    ['a number in the parameters of a tool', tool({ parameters: { enum: [4111111111111111] } })],
    ['the description of the answer', schema({ description: card })],
    ['the schema of the answer', schema({ schema: { properties: { n: { const: card } } } })],
    ['a key in the schema of the answer', schema({ schema: { required: [], [card]: null } })],
    ['a stop text', { stop: card }],
    ['a list of stop texts', { stop: ['a', card] }],
    ['the user', { user: card }],
    ['the safety identifier', { safety_identifier: card }],
    ['the cache key', { prompt_cache_key: card }],
    ['the metadata', { metadata: { note: card } }],
    ['a key of the metadata', { metadata: { [card]: 'x' } }],
  ];
  test.each(chats)('a chat: %s', (_, change) => {
    const body = chat(change);
    expect(chatRequestSchema.safeParse(body.request).error).toBeUndefined();
    expect(detectIn(body, detectorKinds)).toEqual(['credit_card']);
  });

  test.each([
    ['the model', { model: card }],
    ['a prediction', { prediction: { type: 'content', content: card } }],
    ['a field nobody knows', { extra: [[{ deep: card }]] }],
  ])('a chat of another version: %s', (_, change) => {
    expect(detectIn(chat(change), detectorKinds)).toEqual(['credit_card']);
  });

  test.each([
    ['the input', { input: card }],
    ['one of many inputs', { input: ['hello', 'world', card] }],
    ['the user', { user: card }],
  ])('embeddings: %s', (_, change) => {
    const body = embeddings(change);
    expect(embeddingsRequestSchema.safeParse(body.request).error).toBeUndefined();
    expect(detectIn(body, detectorKinds)).toEqual(['credit_card']);
  });
});

describe('of files', () => {
  const file = (data: string, filename = 'a.txt') => spoken({ type: 'file', file: { file_data: data, filename } });
  const image = (url: string) => spoken({ type: 'image_url', image_url: { url } });
  const audio = (data: string) => spoken({ type: 'input_audio', input_audio: { data, format: 'wav' } });
  const bare = Buffer.from(card, 'utf16le');
  const wide = Buffer.concat([Buffer.from([0xff, 0xfe]), bare]);
  const latin = Buffer.from(`Herr M\u00fcller;${card}`, 'latin1');

  test.each([
    ['plain text', file(`data:text/plain;base64,${base64(card)}`)],
    ['text with a character set', file(`data:text/csv;charset=utf-8;base64,${base64(`id,card\n1,${card}`)}`)],
    ['JSON', file(`data:application/json;base64,${base64(JSON.stringify({ card }))}`)],
    ['a kind of XML', file(`data:image/svg+xml;base64,${base64(`<text>${card}</text>`)}`)],
    ['text in UTF-16', file(`data:text/plain;base64,${base64(wide)}`)],
    ['text in the other UTF-16', file(`data:text/plain;base64,${base64(Buffer.from(wide).swap16())}`)],
    ['text in Latin 1', file(`data:text/plain;base64,${base64(Buffer.from(`caf\u00e9 ${card}`, 'latin1'))}`)],
    ['text that is called a picture', file(`data:image/png;base64,${base64(card)}`)],
    ['text that is called nothing', image(`data:;base64,${base64(card)}`)],
    ['text that is called sound', audio(base64(card))],
    ['text in Latin 1 that is called a table', file(`data:application/vnd.ms-excel;base64,${base64(latin)}`)],
    ['text in Latin 1 that is called nothing we know', file(`data:application/x-any;base64,${base64(latin)}`)],
    ['text with a form feed', file(`data:application/octet-stream;base64,${base64(`one\f${card}`)}`)],
    ['text with colours', file(`data:application/octet-stream;base64,${base64(`\u001b[1mPaid\u001b[0m ${card}`)}`)],
    ['text in UTF-16 without a mark', file(`data:text/plain;base64,${base64(bare)}`)],
    ['text in the other UTF-16 without a mark', file(`data:a/b;base64,${base64(Buffer.from(bare).swap16())}`)],
    [
      'text in UTF-16 with other letters',
      file(`data:a/b;base64,${base64(Buffer.from(`一 ${card}`.repeat(9), 'utf16le'))}`),
    ],
    ['text that is cut in a character', file(`data:a/b;base64,${base64(Buffer.from(`${card} ü`).subarray(0, -1))}`)],
    ['text with marks of its own', file(`data:text/plain;base64,${base64(`8=FIX\u0001${card}\u0001`)}`)],
    ['text behind a mark', file(`data:a/b;base64,${base64(`\ufeff${card}`)}`)],
    ['text about documents', file(`data:a/b;base64,${base64(`What is %PDF-1.4? ${card}`)}`)],
    ['a name', file(`data:text/plain;base64,${base64('hello')}`, card)],
    ['an address', image('https://example.com/?n=4111111111111111')],
    ['text that is not in base64', image(`data:text/plain,${encodeURIComponent(card)}`)],
    ['what only begins like a picture', image(`data:image/png;base64,iVBO ${card}.`)],
    ['what is not base64', audio(`${card}!`)],
    ['a data URI in a text', chat({ messages: [{ role: 'user', content: `data:text/plain;base64,${base64(card)}` }] })],
    ['a picture in a text', spoken({ type: 'text', text: 'data:image/png;base64,4111111111111111' })],
  ])('%s is read', (_, body) => {
    expect(detectIn(body, detectorKinds)).toEqual(['credit_card']);
  });

  // The digits of a card, as the base64 of something else.
  const digits = `${base64(png)}/4111111111111111/`;
  test.each([
    ['a picture', image(`data:image/png;base64,${digits}`)],
    ['sound', audio(digits)],
    ['bytes that are no UTF-8', audio(base64(Buffer.from([0xe9, 0x20, 0xe9])))],
    ['nothing', image('data:image/png;base64,')],
    ['a picture that says so with blanks', image(` data: image/png;base64,${digits}`)],
  ])('%s is not', (_, body) => {
    expect(detectIn(body, detectorKinds)).toEqual([]);
    expect(detectIn(body, detectorKinds, 'found')).toEqual([]);
  });

  const uri = (type: string, bytes: string | Uint8Array) => `data:${type};base64,${base64(bytes)}`;
  const longText = 'The quick brown fox. '.repeat(500);
  test.each([
    ['a document', file(`data:application/pdf;base64,${digits}`)],
    ['a document without binary bytes', file(uri('application/pdf', `%PDF-1.4\n${card}`))],
    ['a document that is called text', file(uri('a/b', `\ufeff\r\n %PDF-1.7 ${card}`))],
    ['an archive, as office files are', file(uri('application/vnd.openxmlformats', 'PK\u0003\u0004'))],
    ['an old office file', file(uri('application/msword', new Uint8Array([0xd0, 0xcf, 0x11, 0xe0])))],
    ['a picture that is sent as a file', file(uri('image/png', png))],
    ['text with binary bytes behind', file(uri('a/b', `${longText}\u0000`))],
    ['records filled up with NULs', file(uri('a/b', `abc\u0000${card.slice(0, 3)}\u0000`))],
    ['UTF-16 that is broken', file(uri('a/b', Buffer.concat([wide, Buffer.from([0x00])])))],
    ['UTF-16 of binary numbers', file(uri('a/b', new Uint8Array([1, 0, 2, 0, 3, 0])))],
    ['Latin 1 with binary bytes behind', file(uri('a/b', Buffer.from(`\u00fc${longText}\u0000`, 'latin1')))],
    ['a document that is sent as a picture', image(uri('application/pdf', `%PDF-1.4\n${card}`))],
    ['a data URI that is not in base64', file('data:application/pdf,%25PDF-1.4')],
    ['a document in the place of a picture that is not in base64', image('data:application/pdf,%25PDF-1.4')],
    ['one with a parameter behind the mark', image(`data:application/pdf;base64;x=1,${base64('%PDF-1.4')}`)],
  ])('%s counts as all that was asked for, unless it may pass', (_, body) => {
    expect(detectIn(body, ['iban', 'email'])).toEqual(['email', 'iban']);
    expect(detectIn(body, ['iban', 'email'], 'found')).toEqual(['email', 'iban']);
    expect(detectIn(body, detectorKinds, 'pass')).toEqual([]);
    expect(detectIn(body, [])).toEqual([]);
  });

  test.each([
    ['text with a NUL', file(uri('text/plain', `\u0000${card}`))],
    ['UTF-16 with a NUL', file(uri('text/plain', Buffer.concat([wide, Buffer.from([0, 0])])))],
    ['a document that is called text', file(uri('text/plain', `%PDF-1.4\n${card}`))],
    ['the name of a document', file(uri('application/pdf', png), card)],
  ])('of %s, what can be made out is read', (_, body) => {
    expect(detectIn(body, detectorKinds, 'pass')).toEqual(['credit_card']);
    expect(detectIn(body, ['email'])).toEqual(['email']);
  });

  test('a field of that name elsewhere is a text like any other', () => {
    const parameters = { example: { file: { file_data: 'hello' } } };
    const body = chat({ tools: [{ type: 'function', function: { name: 'f', parameters } }] });
    expect(detectIn(body, detectorKinds)).toEqual([]);
  });
});

describe('a key', () => {
  const withArguments = (value: object) => chat({ tools: [{ type: 'function', function: { parameters: value } }] });
  test.each([
    ['us_ssn', { ssn: '123456789' }],
    ['us_ssn', { ssn: 123456789 }],
    ['us_ssn', { ssn: ['123456789'] }],
    ['phone', { contact: { phone: '5551234567' } }],
  ] as const)('says what a value is: %s', (kind, value) => {
    expect(detectIn(withArguments(value), detectorKinds)).toEqual([kind]);
  });

  test('says nothing about the sampling numbers', () => {
    expect(detectIn(chat({ seed: 4111111111111111, max_tokens: 100 }), detectorKinds)).toEqual([]);
  });
});

describe('the answer', () => {
  const all = `john@example.com +49 170 1234567 DE89370400440532013000 ${card} 123-45-6789 ghp_${'a1B2'.repeat(9)}`;
  const body = chat({ messages: [{ role: 'user', content: all }], user: 'john@example.com' });

  test('names each kind once, sorted', () => {
    expect(detectIn(body, detectorKinds)).toEqual(['credit_card', 'email', 'iban', 'phone', 'secret', 'us_ssn']);
    expect(detectIn(body, ['us_ssn', 'email', 'us_ssn'])).toEqual(['email', 'us_ssn']);
  });

  test('is empty when nothing was asked or nothing is there', () => {
    expect(detectIn(body, [])).toEqual([]);
    expect(detectIn(chat({}), detectorKinds)).toEqual([]);
  });

  test('is every kind asked for when the request cannot be read', () => {
    const asked: readonly DetectorKind[] = ['us_ssn', 'email'];
    const broken = Object.defineProperty({}, 'content', {
      enumerable: true,
      get: () => {
        throw new Error(card);
      },
    });
    const endless: unknown[] = [];
    endless.push(endless);
    expect(detectIn(chat({ messages: [broken] }), asked)).toEqual(['email', 'us_ssn']);
    expect(detectIn(chat({ messages: endless }), asked)).toEqual(['email', 'us_ssn']);
    expect(detectIn({ endpoint: '/v1/embeddings' } as JobBody, asked)).toEqual(['email', 'us_ssn']);
    expect(detectIn(chat({}), ['passport' as DetectorKind, 'email'])).toEqual(['email', 'passport']);
  });

  test.each([
    ['something was found', ['email'], ['local', 'eu']],
    ['nothing was found', [], []],
  ] as const)('asks for labels when %s', (_, found, labels) => {
    expect(requiredLabels(found, { detect: detectorKinds, require: ['local', 'eu'] })).toEqual(labels);
  });
});

describe('property', () => {
  const planted: Readonly<Record<DetectorKind, string>> = {
    email: 'john@example.com',
    phone: '+49 170 1234567',
    iban: 'DE89 3704 0044 0532 0130 00',
    credit_card: card,
    us_ssn: '123-45-6789',
    secret: `ghp_${'a1B2'.repeat(9)}`,
  };
  const words = fc.array(fc.constantFrom('lorem', 'ipsum', 'dolor,', 'sit', 'amet.', '»', '12', 'ä', '语'), {
    maxLength: 12,
  });
  const sentence = words.map((each) => each.join(' '));
  const finding = fc.constantFrom(...detectorKinds);
  /** Any JSON with one sentence in it that holds the finding. */
  const tree = (leaf: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 5 },
        leaf,
        fc.tuple(fc.jsonValue({ maxDepth: 2 }), tie('node')).map(([other, node]) => [other, node]),
        fc.tuple(fc.string({ minLength: 1 }), tie('node')).map(([key, node]) => ({ [`_${key}`]: node, other: 1 })),
        tie('node').map((node) => JSON.stringify(node)),
      ),
    })).node;

  test('a finding at any place of any request is found', () => {
    const cases = finding.chain((kind) => {
      const text = fc.tuple(sentence, sentence).map(([before, after]) => `${before} \n${planted[kind]}\t ${after}`);
      return fc.record({ kind: fc.constant(kind), node: tree(text), place: fc.nat({ max: 4 }) });
    });
    const property = fc.property(cases, ({ kind, node, place }) => {
      const text = typeof node === 'string' ? node : JSON.stringify(node);
      const bodies = [
        chat({ messages: [{ role: 'user', content: text }] }),
        chat({ tools: [{ type: 'function', function: { name: 'f', parameters: { node } } }] }),
        chat({ messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: text } }] }] }),
        chat({ response_format: { type: 'json_schema', json_schema: { name: 's', schema: { node } } } }),
        embeddings({ input: ['a', text] }),
      ];
      expect(detectIn(bodies[place] as JobBody, [kind])).toEqual([kind]);
    });
    fc.assert(property, { numRuns: 500 });
  });

  test('no text breaks it, and no answer holds more than kinds', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ maxLength: 200 }));
    const property = fc.property(text, fc.subarray([...detectorKinds]), (content, kinds) => {
      const found = detectIn(chat({ messages: [{ role: 'user', content }] }), kinds);
      expect(kinds).toEqual(expect.arrayContaining(found));
    });
    fc.assert(property, { numRuns: 500 });
  });
});
