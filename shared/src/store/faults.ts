/** What went wrong with a statement, by SQLSTATE where the server said one, else by the driver's words. */

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

/** No value that was sent is at fault: others were in the way, or the server is not well. */
export const isOfServer = (error: unknown): boolean => isUnanswered(error) || /^(?:40|53|55P03)/.test(codeOf(error));

/** SQLSTATE classes 22 (data) and 23 (constraint), or a value that our own code could not even write. */
export const isDataFault = (error: unknown): boolean =>
  error instanceof TypeError ||
  error instanceof RangeError ||
  (error instanceof Error && (error.name === 'ZodError' || /^2[23]/.test(codeOf(error))));
