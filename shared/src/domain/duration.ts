/**
 * Durations as people write them (`30s`, `5m`, `24h`), as milliseconds inside.
 *
 * Bounded to 24 days: Node's timers overflow at 2^31 ms (24.8 days) and then fire at once, which would turn a
 * typing error into a timeout of every call.
 */
import { z } from 'zod';

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
export const maxDurationMs = 24 * unitMs.d;

/** Milliseconds, or null when the text is not a duration. Bounds are checked by the schema. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text);
  if (!match?.[1] || !match[2]) return null;
  return Math.round(Number(match[1]) * unitMs[match[2] as keyof typeof unitMs]);
}

/** The shortest exact spelling: 90000 -> `90s`, 120000 -> `2m`. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms >= unitMs[unit] && ms % unitMs[unit] === 0) return `${ms / unitMs[unit]}${unit}`;
  }
  return `${ms}ms`;
}

/** A schema for a duration string between two bounds; its output is milliseconds. */
export function durationSchema(bounds: { min?: number; max?: number } = {}) {
  const min = bounds.min ?? 1;
  const max = Math.min(bounds.max ?? maxDurationMs, maxDurationMs);
  return z.string().transform((text, context) => {
    const ms = parseDuration(text);
    if (ms === null) {
      context.addIssue({
        code: 'custom',
        message: `expected a duration with a unit, such as "30s", "5m" or "24h", received ${JSON.stringify(text.slice(0, 40))}`,
        params: { code: 'invalid_type' },
      });
      return z.NEVER;
    }
    if (ms < min || ms > max) {
      context.addIssue({
        code: 'custom',
        message: `expected a duration from ${formatDuration(min)} to ${formatDuration(max)}, received ${text}`,
        params: { code: 'out_of_range' },
      });
      return z.NEVER;
    }
    return ms;
  });
}
