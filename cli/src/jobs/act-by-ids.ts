/** One after the other, as they were named; the first that cannot be changed ends the command. */
import type { Client } from '@waybill/producer/client/client.ts';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { JobAction } from '@waybill/shared/store/job-actions.ts';
import { connect } from '../connection.ts';
import { print, printJson } from '../output.ts';
import type { ActionFlags } from './action-flags.ts';

export async function actByIds(action: JobAction, ids: readonly string[], flags: ActionFlags): Promise<void> {
  const { client } = connect(flags);
  const jobs: JobJson[] = [];
  for (const id of ids) {
    const job = await changeOne(client, action, id, flags.setModel);
    jobs.push(job);
    if (!flags.json) print(`${job.id}  ${job.waiting?.reason === 'paused' ? 'paused' : job.status}`);
  }
  if (flags.json) printJson({ object: 'list', data: jobs });
}

async function changeOne(client: Client, action: JobAction, id: string, model: string | undefined): Promise<JobJson> {
  if (action === 'cancel') return client.cancel(id);
  if (action === 'retry') return client.retry(id, { model });
  const { changed, skipped } = await client.act({ action, filter: { ids: [id] } });
  // Also the one that is missing is told as the server tells it.
  const job = await client.get(id);
  const [reason] = Object.keys(skipped);
  // Pausing twice is fine, as cancelling twice is.
  if (changed === 1 || (action === 'pause' ? reason === 'paused' : reason === 'queued')) return job;
  throw new Problem(
    'invalid_usage',
    `Cannot ${action} ${id}: it is ${reason ?? job.status}; only ${action === 'pause' ? 'queued' : 'paused'} jobs can be`,
  );
}
