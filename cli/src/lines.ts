/**
 * Reads a file line by line in bounded memory.
 *
 * Node's readline buffers a line of any length and splits on a lone CR; here only LF ends a line, a CR before it is
 * trimmed, and a line over the limit is an error as soon as the limit is passed.
 */
import { createReadStream, statSync } from 'node:fs';
import { decodeUtf8 } from '@waybill/shared/domain/json-text.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';

export const maxLineBytes = 1024 * 1024;
export const maxLines = 1_000_000;

export interface Line {
  /** Counted from 1, blank lines included. */
  readonly number: number;
  readonly text: string;
}

/** Opens a path, or standard input for `-`. @throws Problem `file_unreadable` */
export function openInput(path: string, isTerminal = process.stdin.isTTY): AsyncIterable<Buffer> {
  if (path === '-') {
    if (isTerminal)
      throw new Problem(
        'file_unreadable',
        'Cannot read standard input: it is a terminal. Pipe a file into it, or name one',
      );
    return process.stdin as AsyncIterable<Buffer>;
  }
  try {
    const stats = statSync(path);
    // A pipe has a path too: `waybill enqueue <(jq -c .[] jobs.json)`.
    if (!stats.isFile() && !stats.isFIFO())
      throw new Problem('file_unreadable', `Cannot read ${path}: it is not a file`);
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    throw unreadable(path, cause);
  }
  return readFile(path);
}

async function* readFile(path: string): AsyncIterable<Buffer> {
  try {
    yield* createReadStream(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** What a failed read says; the cause decides the exit code. */
export function unreadable(path: string, cause: unknown): Problem {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const why = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'permission denied' : code;
  return new Problem('file_unreadable', `Cannot read ${path}: ${why}`, { cause });
}

/**
 * @param isText the lines are plain prompts, which may begin with anything
 * @throws Problem `line_too_long not_jsonl invalid_utf8 too_many_items`
 */
export async function* readLines(input: AsyncIterable<Buffer>, isText = false): AsyncIterable<Line> {
  let rest = Buffer.alloc(0);
  let number = 0;
  let isFirst = true;
  const toLine = (bytes: Buffer): Line => {
    number += 1;
    if (number > maxLines)
      throw new Problem('too_many_items', `Cannot read the file: it has more than ${maxLines} lines. Split it`);
    if (bytes.length > maxLineBytes) throw tooLong(number);
    return { number, text: decodeLine(bytes, number) };
  };
  for await (const chunk of input) {
    if (isFirst) checkStart(chunk, isText);
    isFirst = false;
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      yield toLine(Buffer.concat([rest, chunk.subarray(start, end)]));
      rest = Buffer.alloc(0);
      start = end + 1;
    }
    rest = Buffer.concat([rest, chunk.subarray(start)]);
    if (rest.length > maxLineBytes) throw tooLong(number + 1);
  }
  if (rest.length > 0) yield toLine(rest);
}

const tooLong = (number: number): Problem =>
  new Problem('line_too_long', `Cannot read line ${number}: it is longer than ${maxLineBytes} bytes`, {
    param: `line ${number}`,
  });

function checkStart(chunk: Buffer, isText: boolean): void {
  const isGzip = chunk[0] === 0x1f && chunk[1] === 0x8b;
  const isZip = chunk[0] === 0x50 && chunk[1] === 0x4b && chunk[2] === 0x03;
  if (isGzip || isZip)
    throw new Problem('not_jsonl', `Cannot read the file: it is ${isGzip ? 'gzip' : 'zip'} data. Unpack it first`);
  if (!isText && /^[\s\ufeff]*\[/.test(chunk.subarray(0, 200).toString('utf8'))) {
    throw new Problem(
      'not_jsonl',
      'Cannot read the file: line 1 is a list. Write one JSON object per line, or say --format prompts',
    );
  }
}

function decodeLine(bytes: Buffer, number: number): string {
  try {
    return decodeUtf8(bytes).replace(/\r$/, '');
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : '';
    throw new Problem('invalid_utf8', `Cannot read line ${number}: ${message}`, { cause, param: `line ${number}` });
  }
}
