/**
 * The fields of a provider's error that classification reads, whatever shape the body has.
 *
 * Only these short, structured fields leave this file: error texts echo prompts and keys, so a stored message is
 * made from our own words, the status and the code.
 */
import type { Failure, FailureKind, PauseScope } from '../domain/failure.ts';
import { type ErrorResponse, failure } from './dialect.ts';
import { parseRetryAfter } from './retry-after.ts';

export interface ErrorBody {
  /** `error.code`, `error.type`, and what is said inside of the error, in lower case; empty when absent. */
  readonly code: string;
  readonly type: string;
  readonly detail: string;
  readonly param: string;
  /** For matching only, never stored. */
  readonly text: string;
}

export function readErrorBody(body: string): ErrorBody {
  const empty: ErrorBody = { code: '', type: '', detail: '', param: '', text: body.slice(0, 8_192).toLowerCase() };
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return empty;
  }
  const root = record(Array.isArray(parsed) ? parsed[0] : parsed);
  const error = typeof root.error === 'string' ? { message: root.error } : record(root.error ?? root);
  const metadata = record(error.metadata);
  const text = [error.message, root.message, root.detail]
    .map((part) => (typeof part === 'string' ? part : JSON.stringify(part ?? '')))
    .join(' ');
  return {
    code: word(error.code),
    type: word(error.type ?? metadata.error_type),
    detail: word(
      record(error.details).error_code ?? record(error.innererror).code ?? metadata.limit_source ?? blockOf(metadata),
    ),
    param: word(error.param),
    text: text.slice(0, 8_192).toLowerCase(),
  };
}

/** OpenRouter names no code for a blocked prompt: what it adds to the error tells which check blocked it. */
function blockOf(metadata: Record<string, unknown>): string | undefined {
  if (metadata.reasons !== undefined || metadata.flagged_input !== undefined) return 'input_flagged';
  return metadata.patterns === undefined ? undefined : 'guardrail_blocked';
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
const word = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value).toLowerCase().slice(0, 100) : '';

/** One row of a dialect's error table; the first that matches wins. An absent condition matches everything. */
export interface ErrorRow {
  readonly status?: readonly number[];
  readonly code?: readonly string[];
  readonly type?: readonly string[];
  readonly detail?: readonly string[];
  readonly detailPrefix?: string;
  /** Last resort: the provider declares its texts unstable. */
  readonly text?: RegExp;
  readonly kind: FailureKind;
  /** What it takes out, where it is more or less than its kind does. */
  readonly scope?: PauseScope;
}

/** What a response means: the kind, and what it takes out where the row says so. */
export type Meaning = Pick<ErrorRow, 'kind' | 'scope'>;

/** What a bare status means when nothing more specific matched. */
export const statusRows: readonly ErrorRow[] = [
  { status: [401], kind: 'auth' },
  { status: [402], kind: 'billing' },
  { status: [403], kind: 'permission' },
  { status: [404], kind: 'model_not_found' },
  { status: [408, 504, 524], kind: 'timeout' },
  { status: [409, 424, 425], kind: 'server_error' },
  { status: [413], kind: 'too_large' },
  { status: [400, 422], kind: 'invalid_request' },
  { status: [429], kind: 'rate_limit' },
  { status: [498], kind: 'capacity_tier' },
  { status: [499], kind: 'cancelled' },
  { status: [501], kind: 'unsupported_feature' },
  { status: [503, 529], kind: 'overloaded' },
  { status: [500, 502], kind: 'server_error' },
];

export function classify(status: number, body: ErrorBody, rows: readonly ErrorRow[]): Meaning {
  const found = [...rows, ...statusRows].find(
    (row) =>
      (!row.status || row.status.includes(status)) &&
      (!row.code || row.code.includes(body.code)) &&
      (!row.type || row.type.includes(body.type)) &&
      (!row.detail || row.detail.includes(body.detail)) &&
      (!row.detailPrefix || body.detail.startsWith(row.detailPrefix)) &&
      (!row.text || row.text.test(body.text)),
  );
  if (found) return found.scope === undefined ? { kind: found.kind } : { kind: found.kind, scope: found.scope };
  return { kind: status >= 500 ? 'server_error' : 'unknown' };
}

/** `HTTP 429 rate_limit_exceeded`: enough to act on, nothing of the caller's. */
export function errorMessage(status: number, body: ErrorBody): string {
  const code = [body.detail, body.code, body.type].find(
    (part) => /^[a-z0-9_.-]{1,64}$/.test(part) && part !== String(status),
  );
  return code === undefined ? `HTTP ${status}` : `HTTP ${status} ${code}`;
}

/** An HTML page is a proxy or a wrong address, not a model that does not exist. */
const isHtml = (headers: Readonly<Record<string, string>>, body: string): boolean =>
  (headers['content-type'] ?? '').includes('text/html') || /^\s*<(?:!doctype|html)/i.test(body.slice(0, 200));

/** A dialect's reader of errors: its own table, then what a bare status means. */
export const errorReader =
  (rows: readonly ErrorRow[]) =>
  ({ status, headers, body }: ErrorResponse, nowMs: number): Failure => {
    const parsed = readErrorBody(body);
    const { kind, ...scope } =
      isHtml(headers, body) && status === 404 ? { kind: 'config' as const } : classify(status, parsed, rows);
    return failure(kind, errorMessage(status, parsed), {
      httpStatus: status,
      retryAfterMs: parseRetryAfter(headers, body, nowMs),
      ...(headers['x-should-retry'] === 'false' ? { isFinalHere: true as const } : {}),
      ...scope,
    });
  };

/**
 * A dialect's reader of errors inside an answer of status 200, where nothing but the body speaks.
 * @param statusOf the status it would have had outside of one
 */
export const insideReader =
  (rows: readonly ErrorRow[], statusOf: (body: ErrorBody) => number) =>
  (root: unknown, nowMs: number): Failure => {
    const text = JSON.stringify(root);
    const body = readErrorBody(text);
    const status = statusOf(body);
    const { kind, ...scope } = classify(status, body, rows);
    return failure(kind, errorMessage(status, body), {
      httpStatus: 200,
      retryAfterMs: parseRetryAfter({}, text, nowMs),
      ...scope,
    });
  };
