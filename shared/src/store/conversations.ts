/** The turns of a conversation: its jobs that were answered, in the order in which they were. */
import type { Turn } from '../chat/conversation.ts';
import type { Database } from './database.ts';
import type { JobRow } from './jobs.ts';

/** The latest ones that are looked at; older ones fit no window. */
const mostTurns = 500;

/** Oldest first; none of a job without a conversation. */
export async function readTurns(
  { kysely }: Database,
  job: Pick<JobRow, 'id' | 'tenant_id' | 'conversation'>,
): Promise<Turn[]> {
  if (job.conversation === null) return [];
  const rows = await kysely
    .selectFrom('waybill.jobs as j')
    .innerJoin('waybill.payloads as p', 'p.job_id', 'j.id')
    .select(['p.request', 'p.output', 'j.target'])
    .where('j.tenant_id', '=', job.tenant_id)
    .where('j.conversation', '=', job.conversation)
    .where('j.status', '=', 'succeeded')
    .where('j.id', '!=', job.id)
    .where('p.output', 'is not', null)
    .orderBy('j.finished_at', 'desc')
    .limit(mostTurns)
    .execute();
  return rows.toReversed().map(({ request, output, target }) => ({ request, output: output ?? '', target }));
}
