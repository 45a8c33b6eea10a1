/** What went wrong with a statement, by SQLSTATE where the server said one, else by the driver's words. */
import type { Again } from './collect-tick.ts';

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

/** The server does not answer, or is gone, or took too long. */
export function isUnanswered(error: unknown): boolean {
  const code = codeOf(error);
  return (
    /^(?:08|57P|57014|53300)/.test(code) ||
    /^(?:ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE)$/.test(code) ||
    (error instanceof Error &&
      /^(?:Query read timeout|timeout exceeded when trying to connect|Connection terminated)/.test(error.message))
  );
}

/** How a statement for many is tried again: others were in its way, the server is not well, or one of its values is at fault. */
export function againAfter(error: unknown): Again {
  if (/^(?:40|55P03|57014)/.test(codeOf(error))) return 'halves';
  return isUnanswered(error) || /^53/.test(codeOf(error)) ? 'none' : 'each';
}

/** SQLSTATE classes 22 (data) and 23 (constraint), or a value that our own code could not even write. */
export const isDataFault = (error: unknown): boolean =>
  error instanceof TypeError ||
  error instanceof RangeError ||
  (error instanceof Error && (error.name === 'ZodError' || /^2[23]/.test(codeOf(error))));
