/**
 * Cohere's error table. Its errors are a status and a text, with no code, so that texts decide where a status has
 * several meanings.
 *
 * A trial key has a number of calls per month, over all models; the newest models have one of their own.
 */
import type { Failure } from '../../domain/failure.ts';
import type { ErrorResponse } from '../dialect.ts';
import { type ErrorRow, errorReader, insideReader } from '../error-body.ts';

export const errorRows: readonly ErrorRow[] = [
  // 500 stands for an error inside an answer.
  { status: [400, 413, 422, 500], text: /too many tokens/, kind: 'context_length' },
  { status: [429], text: /trial.{0,80}month/, kind: 'quota_period', scope: 'account' },
  { status: [429], text: /\bmonth/, kind: 'quota_period' },
  { status: [400], text: /not supported|does not support|cannot specify both/, kind: 'unsupported_feature' },
  // No model is missing here: the address is wrong.
  { status: [404], text: /404 page not found/, kind: 'config' },
  { status: [403], kind: 'permission', scope: 'credential' },
  // A text with a forbidden token.
  { status: [498], kind: 'content_filter' },
];

const readByTable = errorReader(errorRows);
const readInside = insideReader(errorRows, ({ text }) =>
  /rate limit|too many requests|request limit|limited to \d/.test(text) ? 429 : 500,
);

export const readError = (response: ErrorResponse, nowMs: number): Failure =>
  withWholeMonth(readByTable(response, nowMs), nowMs);

/** An error inside an answer is a text, and its status is not known. */
export const failureInAnswer = (message: string, nowMs: number): Failure =>
  withWholeMonth(readInside({ message }, nowMs), nowMs);

function withWholeMonth(found: Failure, nowMs: number): Failure {
  if (found.kind !== 'quota_period') return found;
  // A shorter wait named beside it is that of the limit per minute.
  return { ...found, retryAfterMs: Math.max(found.retryAfterMs ?? 0, untilNextMonthMs(nowMs)) };
}

const longestMs = 24 * 86_400_000;

/** Quotas begin anew with the month, in UTC. Never longer than any other wait may be: then it is asked again. */
function untilNextMonthMs(nowMs: number): number {
  const now = new Date(nowMs);
  return Math.min(longestMs, Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1) - nowMs);
}
