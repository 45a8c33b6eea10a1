/**
 * How long an account is left alone after an answer, by what its headers say is left. Pure.
 *
 * Nothing left: until the reset. Less than a twentieth left: just so long that what is left lasts until then, so that
 * the last requests of a window are spread instead of being refused.
 */
import type { LimitLeft } from '../providers/rate-limit-headers.ts';

const scarce = 0.05;
const unknownResetMs = 1_000;
const longestSpreadMs = 60_000;

/** @param tokens what one call uses of a limit of tokens */
export function restAfter(limits: readonly LimitLeft[], tokens: number): number {
  return Math.ceil(Math.max(0, ...limits.map((left) => restOf(left, tokens))));
}

function restOf({ unit, limit, remaining, resetMs }: LimitLeft, tokens: number): number {
  if (remaining === 0) return resetMs ?? unknownResetMs;
  if (resetMs === null || remaining / limit >= scarce) return 0;
  const calls = unit === 'requests' ? remaining : remaining / Math.max(1, tokens);
  return Math.min(longestSpreadMs, resetMs, resetMs / Math.max(1, calls));
}
