/**
 * Output: results on standard output, everything else on standard error.
 *
 * Text from models and users is shown with control characters escaped: a model may answer with terminal codes.
 */
import { ApiError } from '@waybill/producer/client/client.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';

export const print = (text: string): void => void process.stdout.write(`${text}\n`);
export const say = (text: string): void => void process.stderr.write(`${text}\n`);
export const printJson = (value: unknown): void =>
  print(JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `${item}` : item)));

/** `head` closes the pipe early: that ends the output, not the program, and is no error. */
export function ignoreClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
}

/** Escapes everything a terminal would act on, and marks that reorder text; line breaks and tabs stay. */
export function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, (char) =>
    char === '\n' || char === '\t' ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

export interface ErrorJson {
  readonly error: {
    readonly message: string;
    readonly code: string;
    readonly param: string | null;
    readonly request_id: string | null;
  };
}

export function errorJson(error: unknown): ErrorJson {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Problem) return { error: { message, code: error.code, param: error.param, request_id: null } };
  if (error instanceof ApiError)
    return { error: { message, code: error.code, param: error.param, request_id: error.requestId } };
  return {
    error: {
      message,
      code: error instanceof Error && error.name === 'UnreachableError' ? 'server_unreachable' : 'internal_error',
      param: null,
      request_id: null,
    },
  };
}

/** Columns padded to their widest cell; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => String(row[column] ?? '').length)),
  );
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, column) =>
        typeof cell === 'number' ? String(cell).padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [line(head), ...rows.map(line)].join('\n');
}
