import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createSealer } from './seal.ts';

const masterKey = randomBytes(32);
const sealer = createSealer(masterKey);
const context = 'ten_1/cred_1/provider';

describe('a sealed value', () => {
  test.for([
    ['a credential', 'sk-test-0123456789'],
    ['an empty text', ''],
    ['text of several bytes each', 'Grüße 🎉'],
    ['a long text', 'x'.repeat(100_000)],
  ] as const)('opens to what was sealed: %s', ([, plaintext]) => {
    expect(sealer.open(sealer.seal(plaintext, context), context)).toBe(plaintext);
  });

  test('does not show what it holds', () => {
    expect(sealer.seal('sk-test-0123456789', context).includes('sk-test')).toBe(false);
  });

  test('is another one each time', () => {
    const [first, second] = [sealer.seal('same', context), sealer.seal('same', context)];
    expect(first.equals(second)).toBe(false);
    // The nonce and the wrapped data key differ too, so that no key meets a nonce twice.
    expect(first.subarray(1, 61).equals(second.subarray(1, 61))).toBe(false);
  });

  test('opens from plain bytes, as a database hands them out', () => {
    expect(sealer.open(new Uint8Array(sealer.seal('text', context)), context)).toBe('text');
  });

  test('does not open in another place', () => {
    expect(() => sealer.open(sealer.seal('text', context), 'ten_2/cred_1/provider')).toThrow();
  });

  test('does not open under another master key', () => {
    const other = createSealer(randomBytes(32));
    expect(() => other.open(sealer.seal('text', context), context)).toThrow();
  });

  test('does not open when any one byte of it was changed', () => {
    const sealed = sealer.seal('text', context);
    for (const index of sealed.keys()) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      expect(() => sealer.open(changed, context), `byte ${index}`).toThrow();
    }
  });

  test('does not open when it was cut at any place', () => {
    const sealed = sealer.seal('text', context);
    for (const length of sealed.keys())
      expect(() => sealer.open(sealed.subarray(0, length), context), `${length} bytes`).toThrow();
  });

  test.for([
    ['of another version', Buffer.from([2, ...randomBytes(100)]), 'unknown version 2'],
    ['of no bytes', Buffer.alloc(0), 'unknown version undefined'],
  ] as const)('%s is named as such', ([, sealed, words]) => {
    expect(() => sealer.open(sealed, context)).toThrow(words);
  });
});

test.for([0, 16, 31, 33, 64])('a master key of %i bytes is refused', (length) => {
  expect(() => createSealer(randomBytes(length))).toThrow(`expected 32 bytes, received ${length}`);
});
