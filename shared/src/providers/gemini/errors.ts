/**
 * Gemini's error table. A bad key is a 400 there, an empty prepaid balance a 402 or a 429, and one 429 may mean a
 * minute, a day or never: the quota it names tells which.
 *
 * In the rows `code` is `ErrorInfo.reason`, `type` the status in words, `detail` the worst quota that is used up.
 */
import type { Failure, FailureKind } from '../../domain/failure.ts';
import { type ErrorResponse, failure } from '../dialect.ts';
import { classify, type ErrorBody, type ErrorRow, errorMessage, errorReader } from '../error-body.ts';
import { parseRetryAfter } from '../retry-after.ts';
import { type GoogleError, readGoogleError, toGoogleError } from './error-details.ts';
import { nextPacificMidnightMs } from './pacific-midnight.ts';

export const errorRows: readonly ErrorRow[] = [
  { code: ['api_key_invalid', 'api_key_expired'], kind: 'auth' },
  { status: [400], text: /api key (?:not valid|expired)/, kind: 'auth' },
  { code: ['consumer_suspended', 'consumer_invalid'], kind: 'auth', scope: 'account' },
  { status: [403], text: /reported as leaked/, kind: 'auth' },
  { status: [402], kind: 'billing' },
  { code: ['billing_disabled'], kind: 'billing' },
  { code: ['service_disabled'], kind: 'permission', scope: 'account' },
  {
    code: ['api_key_service_blocked', 'api_key_ip_address_blocked', 'api_key_http_referrer_blocked'],
    kind: 'permission',
    scope: 'credential',
  },
  // Where the project has no billing, another project may; where we are, no project helps.
  { status: [400], type: ['failed_precondition'], text: /billing/, kind: 'region', scope: 'account' },
  { status: [400], type: ['failed_precondition'], kind: 'region' },
  {
    status: [400],
    text: /input token count.{0,40}exceeds|exceeds the maximum number of tokens/,
    kind: 'context_length',
  },
  { status: [400], text: /payload size exceeds/, kind: 'too_large' },
  {
    status: [400],
    text: /(?:is|are) not (?:enabled|supported|available)|is unsupported|does not support|cannot fetch content/,
    kind: 'unsupported_feature',
  },
  // A field of ours that this server, or this version of it, does not have: another target may do without.
  { status: [400], text: /unknown name .{0,80}cannot find field/, kind: 'unsupported_feature' },
  // Every 429 says "check your plan and billing details": only these words mean money.
  {
    status: [429],
    text: /spend(?:ing)? (?:cap|limit)|(?:prepa(?:id|y|yment)|credits?)\b.{0,60}(?:depleted|exhausted|empty|used up|ran out)/,
    kind: 'billing',
  },
  { status: [429], detail: ['limit_zero'], kind: 'permission', scope: 'account_model' },
  { status: [429], detail: ['project_per_day'], kind: 'quota_period', scope: 'account' },
  { status: [429], detail: ['per_day', 'per_period'], kind: 'quota_period' },
];

export function readError(response: ErrorResponse, nowMs: number): Failure {
  const { status, headers, body } = response;
  const error = readGoogleError(body);
  if (error === null) return readUnknownBody(response, nowMs);
  const found = toFailure(error, status, () => parseRetryAfter(headers, body, nowMs), nowMs);
  return { ...found, httpStatus: status };
}

const readUnknownBody = errorReader(errorRows);

/** An error in place of an answer, or in the middle of one: its body names the status it would have had. */
export function failureInAnswer(body: unknown, nowMs: number): Failure {
  const error = toGoogleError(body);
  const found = toFailure(
    error,
    error.httpStatus ?? 500,
    () => parseRetryAfter({}, JSON.stringify(body), nowMs),
    nowMs,
  );
  return { ...found, httpStatus: 200 };
}

function toFailure(error: GoogleError, status: number, delay: () => number | null, nowMs: number): Failure {
  const read = toErrorBody(error);
  const { kind, ...scope } = classify(status, read, errorRows);
  const untilMidnight = kind === 'quota_period' && read.detail.endsWith('per_day');
  const retryAfterMs = untilMidnight ? nextPacificMidnightMs(nowMs) - nowMs : delayOf(kind, delay);
  return failure(kind, errorMessage(status, read), { retryAfterMs, ...scope });
}

const toErrorBody = ({ reason, status, quota, text }: GoogleError): ErrorBody => ({
  code: reason,
  type: status,
  detail: quota,
  param: '',
  text,
});

/** `RetryInfo` comes with any 429 and says a few seconds, whatever is used up: elsewhere it would end a pause at once. */
const endsByItself: ReadonlySet<FailureKind> = new Set(['rate_limit', 'overloaded', 'server_error', 'timeout']);

const delayOf = (kind: FailureKind, read: () => number | null): number | null =>
  endsByItself.has(kind) ? read() : null;
