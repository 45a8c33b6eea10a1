/** What many jobs would cost together, without keeping them. */
import type { JobEstimateJson } from '@waybill/producer/estimate-json.ts';
import { formatUsd, parseUsd } from '@waybill/shared/domain/money.ts';
import { table, visible } from '../output.ts';

export interface EstimateSumJson {
  readonly object: 'job_estimate_sum';
  readonly jobs: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  /** Of those whose cost is known, each called once, at the target where it begins. */
  readonly expected_cost_usd: string;
  readonly largest_cost_usd: string;
  readonly expected_unknown: number;
  readonly largest_unknown: number;
  /** Jobs by the target where they would begin. */
  readonly targets: Readonly<Record<string, number>>;
  /** Jobs that no target can ever serve. */
  readonly unservable: number;
  /** How many jobs each warning is about. */
  readonly warnings: Readonly<Record<string, number>>;
}

const mostWarnings = 50;

export function createEstimateSum(): { add(estimate: JobEstimateJson): void; sum(): EstimateSumJson } {
  const counts = { jobs: 0, input: 0, output: 0, expectedUnknown: 0, largestUnknown: 0, unservable: 0 };
  const nano = { expected: 0n, largest: 0n };
  const targets = new Map<string, number>();
  const warnings = new Map<string, number>();
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  return {
    add(estimate) {
      counts.jobs += 1;
      counts.input += estimate.input_tokens;
      counts.output += estimate.output_tokens;
      for (const warning of estimate.warnings)
        if (warnings.has(warning) || warnings.size < mostWarnings) count(warnings, warning);
      const first = estimate.targets.find((each) => each.is_first);
      if (!first) {
        counts.unservable += 1;
        return;
      }
      count(targets, first.target);
      const expected = parseUsd(first.expected_cost_usd ?? '');
      const largest = parseUsd(first.largest_cost_usd ?? '');
      if (expected === null) counts.expectedUnknown += 1;
      if (largest === null) counts.largestUnknown += 1;
      nano.expected += expected ?? 0n;
      nano.largest += largest ?? 0n;
    },
    sum: () => ({
      object: 'job_estimate_sum',
      jobs: counts.jobs,
      input_tokens: counts.input,
      output_tokens: counts.output,
      expected_cost_usd: formatUsd(nano.expected),
      largest_cost_usd: formatUsd(nano.largest),
      expected_unknown: counts.expectedUnknown,
      largest_unknown: counts.largestUnknown,
      targets: Object.fromEntries(targets),
      unservable: counts.unservable,
      warnings: Object.fromEntries(warnings),
    }),
  };
}

export function estimateSumText(sum: EstimateSumJson): string {
  const unknown = (jobs: number) => (jobs === 0 ? '' : ` + ${jobs} job(s) of unknown cost`);
  const rows = Object.entries(sum.targets).map(([target, jobs]) => [visible(target), jobs]);
  if (sum.unservable > 0) rows.push(['nobody', sum.unservable]);
  const sections = [
    [
      `${sum.jobs} jobs, about ${sum.input_tokens} tokens in and ${sum.output_tokens} out`,
      `expected  $${sum.expected_cost_usd}${unknown(sum.expected_unknown)}`,
      `at most   $${sum.largest_cost_usd}${unknown(sum.largest_unknown)}, where each is called once`,
    ].join('\n'),
    table(['first to', 'jobs'], rows),
  ];
  const warnings = Object.entries(sum.warnings).map(([warning, jobs]) => `! ${jobs}: ${visible(warning)}`);
  return [...sections, ...(warnings.length === 0 ? [] : [warnings.join('\n')])].join('\n\n');
}
