import { expect, test } from 'vitest';
import { Problem, type ProblemCode } from '../domain/problem.ts';
import { asCount, asList, asRecord, asText, asTextOrNull, CutJsonError, parseProviderJson } from './provider-json.ts';

function errorOf(text: string): Problem | null {
  try {
    parseProviderJson(text);
    return null;
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}
const codeOf = (text: string): ProblemCode | null => errorOf(text)?.code ?? null;

test.for<[string, string, ProblemCode | null]>([
  ['an object', '{"a":[1,"x",null]}', null],
  ['a list longer than a caller may send', `[${'0,'.repeat(50_000)}0]`, null],
  ['64 levels', '['.repeat(64) + ']'.repeat(64), null],
  ['65 levels', '['.repeat(65) + ']'.repeat(65), 'json_too_deep'],
  ['100,000 open brackets', '['.repeat(100_000), 'json_too_deep'],
  ['a list longer than callers may send', `[${'0,'.repeat(20_000)}0]`, null],
  ['numbers that callers may not send', '[-0.0,12345678901234567890]', null],
  ['a key that poisons', '{"__proto__":{"x":1}}', 'forbidden_key'],
  ['a page of HTML', '<html></html>', 'invalid_json'],
  ['nothing', '', 'invalid_json'],
  ['half of it', '{"a":', 'invalid_json'],
])("a provider's JSON: %s", ([, text, code]) => {
  expect(codeOf(text)).toBe(code);
});

test('JSON cut anywhere is told from JSON that is wrong', () => {
  const text = '{"a":[1.5e3,-2,true,null,"x\\u00e9\\n"],"b":{}}';
  for (let at = 0; at < text.length; at += 1)
    expect(() => parseProviderJson(text.slice(0, at)), text.slice(0, at)).toThrow(CutJsonError);
});

test.for(['Service healthy', '{"a":1}}', '{"a" 1}', "{'a':1}", '[1,]', '{"a":NaN}', '<p>'])(
  '%s is wrong, not cut',
  (text) => {
    expect(errorOf(text)?.code).toBe('invalid_json');
    expect(errorOf(text)).not.toBeInstanceOf(CutJsonError);
  },
);

test('an error of the text holds none of it', () => {
  for (const text of ['my secret prompt', '{"prompt":"my secret', '{"a": secret}'])
    expect(errorOf(text)?.message).not.toMatch(/secret|prompt/);
});

const values = [undefined, null, true, 0, 3, -1, 1.5, Number.NaN, 2 ** 60, '', 'x', [1], { a: 1 }];
test.for<[string, (value: unknown) => unknown, unknown[]]>([
  ['asRecord', asRecord, [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, { a: 1 }]],
  ['asList', asList, [[], [], [], [], [], [], [], [], [], [], [], [1], []]],
  ['asText', asText, ['', '', '', '', '', '', '', '', '', '', 'x', '', '']],
  ['asTextOrNull', asTextOrNull, [...Array(10).fill(null), 'x', null, null]],
  ['asCount', asCount, [null, null, null, 0, 3, null, null, null, null, null, null, null, null]],
])('%s takes its own kind and reads anything else as absent', ([, read, expected]) => {
  expect(values.map(read)).toEqual(expected);
});
