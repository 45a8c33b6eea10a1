import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createApiKey, hashesEqual, parseApiKey } from './api-key.ts';

const key = createApiKey((size) => Buffer.alloc(size, 0xab));

describe('a new API key', () => {
  test('leads back to its id and its hash', () => {
    const made = createApiKey();
    expect(parseApiKey(made.text)).toEqual({ id: made.id, hash: made.hash });
  });

  test('shows its id, so that a leaked key can be found and revoked', () => {
    expect(key.id).toBe(`key_${'ab'.repeat(8)}`);
    expect(key.text).toMatch(new RegExp(`^wb_${'ab'.repeat(8)}_[A-Za-z0-9_-]{51}$`));
  });

  test('is kept as a hash of its secret alone', () => {
    const secret = Buffer.alloc(32, 0xab).toString('base64url');
    expect(key.text).toContain(secret);
    expect(key.hash).toEqual(createHash('sha256').update(secret).digest());
  });

  test('is another one each time', () => {
    const texts = new Set(Array.from({ length: 100 }, () => createApiKey().text));
    expect(texts.size).toBe(100);
  });
});

describe('parseApiKey refuses', () => {
  const replaceAt = (text: string, index: number, by: string) => text.slice(0, index) + by + text.slice(index + 1);
  test.for([
    ['nothing', ''],
    ["another vendor's key", 'sk-proj-0123456789abcdef0123456789abcdef'],
    ['a key without its prefix', key.text.slice(3)],
    ['a key with a wrong letter in its id', replaceAt(key.text, 3, 'c')],
    ['a key with a wrong letter in its secret', replaceAt(key.text, 25, 'Z')],
    ['a key with a wrong letter in its checksum', replaceAt(key.text, key.text.length - 1, 'z')],
    [
      'a key with two letters changed about',
      replaceAt(replaceAt(key.text, 20, key.text.charAt(21)), 21, key.text.charAt(20)),
    ],
    ['a key that was cut', key.text.slice(0, -1)],
    ['a key with something after it', `${key.text}0`],
    ['a key with a line end', `${key.text}\n`],
    ['a key with a space before it', ` ${key.text}`],
    ['a key in capitals', key.text.toUpperCase()],
    ['a very long text', `wb_${'a'.repeat(1_000_000)}`],
  ] as const)('%s', ([, text]) => {
    expect(parseApiKey(text)).toBeNull();
  });
});

test.for([
  ['equal ones', [1, 2, 3], [1, 2, 3], true],
  ['different ones', [1, 2, 3], [1, 2, 4], false],
  ['one that is shorter, without throwing', [1, 2], [1, 2, 3], false],
  ['two of no bytes', [], [], true],
] as const)('hashesEqual compares %s', ([, a, b, expected]) => {
  expect(hashesEqual(Uint8Array.from(a), Uint8Array.from(b))).toBe(expected);
});
