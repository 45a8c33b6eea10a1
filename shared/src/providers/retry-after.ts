/**
 * When a provider says to come back.
 *
 * Headers first (`retry-after-ms`, `retry-after` as seconds or date), then the body, then the reset header of the
 * dimension that is used up. Zero, negative, past and absurd values are ignored: they are seen in the wild, and
 * obeying them means a tight loop or a timer that overflows.
 */
const maxMs = 24 * 86_400_000;

export function parseRetryAfter(headers: Readonly<Record<string, string>>, body: string, nowMs: number): number | null {
  return (
    usable(Number(headers['retry-after-ms'] ?? Number.NaN)) ??
    fromHeader(headers['retry-after'], nowMs) ??
    fromBody(body, nowMs) ??
    fromResets(headers, nowMs)
  );
}

const usable = (ms: number): number | null => (Number.isFinite(ms) && ms > 0 && ms <= maxMs ? Math.ceil(ms) : null);

function fromHeader(value: string | undefined, nowMs: number): number | null {
  if (value === undefined || value.trim() === '') return null;
  const seconds = Number(value);
  if (!Number.isNaN(seconds)) return usable(seconds * 1_000);
  return usable(Date.parse(value) - nowMs);
}

function fromBody(body: string, nowMs: number): number | null {
  const text = body.slice(0, 8_192);
  const delay =
    /"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"/.exec(text)?.[1] ?? /"retry_after"\s*:\s*"?(\d+(?:\.\d+)?)/.exec(text)?.[1];
  if (delay !== undefined) return usable(Number(delay) * 1_000);
  const resetsAt = /"resets_at"\s*:\s*"?(\d[^",}\s]{0,39})/.exec(text)?.[1];
  if (resetsAt !== undefined) return parseReset(resetsAt, nowMs);
  const duration = phrase.exec(text)?.[1];
  return duration === undefined ? null : parseReset(shortUnits(duration), nowMs);
}

const textUnit = 'ms|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?';
/** `try again in 14m24s`, `retry in 20 seconds`, `retry after 12 seconds`. */
const phrase = new RegExp(
  `(?:try again|retry) (?:in|after) ((?:\\d+(?:\\.\\d+)?\\s?(?:${textUnit})(?![a-z])\\s?)+)`,
  'i',
);

/** `1 minute 30 seconds` -> `1m30s`. */
const shortUnits = (duration: string): string =>
  duration
    .toLowerCase()
    .replaceAll(/\s/g, '')
    .replaceAll(/([dhms])(?:ay|our|in|ec)[a-z]*/g, '$1');

/** The later reset of the dimensions with nothing remaining. */
function fromResets(headers: Readonly<Record<string, string>>, nowMs: number): number | null {
  const waits = Object.entries(headers).flatMap(([name, value]) => {
    const isRemaining = name.includes('ratelimit') && name.includes('remaining');
    if (!isRemaining || Number(value) !== 0) return [];
    const wait = parseReset(headers[name.replace('remaining', 'reset')] ?? '', nowMs);
    return wait === null ? [] : [wait];
  });
  return waits.length === 0 ? null : Math.max(...waits);
}

const unitMs = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  ns: 0.000_001,
} as const;

/** A reset is a Go duration (`1m2.5s`), an RFC 3339 time, epoch milliseconds or seconds, or plain seconds. */
export function parseReset(value: string, nowMs: number): number | null {
  const text = value.trim();
  if (/^(?:\d+(?:\.\d+)?(?:ms|us|µs|ns|d|h|m|s))+$/.test(text)) {
    let total = 0;
    for (const [part] of text.matchAll(/\d+(?:\.\d+)?(?:ms|us|µs|ns|d|h|m|s)/g))
      total += Number.parseFloat(part) * unitMs[part.replace(/^[\d.]+/, '') as keyof typeof unitMs];
    return usable(total);
  }
  if (/[T-]/.test(text)) return usable(Date.parse(text) - nowMs);
  const number = text === '' ? Number.NaN : Number(text);
  if (number > 1e12) return usable(number - nowMs);
  if (number > 1e9) return usable(number * 1_000 - nowMs);
  return usable(number * 1_000);
}
