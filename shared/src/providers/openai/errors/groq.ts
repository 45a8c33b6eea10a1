/**
 * Errors of Groq.
 * @see https://console.groq.com/docs/errors
 */
import type { ErrorRow } from '../../error-body.ts';

export const groqRows: readonly ErrorRow[] = [
  { code: ['tool_use_failed', 'json_validate_failed'], kind: 'bad_output' },
  { code: ['capacity_exceeded'], kind: 'capacity_tier' },
  { status: [413], code: ['rate_limit_exceeded'], kind: 'exceeds_limit' },
  { status: [429], text: /per day|\((?:rpd|tpd)\)/, kind: 'quota_period' },
];
