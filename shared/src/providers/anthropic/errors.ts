/**
 * Anthropic's error table. Structured codes come before texts, which the vendor declares unstable.
 *
 * A spend limit and a hold are the organisation's: its other keys would be refused alike.
 */
import { type ErrorRow, errorReader, insideReader } from '../error-body.ts';

const errorRows: readonly ErrorRow[] = [
  { detail: ['enforced_spend_limit_reached', 'contract_spend_limit_reached'], kind: 'billing', scope: 'account' },
  { detail: ['organization_on_hold'], kind: 'auth', scope: 'account' },
  { detail: ['cmek_key_disabled'], kind: 'auth' },
  { status: [400], detailPrefix: 'claude_code_', kind: 'auth' },
  { detailPrefix: 'linked_organization_', kind: 'billing', scope: 'account' },
  { detail: ['cmek_key_unreachable', 'cmek_context_unavailable'], kind: 'server_error' },
  { detail: ['request_body_too_large_after_decoding'], kind: 'too_large' },
  { detail: ['ramp_limit_exceeded'], kind: 'rate_limit' },
  { type: ['ramp_limit_exceeded'], kind: 'rate_limit' },
  // The bound on the answer is above what this model can write; another may.
  { status: [400], text: /maximum allowed number of output tokens/, kind: 'unsupported_feature' },
  { status: [400], text: /prompt is too long|exceed.{0,40}context|maximum number of tokens/, kind: 'context_length' },
  { status: [400], text: /spend limit|credit balance is too low|usage limit/, kind: 'billing', scope: 'account' },
  { type: ['billing_error'], kind: 'billing', scope: 'account' },
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

export const readError = errorReader(errorRows);

/** The status a type comes with outside of a stream. */
const statusOf: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  conflict_error: 409,
  request_too_large: 413,
  rate_limit_error: 429,
  ramp_limit_exceeded: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

/** Errors also come inside HTTP 200, as `event: error`: the type then stands for the status. */
export const failureInAnswer = insideReader(errorRows, ({ type }) => statusOf[type] ?? 500);
