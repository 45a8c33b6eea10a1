/** An explanation for a reader: the story first, then how things stand. */
import type { JobExplanationJson } from '@waybill/producer/explain-json.ts';
import { table, visible } from '../output.ts';
import { budgetTable, routingFacts } from './estimate-text.ts';

export function explanationText(job: JobExplanationJson): string {
  const { costs, targets, attempts, waiting } = job;
  const version =
    job.config_version === job.config_version_now
      ? ''
      : `, accepted under ${job.config_version}, now ${job.config_version_now}`;
  const facts = [
    `${job.id}  ${job.status}`,
    `model     ${visible(job.model)}${job.chain === null || job.chain === job.model ? '' : ` -> chain ${job.chain}`}${version}`,
    ...routingFacts(job),
    ...(waiting === null
      ? []
      : [
          `waits     ${waiting.reason} since ${waiting.since}${waiting.until === null ? '' : ` until ${waiting.until}`}${waiting.position === null ? '' : `, position ${waiting.position}`}`,
        ]),
    `cost      $${costs.cost_usd}${costs.unknown_attempts === 0 ? '' : ` + ${costs.unknown_attempts} attempt(s) of unknown cost`}${costs.max_cost_usd === null ? '' : ` of at most $${costs.max_cost_usd}`}`,
  ];
  const story = job.summary.map((sentence, index) => `${String(index + 1).padStart(3)}. ${visible(sentence)}`);
  const sections = [
    facts.join('\n'),
    `What happened\n${story.join('\n')}`,
    `Its targets, as they stand now\n${table(
      ['target', 'status', 'why', 'until', 'attempts', 'last failure'],
      targets.map((each) => [
        visible(each.target),
        each.status,
        visible(each.detail ?? ''),
        each.until ?? '',
        each.attempts,
        each.last_failure ?? '',
      ]),
    )}`,
  ];
  if (attempts.length > 0)
    sections.push(
      `Its attempts\n${table(
        ['n', 'target', 'status', 'failure', 'ms', 'cost $'],
        attempts.map((each) => [
          each.n,
          visible(each.target),
          each.status,
          each.failure?.kind ?? '',
          each.duration_ms ?? '',
          each.cost_usd ?? (each.cost_basis === null ? '' : 'unknown'),
        ]),
      )}`,
    );
  if (costs.budgets.length > 0) sections.push(`The budgets it counts for\n${budgetTable(costs.budgets)}`);
  return sections.join('\n\n');
}
