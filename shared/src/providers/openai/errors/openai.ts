/**
 * Errors of OpenAI; Azure sends most of them too.
 * @see https://platform.openai.com/docs/guides/error-codes
 */
import type { ErrorRow } from '../../error-body.ts';

export const openaiRows: readonly ErrorRow[] = [
  { code: ['context_length_exceeded'], kind: 'context_length' },
  {
    status: [400],
    text: /maximum context length|context length|input token count exceeds|prompt is too long/,
    kind: 'context_length',
  },
  // A key belongs to a project: other projects of the organisation go on.
  { code: ['project_spend_limit_exceeded'], kind: 'billing', scope: 'credential' },
  {
    code: [
      'insufficient_quota',
      'credit_balance_exhausted',
      'organization_spend_limit_exceeded',
      'organization_usage_limit_exceeded',
    ],
    kind: 'billing',
    scope: 'account',
  },
  { type: ['insufficient_quota'], kind: 'billing', scope: 'account' },
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
  { code: ['invalid_api_key', 'invalid_authentication'], kind: 'auth' },
  // The same words for a model that is not there and for one that the project was not granted: another may have it.
  {
    status: [404],
    code: ['model_not_found'],
    text: /have access/,
    kind: 'model_not_found',
    scope: 'credential_model',
  },
  { status: [429], text: /request too large/, kind: 'exceeds_limit' },
  { status: [429], code: ['resource_unavailable'], kind: 'capacity_tier' },
  { status: [429], text: /resource unavailable/, kind: 'capacity_tier' },
  { code: ['unsupported_parameter', 'unsupported_value'], kind: 'unsupported_feature' },
  {
    status: [400],
    text: /does not support|not supported with this model|use \/v1\/responses/,
    kind: 'unsupported_feature',
  },
  // Another provider may be able to fetch it.
  { code: ['failed_to_download_image'], kind: 'unsupported_feature' },
  { status: [400], text: /failed to download|failed_to_download/, kind: 'unsupported_feature' },
];
