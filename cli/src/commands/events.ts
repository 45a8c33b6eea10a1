/** `waybill events`: what happened to no single job, such as a credential that died. */
import { Command } from 'commander';
import { withConnection } from '../connection.ts';
import type { EventFlags } from '../providers/show-events.ts';

export function eventsCommand(): Command {
  return withConnection(new Command('events').description('show events of providers and credentials, the oldest first'))
    .option('--after <n>', 'only events after the one with this number')
    .option('--follow', 'go on as they happen, until Ctrl-C; with --json one object per line')
    .addHelpText('after', '\nExamples:\n  waybill events\n  waybill events --after 120 --follow --json')
    .action(async (flags: EventFlags) => {
      const { showEvents } = await import('../providers/show-events.ts');
      await showEvents(flags);
    });
}
