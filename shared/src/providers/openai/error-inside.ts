/** Errors inside an answer of status 200: in the body, in a choice, or in an event of a stream. */
import { failure } from '../dialect.ts';
import { type ErrorBody, insideReader } from '../error-body.ts';
import { errorRows } from './errors.ts';

/** A finish reason of its own at some servers, with nothing said about the cause. */
export const failedAnswer = failure('server_error', 'the provider ended its answer with an error', { httpStatus: 200 });

const limitCodes = ['rate_limit_exceeded', 'insufficient_quota', 'slow_down'];

/** The status it would have had outside of an answer: some send it as the code, of others the code tells. */
function statusOf({ code, type }: ErrorBody): number {
  const status = Number(code);
  if (Number.isInteger(status) && status >= 400 && status < 600) return status;
  if (limitCodes.includes(code) || limitCodes.includes(type)) return 429;
  const isRequest =
    type === 'invalid_request_error' || type === 'badrequesterror' || /^invalid_|^unsupported_|image/.test(code);
  return isRequest ? 400 : 500;
}

/** What holds the error as `error`, or is one itself. */
export const failureInAnswer = insideReader(errorRows, statusOf);
