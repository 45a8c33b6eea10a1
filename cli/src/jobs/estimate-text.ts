/** An estimate for a reader. */
import type { BudgetJson, JobEstimateJson } from '@waybill/producer/estimate-json.ts';
import { table, visible } from '../output.ts';

export function estimateText(estimate: JobEstimateJson): string {
  const { target, targets, waits, budgets, warnings } = estimate;
  const first = targets.find((each) => each.is_first);
  const output = `${estimate.output_tokens} out${estimate.output_bound === null ? ' (assumed)' : ''}`;
  const sections = [
    [
      `model     ${visible(estimate.model)}${estimate.chain === null ? '' : ` -> chain ${estimate.chain}`}`,
      `first to  ${target === null ? 'nobody' : visible(target)}`,
      `tokens    about ${estimate.input_tokens} in, ${output}`,
      `cost      ${costOf(first?.expected_cost_usd ?? null)} expected, ${costOf(first?.largest_cost_usd ?? null)} at most, per call`,
      ...routingFacts(estimate),
      ...waits.map(
        (wait) =>
          `waits     ${wait.reason}: ${visible(wait.detail)}${wait.until === null ? '' : `, until ${wait.until}`}`,
      ),
    ].join('\n'),
    table(
      ['target', 'status', 'why not', 'expected $', 'at most $', 'budget'],
      targets.map((each) => [
        visible(each.target),
        each.status,
        visible(each.detail ?? ''),
        each.expected_cost_usd ?? 'unknown',
        each.largest_cost_usd ?? 'unknown',
        each.budget,
      ]),
    ),
  ];
  if (budgets.length > 0) sections.push(budgetTable(budgets));
  if (warnings.length > 0) sections.push(warnings.map((each) => `! ${visible(each)}`).join('\n'));
  return sections.join('\n\n');
}

const costOf = (usd: string | null): string => (usd === null ? 'unknown' : `$${usd}`);

/** What of the request itself decides where it may go. */
export const routingFacts = ({ require, detected }: Pick<JobEstimateJson, 'require' | 'detected'>): string[] => [
  ...(require.length === 0 ? [] : [`requires  ${visible(require.join(', '))}`]),
  ...(detected.length === 0 ? [] : [`holds     ${detected.join(', ')}`]),
];

export const budgetTable = (budgets: readonly BudgetJson[]): string =>
  table(
    ['budget', 'of', 'limit $', 'spent $', 'reserved $', 'a call would'],
    budgets.map((each) => [
      each.budget,
      visible(each.subject),
      each.limit_usd ?? 'hidden',
      each.committed_usd ?? 'hidden',
      each.reserved_usd ?? 'hidden',
      each.would,
    ]),
  );
