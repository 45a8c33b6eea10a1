/**
 * What a provider's headers say is left of its limits.
 *
 * `x-ratelimit-{limit,remaining,reset}-{requests,tokens,…}` (OpenAI, Azure, Groq) and
 * `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}` (Anthropic).
 */
import { parseReset } from './retry-after.ts';

export interface LimitLeft {
  readonly unit: 'requests' | 'tokens';
  readonly limit: number;
  readonly remaining: number;
  /** null: not said. */
  readonly resetMs: number | null;
}

const forms = [
  /^x-ratelimit-remaining-(?<dimension>[a-z-]+)$/,
  /^anthropic-(?:ratelimit|priority)-(?<dimension>[a-z-]+)-remaining$/,
];

export function readLimitsLeft(headers: Readonly<Record<string, string>>, nowMs: number): LimitLeft[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    const dimension = forms.map((form) => form.exec(name)?.groups?.dimension).find((each) => each !== undefined);
    if (dimension === undefined) return [];
    const limit = count(headers[name.replace('remaining', 'limit')]);
    const remaining = count(value);
    if (limit === null || remaining === null || limit === 0) return [];
    return [
      {
        unit: dimension.includes('request') ? ('requests' as const) : ('tokens' as const),
        limit,
        remaining,
        resetMs: parseReset(headers[name.replace('remaining', 'reset')] ?? '', nowMs),
      },
    ];
  });
}

const count = (value: string | undefined): number | null =>
  value !== undefined && /^\d{1,15}$/.test(value.trim()) ? Number(value) : null;
