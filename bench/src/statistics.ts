/** Figures of a sample. Medians and ratios are what to quote: single times belong to a machine and a moment. */
export interface Figures {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly p99: number;
}

export function figuresOf(values: readonly number[]): Figures {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { min: at(0), median: at(0.5), p95: at(0.95), p99: at(0.99) };
}

export const show = (name: string, unit: string, { min, median, p95 }: Figures): string =>
  `${name.padEnd(44)} min ${min.toFixed(1)}  median ${median.toFixed(1)}  p95 ${p95.toFixed(1)} ${unit}`;
