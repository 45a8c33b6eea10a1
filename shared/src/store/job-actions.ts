/**
 * Changing many jobs, one page and one transaction after the other: cancel, retry, pause, resume.
 *
 * Whether a job changes is decided from its row under a lock, so that doing a page twice changes nothing twice. A row
 * that another statement holds is passed over and tried again: waiting for it here could mean waiting for each other.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { DecisionKind } from '../domain/job.ts';
import type { Database, Trx } from './database.ts';
import { insertDeliveries } from './deliveries.ts';
import { endOf } from './job-end.ts';
import { type ActionScope, fitsSelection, stillFitting } from './job-selection.ts';
import type { JobRow } from './jobs.ts';
import { nothingAwaited } from './waiting.ts';

export const jobActions = ['cancel', 'retry', 'pause', 'resume'] as const;
export type JobAction = (typeof jobActions)[number];

/** Where a job begins its next run. */
export interface NextRun {
  readonly targets: readonly string[];
  readonly target: string;
  readonly provider: string;
  readonly configVersion: string;
  /** null: a target was asked for. */
  readonly chain: string | null;
  /** Another model for the job from now on; null: the one it has. */
  readonly model: string | null;
  /** What holds for it now: its own, and what its tenant and the configuration add. */
  readonly require: readonly string[];
  readonly excludeProviders: readonly string[];
  readonly detected: readonly string[];
}

export type JobChange =
  | { readonly kind: 'cancel' | 'pause' | 'resume' }
  /** @param route the next run, or why there can be none; `request` is JSON text */
  | { readonly kind: 'retry'; readonly route: (job: JobRow, request: string) => NextRun | string };

export interface ChangedJob {
  readonly job: JobRow;
  /** What it was before. */
  readonly before: JobRow;
  /** The delivery to hand to the sender; null: nobody asked to be told. */
  readonly deliveryId: string | null;
}

export interface PageOutcome {
  readonly changed: readonly ChangedJob[];
  /** Jobs that fitted and were left as they are, by status or reason. */
  readonly skipped: ReadonlyMap<string, number>;
}

const cancellable: ReadonlySet<string> = new Set(['queued', 'in_progress', 'awaiting_approval']);
const retryable = ['failed', 'cancelled', 'expired'] as const;
export const isRetryable = (status: string): boolean => (retryable as readonly string[]).includes(status);

/** null: the job changes; else why it stays as it is. */
export function reasonToSkip(
  action: JobAction,
  job: Pick<JobRow, 'status' | 'paused_at' | 'finished_at'>,
  beganAt: Date,
): string | null {
  const { status } = job;
  switch (action) {
    case 'cancel':
      return cancellable.has(status) ? null : status;
    case 'pause':
      if (status !== 'queued') return status;
      return job.paused_at === null ? null : 'paused';
    case 'resume':
      return status === 'queued' && job.paused_at !== null ? null : status;
    case 'retry':
      if (!isRetryable(status)) return status;
      // Of a page that is sent again: it was retried, and has ended once more.
      return job.finished_at !== null && job.finished_at > beganAt ? 'ended_since' : null;
  }
}

const mostTries = 3;
const tryAgainMs = 20;

/** @param ids of one page, as `readActionPage` found them */
export async function actOnPage(
  database: Database,
  scope: ActionScope,
  change: JobChange,
  ids: readonly string[],
): Promise<PageOutcome> {
  const routes = change.kind === 'retry' ? await routeAll(database, scope, change.route, ids) : new Map();
  const changed: ChangedJob[] = [];
  const skipped = new Map<string, number>();
  const skip = (reason: string, n = 1) => void skipped.set(reason, (skipped.get(reason) ?? 0) + n);
  let wanted = [...ids];
  for (let tries = 1; wanted.length > 0; tries += 1) {
    const now = await database.transaction((trx) => actOnFree(trx, scope, change.kind, routes, wanted));
    changed.push(...now.changed);
    for (const reason of now.reasons) skip(reason);
    const missed = wanted.filter((id) => !now.seen.has(id));
    // What does not fit any more is no part of the action.
    wanted = missed.length === 0 ? [] : await stillFitting(database, scope, missed);
    if (tries === mostTries && wanted.length > 0) {
      skip('busy', wanted.length);
      break;
    }
    if (wanted.length > 0) await delay(tryAgainMs);
  }
  return { changed, skipped };
}

