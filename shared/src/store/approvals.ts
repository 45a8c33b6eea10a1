/**
 * What somebody says to a job that awaits approval: it goes to the target it was asked about, or ends.
 *
 * Each is one conditional UPDATE that raises `seq`; the decision, the audit entry and what is told stand or fall with it.
 */
import { sql } from 'kysely';
import { cleanText } from '../domain/clean-text.ts';
import { newId } from '../domain/ids.ts';
import { stepPayload } from '../domain/webhook-payload.ts';
import { audit } from './audit.ts';
import type { Database, Trx } from './database.ts';
import { insertDeliveries } from './deliveries.ts';
import { type Ended, endOf } from './job-end.ts';
import type { JobRow } from './jobs.ts';
import { nothingAwaited } from './waiting.ts';

export interface Verdict {
  readonly tenantId: string;
  readonly id: string;
  /** The API key that says so. */
  readonly actor: string;
  readonly configVersion: string;
}

/** Queued at the target it was asked about; null: it awaits no approval, its deadline is over, or it is not this tenant's. */
export function approveJob(database: Database, verdict: Verdict, at: Date): Promise<JobRow | null> {
  return database.transaction(async (trx) => {
    const asked = await findAsked(trx, verdict);
    if (asked === null || asked.isLate) return null;
    const job = await trx
      .updateTable('waybill.jobs')
      .set({
        status: 'queued',
        seq: sql<number>`seq + 1`,
        precedence: 0,
        claimed_by: null,
        available_at: sql<Date>`clock_timestamp()`,
        dispatched_at: null,
        ...nothingAwaited,
      })
      .where('id', '=', verdict.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const step = { from: asked.from, to: job.target, why: `approved by ${verdict.actor}` };
    await note(trx, 'approve', job, step, verdict);
    const payload = stepPayload('job.fallback', job, step, at);
    await sql`select waybill.tell_step(j, 'job.fallback', ${newId('whd')}, ${payload}) from waybill.jobs j where j.id = ${job.id}`.execute(
      trx,
    );
    return job;
  });
}

/** Failed as `refused_approval`; null: it awaits no approval, or is not this tenant's. @param reason in the words of whoever refused it */
export function refuseJob(database: Database, verdict: Verdict, reason: string | null): Promise<Ended | null> {
  return database.transaction(async (trx) => {
    const asked = await findAsked(trx, verdict);
    if (asked === null) return null;
    const because = reason === null ? '' : `: ${reason}`;
    const job = await trx
      .updateTable('waybill.jobs')
      .set({
        ...endOf('failed'),
        error_kind: 'refused_approval',
        error_message: cleanText(`going on to ${asked.target} was refused${because}`, 500),
      })
      .where('id', '=', verdict.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const step = { from: asked.from, to: job.target, why: `refused by ${verdict.actor}${because}` };
    await note(trx, 'refuse', job, step, verdict);
    return { job, deliveryId: await insertDeliveries(trx, job) };
  });
}

interface Asked {
  readonly target: string;
  /** Where it was when somebody was asked. */
  readonly from: string;
  readonly isLate: boolean;
}

/** Locks the job. */
async function findAsked(trx: Trx, { tenantId, id }: Verdict): Promise<Asked | null> {
  const job = await trx
    .selectFrom('waybill.jobs')
    .select(['target', 'seq', sql<boolean>`deadline_at <= clock_timestamp()`.as('isLate')])
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .where('status', '=', 'awaiting_approval')
    .forUpdate()
    .executeTakeFirst();
  if (job === undefined) return null;
  const parked = await trx
    .selectFrom('waybill.decisions')
    .select('target')
    .where('job_id', '=', id)
    .where('seq', '=', job.seq)
    .where('kind', '=', 'park')
    .executeTakeFirst();
  // Without an attempt the decision is noted after the job is parked, and a process may end in between.
  return { target: job.target, from: parked?.target ?? job.target, isLate: job.isLate };
}

async function note(
  trx: Trx,
  kind: 'approve' | 'refuse',
  job: JobRow,
  { from, to, why }: { readonly from: string; readonly to: string; readonly why: string },
  { actor, configVersion }: Verdict,
): Promise<void> {
  await trx
    .insertInto('waybill.decisions')
    .values({
      job_id: job.id,
      run: job.run,
      seq: job.seq,
      kind,
      target: from,
      next_target: to,
      why: cleanText(why, 300),
      detail: null,
      config_version: configVersion,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const entry = { actor, action: `job.${kind}`, tenantId: job.tenant_id, jobId: job.id, detail: { from, to } };
  await audit({ kysely: trx }, [entry]);
}
