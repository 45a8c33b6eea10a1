/** `POST /v1/jobs/actions`: cancel, retry, pause or resume the jobs of a filter, as many as one request should take. */
import { createHash } from 'node:crypto';
import { entryId, isId } from '@waybill/shared/domain/ids.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import { actOnPage, type ChangedJob, type JobAction, type JobChange } from '@waybill/shared/store/job-actions.ts';
import { type ActionScope, beginAction, countMissing, readActionPage } from '@waybill/shared/store/job-selection.ts';
import type { Request, Response } from 'express';
import type { ApiContext } from '../api-context.ts';
import { callerOf } from '../authentication.ts';
import { type JobActionRequest, parseJobAction, selectionOf } from '../job-action-request.ts';
import { jsonBody } from '../read-body.ts';
import { createRouteAgain } from '../route-again.ts';
import { strictQuery } from '../strict-query.ts';

const pageSize = { jobs: 500, rows: 5_000 };
const longestMs = 5_000;
/** More entries than this are left to end as stale by themselves. */
const mostRemoved = 200;
const toldAtOnce = 20;

export interface JobActionJson {
  readonly object: 'job_action';
  readonly action: JobAction;
  /** Jobs that fitted the filter in this request. */
  readonly matched: number;
  readonly changed: number;
  /** Jobs left as they are, by status or reason; ids that are no job of the tenant count as `not_found`, and not as matched. */
  readonly skipped: Readonly<Record<string, number>>;
  readonly is_complete: boolean;
  /** Sent with the same request it goes on from here; null when the action is complete. */
  readonly next_cursor: string | null;
}

export async function actOnJobs(request: Request, response: Response, context: ApiContext): Promise<void> {
  strictQuery(request, []);
  const { tenantId } = callerOf(response);
  const asked = parseJobAction(jsonBody(request));
  const change = await changeOf(asked, context);
  const place = asked.cursor === null ? null : readCursor(asked, asked.cursor, tenantId, context);
  const begun = place ?? (await beginAction(context.database, tenantId));
  const skipped: Record<string, number> = {};
  const ids = asked.filter.ids?.filter((id) => isId('job', id)) ?? null;
  if (place === null && asked.filter.ids != null) {
    const missing = await missingOf(asked.filter.ids, ids ?? [], tenantId, context);
    if (missing > 0) skipped.not_found = missing;
  }
  const answer = { object: 'job_action' as const, action: asked.action };
  if (begun === null) {
    response.json({ ...answer, matched: 0, changed: 0, skipped, is_complete: true, next_cursor: null });
    return;
  }
  const scope = { ...begun, tenantId, selection: { ...selectionOf(asked.filter, begun.beganAt), ids } };
  const done = await goOn(scope, change, place?.after ?? '', asked.limit, skipped, response, context);
  const nextCursor = done.after === null ? null : writeCursor(asked, scope, done.after, context);
  response.json({
    ...{ ...answer, matched: done.matched, changed: done.changed, skipped },
    ...{ is_complete: nextCursor === null, next_cursor: nextCursor },
  } satisfies JobActionJson);
}

async function missingOf(
  given: readonly string[],
  possible: readonly string[],
  tenantId: string,
  { database }: ApiContext,
): Promise<number> {
  const impossible = new Set(given).size - new Set(possible).size;
  return impossible + (await countMissing(database, tenantId, possible));
}

/** A job that no target can serve is left as it is, and keeps none of the others from their next run. */
async function changeOf({ action, model }: JobActionRequest, context: ApiContext): Promise<JobChange> {
  if (action !== 'retry') return { kind: action };
  const route = await createRouteAgain(model, context);
  return {
    kind: 'retry',
    route(job, request) {
      try {
        return route(job, request);
      } catch (error) {
        if (error instanceof Problem && (error.code === 'no_eligible_target' || error.code === 'model_not_found'))
          return error.code;
        throw error;
      }
    },
  };
}

interface Progress {
  matched: number;
  changed: number;
  /** Where to go on; null: nothing is left. */
  after: string | null;
}

/** Page after page, until there is no more or it is enough for one request. */
async function goOn(
  scope: ActionScope,
  change: JobChange,
  from: string,
  limit: number,
  skipped: Record<string, number>,
  response: Response,
  context: ApiContext,
): Promise<Progress> {
  const progress: Progress = { matched: 0, changed: 0, after: from };
  const endsAt = performance.now() + longestMs;
  const removals = { left: mostRemoved };
  const mayGoOn = () =>
    progress.matched < limit && performance.now() < endsAt && !context.isStopping() && !response.destroyed;
  do {
    const size = { ...pageSize, jobs: Math.min(pageSize.jobs, limit - progress.matched) };
    const page = await readActionPage(context.database, scope, progress.after ?? '', size);
    const outcome = await actOnPage(context.database, scope, change, page.ids);
    await tell(change.kind, outcome.changed, removals, context);
    for (const [reason, n] of outcome.skipped) {
      skipped[reason] = (skipped[reason] ?? 0) + n;
      progress.matched += n;
    }
    progress.matched += outcome.changed.length;
    progress.changed += outcome.changed.length;
    progress.after = page.nextAfter;
  } while (progress.after !== null && mayGoOn());
  return progress;
}

/** What others need not wait for. Losing any of it loses nothing: what was changed is stored. */
async function tell(
  action: JobAction,
  changed: readonly ChangedJob[],
  removals: { left: number },
  context: ApiContext,
): Promise<void> {
  try {
    await tellAll(action, changed, removals, context);
  } catch (error) {
    context.logger.warn({ err: error, jobs: changed.length }, 'a change of jobs could not be told');
  }
}

async function tellAll(
  action: JobAction,
  changed: readonly ChangedJob[],
  removals: { left: number },
  context: ApiContext,
): Promise<void> {
  const { coordination, queues } = context;
  if (changed.length === 0) return;
  if (action === 'retry' || action === 'resume') return coordination.publish({ type: 'work' });
  for (const { before } of changed)
    if (before.status === 'in_progress') coordination.publish({ type: 'cancel', jobId: before.id });
  for (const { before } of changed) {
    if (removals.left === 0 || !queues.isReachable()) break;
    if (before.status !== 'queued' || before.dispatched_at === null) continue;
    removals.left -= 1;
    await queues.queue(before.provider).remove(entryId(before.id, before.seq));
  }
  if (action !== 'cancel') return;
  for (let from = 0; from < changed.length; from += toldAtOnce)
    await Promise.all(changed.slice(from, from + toldAtOnce).map((each) => tellEnded(each, context)));
}

/** A cursor is good for the request it was made for, and no other. */
const cursorNameOf = ({ meaning }: JobActionRequest): string =>
  `job-actions ${createHash('sha256').update(meaning).digest('base64url')}`;

const writeCursor = (
  asked: JobActionRequest,
  { tenantId, upperId, beganAt }: ActionScope,
  after: string,
  { cursors }: ApiContext,
): string => cursors.write(tenantId, cursorNameOf(asked), `${after} ${upperId} ${beganAt.getTime()}`);

function readCursor(asked: JobActionRequest, cursor: string, tenantId: string, { cursors }: ApiContext) {
  const [after = '', upperId = '', began = ''] = cursors.read(tenantId, cursorNameOf(asked), cursor).split(' ');
  return { after, upperId, beganAt: new Date(Number(began)) };
}
