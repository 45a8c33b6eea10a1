/** Ollama's error table: plain texts, so texts it must be. */
import type { Failure } from '../../domain/failure.ts';
import { type ErrorResponse, failure } from '../dialect.ts';
import { classify, type ErrorRow, errorMessage, readErrorBody } from '../error-body.ts';
import { parseRetryAfter } from '../retry-after.ts';

export const errorRows: readonly ErrorRow[] = [
  { text: /does not support (?:tools|thinking|chat)|missing capabilities/, kind: 'unsupported_feature' },
  { text: /context length|exceeds the available context/, kind: 'context_length' },
  { text: /model .{0,120}not found/, kind: 'model_not_found' },
  { text: /maximum pending requests exceeded|server busy/, kind: 'overloaded' },
  // Status 500 with `error loading model` is a runner that crashed: waiting does not mend it.
  { status: [503], text: /loading model/, kind: 'model_loading' },
];

export function readError({ status, headers, body }: ErrorResponse, nowMs: number): Failure {
  const parsed = readErrorBody(body);
  return failure(classify(status, parsed, errorRows), errorMessage(status, parsed), {
    httpStatus: status,
    retryAfterMs: parseRetryAfter(headers, body, nowMs),
  });
}
