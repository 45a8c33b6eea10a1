/** `waybill jobs cancel | retry | pause | resume` of jobs that are named by their ids. */
import type { Client } from '@waybill/producer/client/client.ts';
import type { JobJson } from '@waybill/producer/job-json.ts';
import { isFinal } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import type { JobAction } from '@waybill/shared/store/job-actions.ts';
import { connect } from '../connection.ts';
import type { ActionFlags } from './action-flags.ts';
import { changeEach } from './change-each.ts';

export async function actByIds(action: JobAction, ids: readonly string[], flags: ActionFlags): Promise<void> {
  const { client } = connect(flags);
  await changeEach(
    ids,
    flags.json ?? false,
    (id) => changeOne(client, action, id, flags.setModel),
    (job) => `${job.id}  ${job.waiting?.reason === 'paused' ? 'paused' : job.status}`,
  );
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
  throw conflictOf(action, job, reason ?? job.status);
}

/** The command is right, the job is in the way: not a wrong usage, as it is none when a job cannot be cancelled. */
export function conflictOf(action: 'pause' | 'resume', job: JobJson, reason: string): Problem {
  if (reason === 'busy')
    return new Problem('storage_unavailable', `Cannot ${action} ${job.id}: it is being changed right now. Try again`, {
      param: 'id',
      retryAfterSeconds: 1,
    });
  const fitting = action === 'pause' ? 'queued jobs can be paused' : 'paused jobs can be resumed';
  return new Problem(
    isFinal(job.status) ? 'already_terminal' : 'invalid_value',
    `Cannot ${action} ${job.id}: it is ${reason}; only ${fitting}`,
    { param: 'id' },
  );
}
