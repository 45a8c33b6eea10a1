import { expect, test } from 'vitest';
import { exitCodeOf } from './exit-codes.ts';
import { maxLineBytes, openInput, readLines, unreadable } from './lines.ts';

/** The text in pieces of every given size: no line may depend on where a chunk ends. */
async function* pieces(text: string | Buffer, size: number): AsyncIterable<Buffer> {
  const bytes = Buffer.from(text as string);
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function read(text: string | Buffer, size = 64 * 1024): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(pieces(text, size))) lines.push(`${line.number}:${line.text}`);
  return lines;
}

test.for<[string, string, string[]]>([
  ['lines end with LF', 'a\nb\n', ['1:a', '2:b']],
  ['a missing last LF is fine', 'a\nb', ['1:a', '2:b']],
  ['a CR before LF is trimmed', 'a\r\nb\r\n', ['1:a', '2:b']],
  ['a lone CR ends no line', 'a\rb\n', ['1:a\rb']],
  ['U+2028 ends no line', 'a\u2028b\n', ['1:a\u2028b']],
  ['blank lines keep their number', 'a\n\nb\n', ['1:a', '2:', '3:b']],
  ['a byte order mark is stripped', '\ufeffa\n', ['1:a']],
  ['characters of several bytes survive', 'ä😀\nß\n', ['1:ä😀', '2:ß']],
])('%s', async ([, text, expected]) => {
  for (const size of [1, 2, 3, 7, 1_000]) expect(await read(text, size)).toEqual(expected);
});

test.for<[string, string | Buffer, string]>([
  ['a list', ' [{"a":1}]', 'not_jsonl'],
  ['gzip data', Buffer.from([0x1f, 0x8b, 8, 0]), 'not_jsonl'],
  ['a zip archive', Buffer.from('PK\u0003\u0004'), 'not_jsonl'],
  ['invalid UTF-8', Buffer.from([0x61, 0x0a, 0xff, 0x0a]), 'invalid_utf8'],
  ['a line over the limit', 'x'.repeat(maxLineBytes + 1), 'line_too_long'],
])('%s is refused', async ([, text, code]) => {
  await expect(read(text)).rejects.toMatchObject({ code });
});

test('an endless line is given up at the limit, not at its end', async () => {
  let given = 0;
  async function* endless(): AsyncIterable<Buffer> {
    for (;;) {
      given += 65_536;
      yield Buffer.alloc(65_536, 0x61);
    }
  }
  const reading = (async () => {
    for await (const _ of readLines(endless())) return;
  })();
  await expect(reading).rejects.toMatchObject({ code: 'line_too_long', message: expect.stringContaining('line 1') });
  expect(given).toBeLessThan(maxLineBytes + 3 * 65_536);
});

test('a path without permission says so, and has an exit code of its own', () => {
  const denied = unreadable('secret.jsonl', Object.assign(new Error('denied'), { code: 'EACCES' }));
  expect([denied.message, exitCodeOf(denied)]).toEqual(['Cannot read secret.jsonl: permission denied', 77]);
  const missing = unreadable('none.jsonl', Object.assign(new Error('missing'), { code: 'ENOENT' }));
  expect(exitCodeOf(missing)).toBe(66);
});

test('standard input that is a terminal is not waited for', () => {
  expect(() => openInput('-', true)).toThrow(expect.objectContaining({ code: 'file_unreadable' }));
});
