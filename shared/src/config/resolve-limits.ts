/** Rates of a provider or a model, as the file names them. */
import type { ProviderFile } from './schema.ts';
import type { RateLimits } from './settings.ts';

export const noRateLimits: RateLimits = {
  requestsPerMinute: null,
  requestsPerDay: null,
  tokensPerMinute: null,
  tokensPerDay: null,
  inputTokensPerMinute: null,
  outputTokensPerMinute: null,
};

type LimitsFile = NonNullable<ProviderFile['limits']>;
const names = {
  rpm: 'requestsPerMinute',
  rpd: 'requestsPerDay',
  tpm: 'tokensPerMinute',
  tpd: 'tokensPerDay',
  input_tpm: 'inputTokensPerMinute',
  output_tpm: 'outputTokensPerMinute',
} as const satisfies Partial<Record<keyof LimitsFile, keyof RateLimits>>;

/** Only those that are named: a `null` takes a limit away. */
export function resolveLimits(file: LimitsFile | undefined): Partial<RateLimits> {
  const named = Object.entries(names).flatMap(([name, to]) => {
    const value = file?.[name as keyof typeof names];
    return value === undefined ? [] : [[to, value] as const];
  });
  return Object.fromEntries(named);
}
