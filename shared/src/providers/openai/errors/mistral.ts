/**
 * Errors of Mistral.
 * @see https://docs.mistral.ai/api
 */
import type { ErrorRow } from '../../error-body.ts';

export const mistralRows: readonly ErrorRow[] = [
  { status: [429], code: ['3505'], kind: 'overloaded' },
  { status: [429], text: /service tier capacity/, kind: 'overloaded' },
  { status: [429], code: ['1300'], kind: 'rate_limit' },
  { status: [429], type: ['rate_limited'], kind: 'rate_limit' },
  // A field it does not know is a fault of our translation: every call would meet it.
  { status: [422], text: /extra_forbidden/, kind: 'config' },
];
