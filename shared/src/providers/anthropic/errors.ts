/** Anthropic's error table. Structured codes come before texts, which the vendor declares unstable. */
import type { Failure } from '../../domain/failure.ts';
import { type ErrorResponse, failure } from '../dialect.ts';
import { classify, type ErrorRow, errorMessage, readErrorBody } from '../error-body.ts';
import { parseRetryAfter } from '../retry-after.ts';

export const errorRows: readonly ErrorRow[] = [
  { detail: ['enforced_spend_limit_reached', 'contract_spend_limit_reached'], kind: 'billing' },
  { detail: ['organization_on_hold', 'cmek_key_disabled'], kind: 'auth' },
  { status: [400], detailPrefix: 'claude_code_', kind: 'auth' },
  { detail: ['cmek_key_unreachable', 'cmek_context_unavailable'], kind: 'server_error' },
  { type: ['ramp_limit_exceeded'], kind: 'rate_limit' },
  { status: [400], text: /prompt is too long|exceed.{0,40}context|maximum number of tokens/, kind: 'context_length' },
  { status: [400], text: /spend limit|credit balance is too low|usage limit/, kind: 'billing' },
  { type: ['billing_error'], kind: 'billing' },
  { type: ['authentication_error'], kind: 'auth' },
  { type: ['permission_error'], kind: 'permission' },
  { type: ['not_found_error'], kind: 'model_not_found' },
  { type: ['request_too_large'], kind: 'too_large' },
  { type: ['conflict_error'], kind: 'server_error' },
  { type: ['rate_limit_error'], kind: 'rate_limit' },
  { type: ['timeout_error'], kind: 'timeout' },
  { type: ['overloaded_error'], kind: 'overloaded' },
  { type: ['api_error'], kind: 'server_error' },
  {
    status: [400],
    text: /not supported|does not support|temperature|top_p|top_k|prefill|tool_choice|thinking/,
    kind: 'unsupported_feature',
  },
];

export function readError({ status, headers, body }: ErrorResponse, nowMs: number): Failure {
  const parsed = readErrorBody(body);
  return failure(classify(status, parsed, errorRows), errorMessage(status, parsed), {
    httpStatus: status,
    retryAfterMs: parseRetryAfter(headers, body, nowMs),
  });
}
