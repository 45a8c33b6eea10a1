/**
 * Errors of OpenRouter: the code is the status, and `metadata.error_type` says the rest.
 * @see https://openrouter.ai/docs/api-reference/errors
 */
import type { ErrorRow } from '../../error-body.ts';

export const openrouterRows: readonly ErrorRow[] = [
  // `limit_source` says more than `error_type`, so it comes first.
  { status: [402], detail: ['openrouter_in_flight_budget'], kind: 'rate_limit' },
  { status: [402], type: ['in_flight_budget_exhausted'], kind: 'rate_limit' },
  { status: [402], code: ['weight_exceeds_budget'], kind: 'exceeds_limit' },
  { status: [402], type: ['weight_exceeds_budget'], kind: 'exceeds_limit' },
  {
    status: [403],
    detail: ['openrouter_key_limit', 'openrouter_guardrail_budget'],
    kind: 'quota_period',
    scope: 'credential',
  },
  { status: [403], detail: ['openrouter_workspace_budget'], kind: 'quota_period', scope: 'account' },
  { status: [403], detail: ['input_flagged', 'guardrail_blocked'], kind: 'content_filter' },
  { status: [403], text: /flagged|moderation|guardrail/, kind: 'content_filter' },
  { type: ['content_policy_violation', 'refusal'], kind: 'content_filter' },
  { code: ['string_too_long'], kind: 'context_length' },
  { type: ['context_length_exceeded', 'max_tokens_exceeded', 'string_too_long'], kind: 'context_length' },
  { type: ['payment_required', 'token_limit_exceeded'], kind: 'billing', scope: 'account' },
  { status: [403], type: ['permission_denied'], text: /country|region|territory/, kind: 'region' },
  { type: ['authentication'], kind: 'auth' },
  { type: ['permission_denied'], kind: 'permission' },
  { type: ['provider_overloaded'], kind: 'overloaded' },
  { type: ['provider_unavailable', 'server', 'unmapped'], kind: 'server_error' },
  { type: ['timeout'], kind: 'timeout' },
  { type: ['not_found'], kind: 'model_not_found' },
  { type: ['invalid_request', 'invalid_prompt', 'unprocessable', 'precondition_failed'], kind: 'invalid_request' },
];
