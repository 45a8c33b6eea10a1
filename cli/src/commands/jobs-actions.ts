/** `waybill jobs cancel | retry | pause | resume`: by ids, or by a filter. */
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { JobAction } from '@waybill/shared/store/job-actions.ts';
import { Command } from 'commander';
import { withConnection } from '../connection.ts';
import { type ActionFlags, filterOf } from '../jobs/action-flags.ts';
import { aboutIds } from '../jobs/change-each.ts';

const described: Readonly<Record<JobAction, string>> = {
  cancel: 'cancel jobs that are not final',
  retry: 'start failed, cancelled or expired jobs again',
  pause: 'keep queued jobs from running; those that run already go on, and a deadline still ends them',
  resume: 'let paused jobs run again',
};
const examples: Readonly<Record<JobAction, readonly string[]>> = {
  cancel: ['cancel job_0193…', 'cancel --batch batch_0193… --older-than 1h', 'cancel --metadata team=search --yes'],
  retry: [
    'retry job_0193… --set-model anthropic/claude-haiku-5-5',
    'retry --batch batch_0193… --error-kind timeout',
    'retry --status failed --set-model low-cost --yes --json',
  ],
  pause: ['pause job_0193…', 'pause --target openai/gpt-4.1-mini', 'pause --all --yes'],
  resume: ['resume job_0193…', 'resume --all --yes'],
};

export function actionCommand(action: JobAction): Command {
  const command = withConnection(new Command(action).description(described[action]).argument('[id...]'))
    .usage('[options] <id...> | --<filter> <value>')
    .option('--batch <id>', 'the jobs of this batch')
    .option('--status <status>', 'the jobs with this status')
    .option('--target <target>', 'the jobs that are at this target, provider/model')
    .option('--provider <id>', 'the jobs that are at this provider')
    .option('--model <name>', 'the jobs that asked for this chain or target')
    .option('--metadata <key=value...>', 'the jobs with this metadata')
    .option('--older-than <duration>', 'the jobs that were sent longer ago, such as 1h')
    .option('--error-kind <kind>', 'the jobs that ended with this error, such as timeout')
    .option('--all', 'all jobs of the tenant')
    .option('--yes', 'do not ask');
  if (action === 'retry') command.option('--set-model <name>', 'another chain or target for the jobs');
  return command
    .addHelpText(
      'after',
      `\n${aboutIds}\nAll filters that are given must hold. Without --yes it asks on a terminal, and refuses elsewhere.\nCtrl-C stops between two pages, and ends it with 130; the same command goes on.\n\nExamples:\n${examples[action].map((each) => `  waybill jobs ${each}`).join('\n')}`,
    )
    .action(async (ids: string[], flags: ActionFlags) => {
      const { actByIds } = await import('../jobs/act-by-ids.ts');
      const { actByFilter } = await import('../jobs/act-by-filter.ts');
      const filter = filterOf(flags);
      const hasFilter = Object.keys(filter).length > 0;
      if (ids.length > 0 === hasFilter) throw wrongUsage(action, hasFilter);
      if (hasFilter) await actByFilter(action, filter, flags);
      else await actByIds(action, ids, flags);
    });
}

const wrongUsage = (action: JobAction, hasBoth: boolean): Problem =>
  new Problem(
    'invalid_usage',
    hasBoth
      ? `Cannot ${action} jobs: give ids or a filter, not both`
      : `Cannot ${action} jobs: name them by their ids or by a filter, such as --batch; --all is all of them`,
  );
