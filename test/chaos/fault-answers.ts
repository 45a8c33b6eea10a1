/** What the fake answers for each kind of failure: as OpenAI-compatible servers say it. */
import type { FaultName } from './behaviour.ts';

export interface FaultAnswer {
  readonly status: number;
  readonly error: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

const said = (status: number, message: string, more: Readonly<Record<string, string>> = {}): FaultAnswer => ({
  status,
  error: { message, type: 'chaos', ...more },
});

/** Those that are an answer with an error; the others are played. */
export const faultAnswers: Readonly<Partial<Record<FaultName, FaultAnswer>>> = {
  rate_limit: { ...said(429, 'too many requests'), headers: { 'retry-after': '1' } },
  exceeds_limit: said(429, 'Request too large for m on tokens per min (TPM)'),
  overloaded: said(503, 'overloaded'),
  capacity_tier: said(429, 'no capacity', { code: 'resource_unavailable' }),
  server_error: said(500, 'internal error'),
  model_loading: said(503, 'loading', { code: 'model_loading' }),
  context_length: said(400, 'too long', { code: 'context_length_exceeded' }),
  too_large: said(413, 'too large'),
  unsupported_feature: said(400, 'not supported', { code: 'unsupported_parameter' }),
  unknown: said(418, 'who knows'),
};
