import { describe, expect, test } from 'vitest';
import { decodeUtf8, jsonLimits, parseAnswerJson, parseJson, parseJsonObject } from './json-text.ts';
import { Problem } from './problem.ts';

function problemOf(act: () => unknown): Problem {
  try {
    act();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('expected a problem');
}
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const objectOf = (count: number) => `{${Array.from({ length: count }, (_, index) => `"k${index}":0`).join()}}`;
const listOf = (count: number) => `[${Array.from({ length: count }, () => '0').join()}]`;

describe('parseJson reads', () => {
  test.for([
    ['an object', '{"a":[1,-2.5,"x",null,true]}', { a: [1, -2.5, 'x', null, true] }],
    ['a number at the border of a double', '9007199254740991', Number.MAX_SAFE_INTEGER],
    ['a number with an exponent', '1e3', 1_000],
    ['zero in any spelling', '[0,0.0,0e9]', [0, 0, 0]],
    ['brackets, commas and numbers inside strings', '["[[{{,,-0 1e999"]', ['[[{{,,-0 1e999']],
    ['escaped quotes', '["a\\"[\\\\",1]', ['a"[\\', 1]],
    ['a forbidden word as a value', '["__proto__"]', ['__proto__']],
    ['a key that only looks like the forbidden one', '{"__proto":1,"x__proto__":2}', { __proto: 1, x__proto__: 2 }],
    ['NUL and half a pair, escaped', '"\\u0000\\ud800"', '\u0000\ud800'],
  ] as const)('%s', ([, text, expected]) => {
    expect(parseJson(text)).toEqual(expected);
  });

  test('the last of two equal keys', () => {
    expect(parseJson('{"model":"a","model":"b"}')).toEqual({ model: 'b' });
  });

  test.for([
    ['nesting', nested(jsonLimits.depth)],
    ['properties', objectOf(jsonLimits.properties)],
    ['items', listOf(jsonLimits.items)],
  ] as const)('as much %s as is allowed', ([, text]) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  test('more items, more properties and any number in an answer of a provider', () => {
    expect(parseAnswerJson(listOf(20_000))).toHaveLength(20_000);
    expect(parseAnswerJson(objectOf(2_000))).toEqual(JSON.parse(objectOf(2_000)));
    expect(parseAnswerJson('{"logprob":-0.0,"id":12345678901234567890}')).toMatchObject({ logprob: -0 });
    expect(() => parseAnswerJson(nested(jsonLimits.depth + 1))).toThrow(
      expect.objectContaining({ code: 'json_too_deep' }),
    );
  });
});

describe('parseJson refuses', () => {
  test.for([
    ['one level too many', nested(jsonLimits.depth + 1), 'json_too_deep'],
    ['a hundred thousand levels', '['.repeat(100_000), 'json_too_deep'],
    ['one property too many', objectOf(jsonLimits.properties + 1), 'too_many_properties'],
    ['one item too many', listOf(jsonLimits.items + 1), 'too_many_items'],
    ['the key __proto__', '{"a":{"__proto__":{"x":1}}}', 'forbidden_key'],
    ['the key __proto__ far from its colon', `{"__proto__"${' '.repeat(99)}:1}`, 'forbidden_key'],
    ['the key __proto__ in escapes', '{"\\u005f_proto_\\u005F":1}', 'forbidden_key'],
    [
      'the key __proto__ all in escapes',
      `{"${'\\u005f\\u005f\\u0070\\u0072\\u006f\\u0074\\u006f\\u005f\\u005f'}":1}`,
      'forbidden_key',
    ],
    ['a whole number a double cannot hold', '{"a":9007199254740993}', 'number_out_of_range'],
    ['a negative one', '[-9007199254740993]', 'number_out_of_range'],
    ['a number that becomes infinite', '1e400', 'number_out_of_range'],
    ['a number that vanishes', '1e-400', 'number_out_of_range'],
    ['minus zero', '-0', 'number_out_of_range'],
    ['minus zero with decimals', '-0.0', 'number_out_of_range'],
    ['NaN', 'NaN', 'invalid_json'],
    ['Infinity', '-Infinity', 'invalid_json'],
    ['single quotes', "{'a':1}", 'invalid_json'],
    ['a comment', '{"a":1 // one\n}', 'invalid_json'],
    ['a trailing comma', '[1,]', 'invalid_json'],
    ['a comma outside all', ',', 'invalid_json'],
    ['a number in two parts', '[1.2.3]', 'invalid_json'],
    ['an open string', '{"a":"b', 'invalid_json'],
    ['nothing', '', 'invalid_json'],
  ] as const)('%s', ([, text, code]) => {
    expect(problemOf(() => parseJson(text)).code).toBe(code);
  });

  test.for([
    ['where it was cut off', '{"a":', 'ends too early, at position 5'],
    ['that half a word is cut off too', '{"a":tru', 'ends too early, at position 8'],
    ['that an open string is cut off too', '{"a":"b', 'ends too early, at position 7'],
    ['the position and line of a strange character', '{\n "a": x}', 'unexpected character at position 8 (line 2)'],
    ['the position of a strange first character', '<html>', 'unexpected character at position 0 (line 1)'],
    ['the position of a missing comma', '{"a":1 "b":2}', 'unexpected character at position 7 (line 1)'],
    ['the position of what follows the end', '{} {}', 'unexpected character at position 3 (line 1)'],
    ['no position that the text itself names', '["JSON at position 1", x]', 'at position 23 (line 1)'],
    ['the position in a long text', `[${'1,'.repeat(5_000)}x,1]`, 'unexpected character at position 10001 (line 1)'],
  ] as const)('and names %s', ([, text, words]) => {
    expect(problemOf(() => parseJson(text)).message).toContain(words);
  });

  test('and quotes nothing of the text, which may be a prompt', () => {
    const problem = problemOf(() => parseJson('{"prompt": "a secret" oops}'));
    expect(problem.message).not.toMatch(/secret|oops/);
  });
});

describe('parseJsonObject', () => {
  test('gives the object', () => {
    expect(parseJsonObject('{"a":1}')).toEqual({ a: 1 });
  });

  test.for([
    ['null', 'received null'],
    ['[]', 'received a list'],
    ['"x"', 'received a string'],
    ['1', 'received a number'],
    ['true', 'received a boolean'],
  ] as const)('refuses %s at the top level', ([text, words]) => {
    const problem = problemOf(() => parseJsonObject(text));
    expect(problem.code).toBe('body_must_be_object');
    expect(problem.message).toContain(words);
  });
});

describe('decodeUtf8', () => {
  const bytes = (...parts: (string | number)[]) =>
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part]))));

  test.for([
    ['reads text', bytes('Grüße 🎉'), 'Grüße 🎉'],
    ['strips a byte order mark', bytes(0xef, 0xbb, 0xbf, '{}'), '{}'],
    ['reads a replacement character that was written', bytes('a\ufffdb'), 'a\ufffdb'],
    ['reads nothing', bytes(), ''],
  ] as const)('%s', ([, given, expected]) => {
    expect(decodeUtf8(given)).toBe(expected);
  });

  test.for([
    ['at the start', bytes(0xff, 'a'), 0],
    ['after text of several bytes each', bytes('ü🎉', 0x80), 6],
    ['after a replacement character that was written', bytes('\ufffd', 0xc3), 3],
    ['after a byte order mark', bytes(0xef, 0xbb, 0xbf, 'a', 0xff), 4],
    ['in half a character at the end', bytes('ab', 0xf0, 0x9f), 2],
  ] as const)('names the byte that is not UTF-8 %s', ([, given, offset]) => {
    const problem = problemOf(() => decodeUtf8(given));
    expect(problem.code).toBe('invalid_utf8');
    expect(problem.message).toContain(`at byte ${offset}`);
  });
});