type Routes = ReadonlyMap<string, NextRun | string>;

/** Requests may be long: few are held at a time, and none while rows are locked. */
const routedAtOnce = 25;

async function routeAll(
  { kysely }: Database,
  { tenantId }: ActionScope,
  route: (job: JobRow, request: string) => NextRun | string,
  ids: readonly string[],
): Promise<Routes> {
  const routes = new Map<string, NextRun | string>();
  for (let from = 0; from < ids.length; from += routedAtOnce) {
    const rows = await kysely
      .selectFrom('waybill.jobs as j')
      .innerJoin('waybill.payloads as p', 'p.job_id', 'j.id')
      .selectAll('j')
      .select('p.request')
      .where('j.id', 'in', ids.slice(from, from + routedAtOnce))
      .where('j.tenant_id', '=', tenantId)
      .where('j.status', 'in', [...retryable])
      .execute();
    for (const { request, ...job } of rows) routes.set(job.id, route(job, request));
  }
  return routes;
}

interface Acted {
  /** The rows that could be locked. */
  readonly seen: ReadonlySet<string>;
  readonly changed: readonly ChangedJob[];
  /** Why the others stay as they are. */
  readonly reasons: readonly string[];
}

async function actOnFree(
  trx: Trx,
  { tenantId, selection, beganAt }: ActionScope,
  action: JobAction,
  routes: Routes,
  ids: readonly string[],
): Promise<Acted> {
  const rows = await trx
    .selectFrom('waybill.jobs')
    .selectAll()
    .where(sql<boolean>`id = any(${[...ids]}::text[])`)
    .where('tenant_id', '=', tenantId)
    .where(fitsSelection(selection))
    .forUpdate()
    .skipLocked()
    .execute();
  const judged = rows
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((row) => ({ row, reason: judge(action, row, beganAt, routes.get(row.id)) }));
  const chosen = judged.filter(({ reason }) => reason === null).map(({ row }) => row);
  return {
    seen: new Set(rows.map((row) => row.id)),
    changed: await apply(trx, action, chosen, routes),
    reasons: judged.flatMap(({ reason }) => reason ?? []),
  };
}

function judge(action: JobAction, job: JobRow, beganAt: Date, route: NextRun | string | undefined): string | null {
  const reason = reasonToSkip(action, job, beganAt);
  if (reason !== null || action !== 'retry') return reason;
  // It came to its end while the others were routed.
  if (route === undefined) return 'ended_since';
  return typeof route === 'string' ? route : null;
}

/** Of rows that this transaction has locked. */
async function apply(trx: Trx, action: JobAction, rows: readonly JobRow[], routes: Routes): Promise<ChangedJob[]> {
  if (rows.length === 0) return [];
  const jobs = await changeRows(trx, action, rows, routes);
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const changed: ChangedJob[] = [];
  for (const before of rows) {
    const job = byId.get(before.id) as JobRow;
    // One after the other: a statement that outlived a failed transaction would commit outside of it.
    changed.push({ job, before, deliveryId: action === 'cancel' ? await insertDeliveries(trx, job) : null });
  }
  if (action !== 'cancel') await noteDecisions(trx, action, changed, routes);
  return changed;
}

/** Never `infinity`, which the driver reads as a number. */
const notBeforeResumed = new Date('9999-01-01T00:00:00Z');

