/** Why a job went where it went, and telling it to whoever asked. */
import { cleanText } from '../domain/clean-text.ts';
import { newId } from '../domain/ids.ts';
import type { DecisionKind } from '../domain/job.ts';
import type { Database } from './database.ts';
import type { JobRow } from './jobs.ts';
import type { DecisionRow } from './tables.ts';

export interface Decision {
  readonly kind: DecisionKind;
  readonly target: string;
  readonly nextTarget: string | null;
  readonly why: string;
  /** JSON text of what was known. */
  readonly detail: string | null;
  readonly configVersion: string;
}

/** One of a kind for each entry: noting it twice is noting it once. */
export async function noteDecision(
  { kysely }: Database,
  job: Pick<JobRow, 'id' | 'run' | 'seq'>,
  { kind, target, nextTarget, why, detail, configVersion }: Decision,
): Promise<void> {
  await kysely
    .insertInto('waybill.decisions')
    .values({
      job_id: job.id,
      run: job.run,
      seq: job.seq,
      kind,
      target,
      next_target: nextTarget,
      why: cleanText(why, 300),
      detail: detail === null ? null : cleanText(detail, 4_000),
      config_version: configVersion,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

const mostDecisions = 200;

/** The latest ones, oldest first. */
export async function readDecisions({ kysely }: Database, jobId: string): Promise<DecisionRow[]> {
  const rows = await kysely
    .selectFrom('waybill.decisions')
    .selectAll()
    .where('job_id', '=', jobId)
    .orderBy('at', 'desc')
    // Of one millisecond, which is all that some clocks tell apart.
    .orderBy('seq', 'desc')
    .limit(mostDecisions)
    .execute();
  return rows.toReversed();
}

/** Targets that a budget has turned the job away from in this run. */
export async function refusedTargets({ kysely }: Database, job: Pick<JobRow, 'id' | 'run'>): Promise<Set<string>> {
  const rows = await kysely
    .selectFrom('waybill.decisions')
    .select('target')
    .distinct()
    .where('job_id', '=', job.id)
    .where('run', '=', job.run)
    .where((query) => query.or([query('why', 'like', 'budget%'), query('why', '=', 'max_cost')]))
    .limit(64)
    .execute();
  return new Set(rows.map(({ target }) => target));
}

/** A step of a job, told by webhook to whoever asked for such events. @param payload JSON text */
export async function tellStep(
  { pool }: Database,
  job: Pick<JobRow, 'id'>,
  type: 'job.fallback' | 'job.awaiting_approval',
  payload: string,
): Promise<void> {
  await pool.query('select waybill.tell_step(j, $2, $3, $4) from waybill.jobs j where j.id = $1', [
    job.id,
    type,
    newId('whd'),
    payload,
  ]);
}
