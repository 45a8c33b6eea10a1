/** The turns of a conversation: its jobs that were answered, in the order in which they were. */
import { sql } from 'kysely';
import type { Turn } from '../chat/conversation.ts';
import type { Database } from './database.ts';
import type { JobRow } from './jobs.ts';

/** The latest ones that are looked at: older ones, and more text than this, fit no window. */
const mostTurns = 500;
const mostBytes = 16 * 1_024 * 1_024;

export interface PastTurn extends Turn {
  /** Labels that its targets had to have: whoever is told of it must have them too. */
  readonly require: readonly string[];
}

/** Oldest first; none of a job without a conversation. */
export async function readTurns(
  { kysely }: Database,
  job: Pick<JobRow, 'id' | 'tenant_id' | 'conversation'>,
): Promise<PastTurn[]> {
  if (job.conversation === null) return [];
  const { rows } = await sql<PastTurn>`
    select p.request, p.output, t.target, t.require from (
      select j.id, j.target, j.require, j.finished_at,
        sum(octet_length(s.request) + octet_length(s.output)) over (order by j.finished_at desc, j.id desc) as bytes
      from waybill.jobs j join waybill.payloads s on s.job_id = j.id
      where j.tenant_id = ${job.tenant_id} and j.conversation = ${job.conversation} and j.status = 'succeeded' and j.id <> ${job.id}
        and s.output is not null
      order by j.finished_at desc, j.id desc limit ${mostTurns}) t
    join waybill.payloads p on p.job_id = t.id
    where t.bytes <= ${mostBytes}
    order by t.finished_at, t.id`.execute(kysely);
  return rows;
}
