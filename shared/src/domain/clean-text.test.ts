import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cleanText } from './clean-text.ts';

test.for([
  ['leaves text as it is', 'Grüße, 世界 🎉', 100, 'Grüße, 世界 🎉'],
  ['drops NUL, which PostgreSQL refuses', 'a\u0000b\u0000', 100, 'ab'],
  ['replaces half a surrogate pair', 'a\ud83cb', 100, 'a\ufffdb'],
  ['leaves text of the greatest length', 'abcde', 5, 'abcde'],
  ['cuts longer text and shows that it did', 'abcdef', 5, 'abcd…'],
  ['does not leave half a pair where it cuts', 'abc🎉def', 5, 'abc\ufffd…'],
  ['measures after dropping NUL', 'abcde\u0000', 5, 'abcde'],
  ['leaves nothing as nothing', '', 5, ''],
] as const)('cleanText %s', ([, text, maxLength, expected]) => {
  expect(cleanText(text, maxLength)).toBe(expected);
});

test('cleanText keeps two thousand characters when nobody says otherwise', () => {
  expect(cleanText('x'.repeat(2_000))).toHaveLength(2_000);
  expect(cleanText('x'.repeat(2_001))).toBe(`${'x'.repeat(1_999)}…`);
});

test('cleanText always gives something PostgreSQL stores', () => {
  const anything = fc.array(fc.integer({ min: 0, max: 0xffff })).map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(anything, fc.integer({ min: 1, max: 20 }), (text, maxLength) => {
      const clean = cleanText(text, maxLength);
      expect(clean.isWellFormed()).toBe(true);
      expect(clean).not.toContain('\u0000');
      expect(clean.length).toBeLessThanOrEqual(maxLength);
    }),
  );
});
