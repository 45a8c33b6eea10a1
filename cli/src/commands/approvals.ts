/** `waybill jobs approve | refuse`: what somebody says to jobs that wait for it. */
import type { JobJson } from '@waybill/producer/job-json.ts';
import { Command } from 'commander';
import { type ConnectionFlags, connect, withConnection } from '../connection.ts';
import { aboutIds, changeEach } from '../jobs/change-each.ts';
import { visible } from '../output.ts';

interface RefuseFlags extends ConnectionFlags {
  readonly reason?: string;
}

export function approveCommand(): Command {
  return withConnection(
    new Command('approve').description('let jobs go to the target that they wait to go to').argument('<id...>'),
  )
    .addHelpText(
      'after',
      `\n${aboutIds}\n\nExamples:\n  waybill jobs list --status awaiting_approval\n  waybill jobs approve job_0193…`,
    )
    .action(async (ids: string[], flags: ConnectionFlags) => {
      const { client } = connect(flags);
      await changeEach(ids, flags.json ?? false, (id) => client.approve(id), lineOf);
    });
}

export function refuseCommand(): Command {
  return withConnection(
    new Command('refuse').description('end jobs that wait for an approval, as refused_approval').argument('<id...>'),
  )
    .option('--reason <text>', 'why, up to 300 characters; it stands in the error of the jobs')
    .addHelpText(
      'after',
      `\n${aboutIds}\n\nExamples:\n  waybill jobs refuse job_0193…\n  waybill jobs refuse job_0193… --reason "not to the cloud"`,
    )
    .action(async (ids: string[], flags: RefuseFlags) => {
      const { client } = connect(flags);
      await changeEach(ids, flags.json ?? false, (id) => client.refuse(id, { reason: flags.reason }), lineOf);
    });
}

const lineOf = ({ id, status, target }: JobJson): string =>
  `${id}  ${status}${status === 'queued' ? `  ${visible(target)}` : ''}`;
