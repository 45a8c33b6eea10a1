/** Errors on the way out: always JSON, one shape, never a stack, never a secret. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { Fault } from '@waybill/shared/domain/strict-object.ts';
import { isUnanswered } from '@waybill/shared/store/faults.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import type { ErrorRequestHandler, Response } from 'express';

export function problemJson(problem: Problem, requestId: string) {
  return {
    error: {
      message: problem.message,
      type: problem.type,
      param: problem.param,
      code: problem.code,
      request_id: requestId,
    },
  };
}

/** The first fault, with its path; a count of the others. */
export function problemOf(faults: readonly Fault[], action: string): Problem {
  const [first, ...others] = faults;
  if (!first) return new Problem('internal_error', `Cannot ${action}`);
  const more =
    others.length === 0
      ? ''
      : ` (and ${others.length} more fault${others.length === 1 ? '' : 's'}: ${others
          .slice(0, 5)
          .map((fault) => fault.path || 'the top level')
          .join(', ')})`;
  return new Problem(
    first.code,
    `Cannot ${action}: ${first.path === '' ? '' : `${first.path}: `}${first.message}${more}`,
    { param: first.path || null },
  );
}

export function sendProblem(response: Response, problem: Problem): void {
  if (response.headersSent) return void response.destroy();
  if (problem.retryAfterSeconds !== null) response.set('retry-after', String(problem.retryAfterSeconds));
  if (problem.status === 401) response.set('www-authenticate', 'Bearer');
  if (problem.code === 'payload_too_large') response.set('connection', 'close');
  response.status(problem.status).json(problemJson(problem, response.locals.requestId as string));
}

export function errorHandler(logger: Logger): ErrorRequestHandler {
  // Four parameters: Express knows an error handler by their number.
  return (error: unknown, request, response, _next) => {
    const problem = toProblem(error);
    if (problem.status >= 500)
      logger.error(
        { err: error, method: request.method, path: request.path, request_id: response.locals.requestId },
        'a request failed',
      );
    sendProblem(response, problem);
  };
}

/** Database trouble is told as such; a path that cannot be decoded is the caller's; the rest is ours. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof URIError)
    return new Problem('invalid_path', 'Cannot read the path: it is not valid percent-encoding', { cause: error });
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === '53100' || code === 'ENOSPC')
    return new Problem('storage_unavailable', 'Cannot store anything: the disk is full. Nothing was written', {
      cause: error,
      retryAfterSeconds: 30,
    });
  if (isUnanswered(error))
    return new Problem('storage_unavailable', 'Cannot reach the database. Nothing was written', {
      cause: error,
      retryAfterSeconds: 5,
    });
  return new Problem('internal_error', 'Cannot answer: a fault of this server. Its log has the request id', {
    cause: error,
  });
}