function changeRows(trx: Trx, action: JobAction, rows: readonly JobRow[], routes: Routes): Promise<JobRow[]> {
  const ids = rows.map((row) => row.id);
  if (action === 'retry') return startRuns(trx, rows, routes);
  const changes = {
    cancel: {
      ...endOf('cancelled'),
      error_kind: 'cancelled',
      error_message: 'cancelled on request',
    },
    pause: {
      paused_at: sql<Date>`clock_timestamp()`,
      available_at: notBeforeResumed,
      waiting_reason: 'paused' as const,
      waiting_since: sql<Date>`clock_timestamp()`,
      waiting_until: null,
    },
    resume: {
      paused_at: null,
      available_at: sql<Date>`greatest(clock_timestamp(), run_at)`,
      ...nothingAwaited,
    },
  };
  return trx
    .updateTable('waybill.jobs')
    .set({ ...changes[action], seq: sql`seq + 1`, dispatched_at: null })
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .returningAll()
    .execute();
}

/** New runs with a fresh deadline, where the configuration sends the jobs now. */
async function startRuns(trx: Trx, rows: readonly JobRow[], routes: Routes): Promise<JobRow[]> {
  const items = rows.map((row) => {
    const route = routes.get(row.id) as NextRun;
    return { ...route, id: row.id, model: route.model ?? row.requested_model };
  });
  // What the last run carried is not this one's.
  await sql`update waybill.payloads set carried = null where job_id = any(${rows.map((row) => row.id)}::text[]) and carried is not null`.execute(
    trx,
  );
  const { rows: started } = await sql<JobRow>`
    update waybill.jobs j set status = 'queued', run = run + 1, seq = seq + 1,
      target = i.target, provider = i.provider, targets = array(select jsonb_array_elements_text(i.targets)),
      requested_model = i.model, chain = i.chain, config_version = i."configVersion", precedence = 1,
      require = array(select jsonb_array_elements_text(i.require)), detected = array(select jsonb_array_elements_text(i.detected)),
      exclude_providers = array(select jsonb_array_elements_text(i."excludeProviders")),
      queued_at = now(), run_at = null, available_at = now(), deadline_at = now() + j.expires_in_ms * interval '1 millisecond',
      dispatched_at = null, started_at = null, finished_at = null, claimed_by = null, error_kind = null, error_message = null,
      waiting_reason = null, waiting_since = null, waiting_until = null, limited_since = null, paused_at = null, is_last_resort = false
    from jsonb_to_recordset(${JSON.stringify(items)}::jsonb) as i (id text, model text, chain text, target text, provider text, targets jsonb,
      "configVersion" text, require jsonb, "excludeProviders" jsonb, detected jsonb)
    where j.id = i.id returning j.*`.execute(trx);
  return started;
}

async function noteDecisions(
  trx: Trx,
  kind: Extract<DecisionKind, JobAction>,
  changed: readonly ChangedJob[],
  routes: Routes,
): Promise<void> {
  const rows = changed.map(({ job, before }) => {
    const route = routes.get(job.id);
    const model = typeof route === 'object' ? route.model : null;
    return {
      job_id: job.id,
      run: job.run,
      seq: job.seq,
      kind,
      target: before.target,
      next_target: kind === 'retry' ? job.target : null,
      why: 'on request',
      detail: model === null ? null : JSON.stringify({ model }),
      config_version: kind === 'retry' ? job.config_version : null,
    };
  });
  await trx
    .insertInto('waybill.decisions')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** A new run of one failed, cancelled or expired job; null when it is none of those, or not this tenant's. */
export function startAgain(database: Database, tenantId: string, id: string, next: NextRun): Promise<JobRow | null> {
  return database.transaction(async (trx) => {
    const row = await trx
      .selectFrom('waybill.jobs')
      .selectAll()
      .where('id', '=', id)
      .where('tenant_id', '=', tenantId)
      .where('status', 'in', [...retryable])
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) return null;
    const [changed] = await apply(trx, 'retry', [row], new Map([[id, next]]));
    return changed?.job ?? null;
  });
}
