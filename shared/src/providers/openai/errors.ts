/** The error table of OpenAI and of the servers that speak its format; one row per known signal, first match wins. */
import type { Failure } from '../../domain/failure.ts';
import { type ErrorResponse, failure } from '../dialect.ts';
import { classify, type ErrorRow, errorMessage, readErrorBody } from '../error-body.ts';
import { parseRetryAfter } from '../retry-after.ts';

export const errorRows: readonly ErrorRow[] = [
  // OpenRouter's `limit_source` says more than its `error_type`, so it comes first.
  { status: [402], detail: ['openrouter_in_flight_budget'], kind: 'rate_limit' },
  { status: [402], type: ['in_flight_budget_exhausted'], kind: 'rate_limit' },
  { status: [402], code: ['weight_exceeds_budget'], kind: 'exceeds_limit' },
  { status: [402], type: ['weight_exceeds_budget'], kind: 'exceeds_limit' },
  {
    status: [403],
    detail: ['openrouter_guardrail_budget', 'openrouter_workspace_budget', 'openrouter_key_limit'],
    kind: 'quota_period',
  },
  { status: [403], detail: ['input_flagged', 'guardrail_blocked'], kind: 'content_filter' },
  { code: ['context_length_exceeded', 'exceed_context_size_error', 'string_too_long'], kind: 'context_length' },
  {
    type: ['context_length_exceeded', 'exceed_context_size_error', 'max_tokens_exceeded', 'string_too_long'],
    kind: 'context_length',
  },
  {
    status: [400],
    text: /maximum context length|context length|input token count exceeds|prompt is too long/,
    kind: 'context_length',
  },
  {
    code: [
      'insufficient_quota',
      'credit_balance_exhausted',
      'organization_spend_limit_exceeded',
      'project_spend_limit_exceeded',
      'organization_usage_limit_exceeded',
    ],
    kind: 'billing',
  },
  { type: ['insufficient_quota', 'payment_required', 'token_limit_exceeded'], kind: 'billing' },
  { status: [403], text: /flagged|moderation|guardrail/, kind: 'content_filter' },
  { status: [403], code: ['unsupported_country_region_territory'], kind: 'region' },
  { status: [403], text: /country|region|territory/, kind: 'region' },
  {
    code: [
      'content_filter',
      'content_policy_violation',
      'invalid_prompt',
      'bio_policy',
      'misalignment_policy_violation',
    ],
    kind: 'content_filter',
  },
  { type: ['content_policy_violation', 'refusal'], kind: 'content_filter' },
  { code: ['invalid_api_key', 'invalid_authentication'], kind: 'auth' },
  { code: ['tool_use_failed', 'json_validate_failed'], kind: 'bad_output' },
  { code: ['capacity_exceeded'], kind: 'capacity_tier' },
  { code: ['model_loading'], kind: 'model_loading' },
  { type: ['model_loading'], kind: 'model_loading' },
  { status: [503], text: /loading model|model is loading/, kind: 'model_loading' },
  { status: [413], code: ['rate_limit_exceeded'], kind: 'exceeds_limit' },
  { status: [429], text: /request too large/, kind: 'exceeds_limit' },
  { status: [429], text: /per day|\((?:rpd|tpd)\)|requests per day|tokens per day/, kind: 'quota_period' },
  { status: [429], code: ['3505'], kind: 'overloaded' },
  { status: [429], text: /service tier capacity/, kind: 'overloaded' },
  { status: [429], code: ['resource_unavailable'], kind: 'capacity_tier' },
  { status: [429], text: /resource unavailable/, kind: 'capacity_tier' },
  { code: ['unsupported_parameter', 'unsupported_value', 'not_supported_error'], kind: 'unsupported_feature' },
  { type: ['not_supported_error'], kind: 'unsupported_feature' },
  {
    status: [400],
    text: /does not support|not supported with this model|use \/v1\/responses/,
    kind: 'unsupported_feature',
  },
  { code: ['failed_to_download_image'], kind: 'unsupported_feature' },
  { status: [400], text: /failed to download|failed_to_download/, kind: 'unsupported_feature' },
  { status: [417], kind: 'server_error' },
  { type: ['server', 'unmapped'], kind: 'server_error' },
  { type: ['invalid_request', 'invalid_prompt', 'unprocessable', 'precondition_failed'], kind: 'invalid_request' },
];

export function readError({ status, headers, body }: ErrorResponse, nowMs: number): Failure {
  const parsed = readErrorBody(body);
  const kind = isHtml(headers, body) && status === 404 ? 'config' : classify(status, parsed, errorRows);
  return failure(kind, errorMessage(status, parsed), {
    httpStatus: status,
    retryAfterMs: parseRetryAfter(headers, body, nowMs),
  });
}

/** An HTML page is a proxy or a wrong address, not a model that does not exist. */
export const isHtml = (headers: Readonly<Record<string, string>>, body: string): boolean =>
  (headers['content-type'] ?? '').includes('text/html') || /^\s*<(?:!doctype|html)/i.test(body.slice(0, 200));
