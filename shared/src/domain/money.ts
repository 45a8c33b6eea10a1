/**
 * Money is an integer number of nano-USD inside, a decimal string at the edge.
 *
 * Micro-USD would be too coarse: five embedding tokens at $0.02 per million cost 100 nano-USD. Unknown money is
 * `null`, never zero.
 */
export type NanoUsd = bigint;

const nanoPerUsd = 1_000_000_000n;

/** `123000n` -> `"0.000123"`; at least two decimals, no trailing zeros beyond them. */
export function formatUsd(nano: NanoUsd): string {
  const sign = nano < 0n ? '-' : '';
  const absolute = nano < 0n ? -nano : nano;
  const fraction = (absolute % nanoPerUsd)
    .toString()
    .padStart(9, '0')
    .replace(/0{1,7}$/, '');
  return `${sign}${absolute / nanoPerUsd}.${fraction}`;
}

/** Parses a decimal string of at most nine decimals; null when it is not one. */
export function parseUsd(text: string): NanoUsd | null {
  const match = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text);
  if (!match?.[1]) return null;
  return BigInt(match[1]) * nanoPerUsd + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** Rounds a price computed in floating point once, half up, to nano-USD. */
export function nanoFromUsdNumber(usd: number): NanoUsd {
  return BigInt(Math.round(usd * 1e9));
}
