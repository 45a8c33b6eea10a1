/** Reads a secret: from a file, from a pipe, or from a terminal that does not show it. Never from the command line. */
import { readFileSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { Problem } from '@waybill/shared/domain/problem.ts';

const maxBytes = 64 * 1_024;

/** null: interrupted. @throws Problem `file_unreadable invalid_usage` */
export async function readSecret(name: string, file: string | undefined): Promise<string | null> {
  const text =
    file !== undefined ? readFile(file) : process.stdin.isTTY ? await ask(`Secret of ${name}: `) : await readPipe();
  if (text === null) return null;
  // The line break an editor or `echo` adds is no part of it.
  const secret = text.trim();
  if (secret !== '') return secret;
  throw new Problem(
    'invalid_usage',
    `Cannot store the credential "${name}": nothing came in. Use --file, a pipe, or type it at the prompt`,
  );
}

function readFile(path: string): string {
  try {
    if (statSync(path).size > maxBytes) throw tooLarge(path);
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new Problem('file_unreadable', `Cannot read ${path} (${code}): check the path and its rights`, { cause });
  }
}

async function readPipe(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge('standard input');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const tooLarge = (where: string): Problem =>
  new Problem('invalid_usage', `Cannot use ${where}: it is larger than ${maxBytes} bytes, which no secret is`);

/** The terminal's echo goes nowhere. */
function ask(question: string): Promise<string | null> {
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
  return new Promise((resolve) => {
    let answer: string | null = null;
    lines.once('line', (line) => {
      answer = line;
      lines.close();
    });
    // Ctrl-C and Ctrl-D end it without an answer.
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => {
      process.stderr.write('\n');
      resolve(answer);
    });
  });
}
