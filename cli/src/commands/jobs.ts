/** `waybill jobs get | list | explain | estimate`, and what changes jobs. */
import type { JobJson } from '@waybill/producer/job-json.ts';
import { Command } from 'commander';
import { type ConnectionFlags, connect, withConnection } from '../connection.ts';
import { pairOf } from '../jobs/action-flags.ts';
import { print, printJson, table, visible } from '../output.ts';
import { approveCommand, refuseCommand } from './approvals.ts';
import { actionCommand } from './jobs-actions.ts';
import { estimateCommand, explainCommand } from './jobs-explain.ts';

interface ListFlags extends ConnectionFlags {
  readonly status?: string;
  readonly batch?: string;
  readonly customId?: string;
  readonly metadata?: readonly string[];
  readonly limit?: string;
  readonly cursor?: string;
}

export function jobsCommand(): Command {
  return new Command('jobs')
    .description('read and change jobs')
    .addCommand(getCommand())
    .addCommand(listCommand())
    .addCommand(explainCommand())
    .addCommand(estimateCommand())
    .addCommand(actionCommand('cancel'))
    .addCommand(actionCommand('retry'))
    .addCommand(actionCommand('pause'))
    .addCommand(actionCommand('resume'))
    .addCommand(approveCommand())
    .addCommand(refuseCommand());
}

function getCommand(): Command {
  return withConnection(
    new Command('get').description('show one job: its attempts, its answer, its cost').argument('<id>'),
  )
    .option('--wait <duration>', 'wait for the job to end, up to 60s')
    .option('--raw', 'print the answer as it is, terminal codes included')
    .addHelpText(
      'after',
      '\nExamples:\n  waybill jobs get job_0193… --wait 30s\n  waybill jobs get job_0193… --json | jq .cost_usd',
    )
    .action(async (id: string, flags: ConnectionFlags & { wait?: string; raw?: boolean }) => {
      const job = await connect(flags).client.get(id, flags.wait === undefined ? {} : { wait: flags.wait });
      if (flags.json) printJson(job);
      else print(describe(job, flags.raw ?? false));
    });
}

function listCommand(): Command {
  return withConnection(new Command('list').description('list jobs, the newest first'))
    .option('--status <status>', 'queued, in_progress, awaiting_approval, succeeded, failed, cancelled or expired')
    .option('--batch <id>', 'only jobs of this batch')
    .option('--custom-id <id>', 'only jobs with this custom_id')
    .option('--metadata <key=value...>', 'only jobs with this metadata')
    .option('--limit <n>', '1 to 100 (20)')
    .option('--cursor <cursor>', 'where the last page ended')
    .addHelpText(
      'after',
      '\nExamples:\n  waybill jobs list --status failed\n  waybill jobs list --metadata team=search --limit 100 --json',
    )
    .action(async (flags: ListFlags) => {
      const list = await connect(flags).client.list(filterOf(flags));
      if (flags.json) return printJson(list);
      if (list.data.length === 0) return print('No jobs.');
      const isAsked = list.data.some(({ status }) => status === 'awaiting_approval');
      print(
        table(
          ['id', 'status', 'target', 'attempts', 'cost $', 'custom_id', ...(isAsked ? ['waits for'] : [])],
          list.data.map((job) => [
            job.id,
            job.status,
            job.target,
            job.attempts.length,
            job.cost_usd,
            visible(job.custom_id ?? ''),
            ...(isAsked ? [approvalText(job)] : []),
          ]),
        ),
      );
      if (list.next_cursor) print(`\nMore: --cursor=${list.next_cursor}`);
    });
}

function filterOf(flags: ListFlags): Record<string, string> {
  const filter: Record<string, string> = {};
  if (flags.status) filter.status = flags.status;
  if (flags.batch) filter.batch_id = flags.batch;
  if (flags.customId) filter.custom_id = flags.customId;
  if (flags.limit) filter.limit = flags.limit;
  if (flags.cursor) filter.cursor = flags.cursor;
  for (const [key, value] of (flags.metadata ?? []).map(pairOf)) filter[`metadata.${key}`] = value;
  return filter;
}

/** What somebody is asked: where it would go, after what, and until when. */
function approvalText({ status, target, attempts, deadline_at: deadline }: JobJson): string {
  if (status !== 'awaiting_approval') return '';
  const last = attempts.at(-1);
  const after = last?.failure ? `, after ${last.target}: ${last.failure.kind}` : '';
  return `approval to go to ${target}${after}, until ${deadline}`;
}

function describe(job: JobJson, isRaw: boolean): string {
  const attempts = job.attempts.map((attempt) => [
    attempt.n,
    attempt.target,
    attempt.status,
    attempt.failure?.kind ?? '',
    attempt.duration_ms ?? '',
    attempt.cost_usd ?? (attempt.cost_basis === null ? '' : `unknown (${attempt.cost_reason})`),
  ]);
  const waiting =
    job.waiting === null
      ? ''
      : `\nwaiting   ${job.waiting.reason}${job.waiting.until ? ` until ${job.waiting.until}` : ''}${job.waiting.position === null ? '' : `, position ${job.waiting.position}`}`;
  const error = job.error === null ? '' : `\nerror     ${job.error.kind}: ${visible(job.error.message ?? '')}`;
  const text = job.output_text === null ? '' : `\n\n${isRaw ? job.output_text : visible(job.output_text)}`;
  return (
    [
      `${job.id}  ${job.status}${job.custom_id === null ? '' : `  ${visible(job.custom_id)}`}`,
      `model     ${visible(job.model)} -> ${job.target}`,
      `cost      $${job.cost_usd}${job.cost_unknown_attempts > 0 ? ` + ${job.cost_unknown_attempts} attempt(s) of unknown cost` : ''}${waiting}${error}`,
      '',
      attempts.length === 0 ? 'No attempt yet.' : table(['n', 'target', 'status', 'failure', 'ms', 'cost $'], attempts),
    ].join('\n') + text
  );
}
