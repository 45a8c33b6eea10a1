/** `/v1/jobs`: submit, read, list, cancel, retry. */
import { parseDuration } from '@waybill/shared/domain/duration.ts';
import { entryId, isId } from '@waybill/shared/domain/ids.ts';
import { isFinal, type JobStatus, jobStatuses } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import { batchCounts } from '@waybill/shared/store/batch-stats.ts';
import { isRetryable, startAgain } from '@waybill/shared/store/job-actions.ts';
import { cancelJob } from '@waybill/shared/store/job-end.ts';
import { findJob, type JobRow, type JobView, listJobs, placeInBacklog } from '@waybill/shared/store/jobs.ts';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { ApiContext } from '../api-context.ts';
import { callerOf, requireScope } from '../authentication.ts';
import type { Answer } from '../enqueue.ts';
import { idempotencyKeyOf } from '../idempotency-key.ts';
import { parseRetry } from '../job-action-request.ts';
import { toJobJson, toQueuePlace } from '../job-json.ts';
import { onlyMethods } from '../methods.ts';
import { jsonBody, readBody } from '../read-body.ts';
import { createRouteAgain } from '../route-again.ts';
import { routeHeaders } from '../route-headers.ts';
import { strictQuery } from '../strict-query.ts';
import { approve, refuse } from './approvals.ts';
import { estimate, readOrWrite } from './estimate.ts';
import { explain } from './explain.ts';
import { actOnJobs } from './job-actions.ts';
import { createJobStream } from './job-stream.ts';

const longestWaitMs = 60_000;
const defaultLimit = 20;
const largestLimit = 100;

export function jobsRouter(context: ApiContext): Router {
  const router = Router({ caseSensitive: true });
  const write = requireScope(context.authenticator, 'jobs:write');
  const read = requireScope(context.authenticator, 'jobs:read');
  router
    .route('/')
    .post(write, readBody, async (request, response) => {
      const { tenantId } = callerOf(response);
      strictQuery(request, []);
      const body = jsonBody(request);
      sendAnswer(
        response,
        await context.enqueue.one(callerOf(response), body, idempotencyKeyOf(request, tenantId, body)),
      );
    })
    .get(read, (request, response) => list(request, response, context))
    .all(onlyMethods('GET', 'POST'));
  router
    .route('/bulk')
    .post(write, readBody, async (request, response) => {
      const { tenantId } = callerOf(response);
      strictQuery(request, []);
      const body = jsonBody(request);
      sendAnswer(
        response,
        await context.enqueue.many(callerOf(response), body, idempotencyKeyOf(request, tenantId, body)),
      );
    })
    .all(onlyMethods('POST'));
  // Before `/:id`, which would take them for ids.
  router
    .route('/actions')
    .post(write, readBody, (request, response) => actOnJobs(request, response, context))
    .all(onlyMethods('POST'));
  addExplaining(router, read, context);
  router
    .route('/:id')
    .get(read, (request, response) => get(request, response, context))
    .all(onlyMethods('GET'));
  router
    .route('/:id/stream')
    .get(
      read,
      createJobStream(context, (request, response) => view(request, response, context)),
    )
    .all(onlyMethods('GET'));
  router
    .route('/:id/cancel')
    .post(write, (request, response) => cancel(request, response, context))
    .all(onlyMethods('POST'));
  router
    .route('/:id/retry')
    .post(write, readBody, (request, response) => retry(request, response, context))
    .all(onlyMethods('POST'));
  for (const [path, act] of Object.entries({ approve, refuse }))
    router
      .route(`/:id/${path}`)
      .post(write, readBody, (request, response) =>
        act(() => view(request, response, context), request, response, context),
      )
      .all(onlyMethods('POST'));
  return router;
}

/** What would become of a job, and what became of one. */
function addExplaining(router: Router, read: RequestHandler, context: ApiContext): void {
  router
    .route('/estimate')
    .post(readOrWrite(context), readBody, (request, response) => estimate(request, response, context))
    .all(onlyMethods('POST'));
  router
    .route('/:id/explain')
    .get(read, async (request, response) => {
      const found = await view(request, response, context);
      await explain(found, await placeOf(found, context), request, response, context);
    })
    .all(onlyMethods('GET'));
}

function sendAnswer(response: Response, answer: Answer): void {
  if (answer.isReplayed) response.set('idempotent-replayed', 'true');
  response.status(answer.status).type('application/json').send(answer.body);
}

const notFound = (id: string): Problem =>
  new Problem('not_found', `Cannot find the job "${id.slice(0, 64)}"`, { param: 'id' });

/** An id that cannot be one of ours is answered like one of another tenant, without a query. */
async function view(request: Request, response: Response, { database }: ApiContext): Promise<JobView> {
  const id = String(request.params.id);
  const found = isId('job', id) ? await findJob(database.kysely, callerOf(response).tenantId, id) : null;
  if (!found) throw notFound(id);
  return found;
}

async function get(request: Request, response: Response, context: ApiContext): Promise<void> {
  const query = strictQuery(request, ['wait']);
  const waitMs = query.wait === undefined ? 0 : parseDuration(query.wait);
  if (waitMs === null || waitMs < 0 || waitMs > longestWaitMs) {
    throw new Problem(
      'out_of_range',
      `Cannot wait for "${(query.wait ?? '').slice(0, 40)}": expected a duration up to 60s, such as "30s"`,
      { param: 'wait' },
    );
  }
  const first = await view(request, response, context);
  const disconnected = new AbortController();
  response.on('close', () => disconnected.abort());
  const found =
    waitMs === 0 || isFinal(first.job.status)
      ? first
      : await context.waiter.untilFinal(
          () => view(request, response, context),
          first.job.id,
          waitMs,
          disconnected.signal,
        );
  const last = found ?? first;
  if (query.wait !== undefined && isFinal(last.job.status) && context.settings().hasRouteHeaders)
    response.set(routeHeaders(last));
  response.json(toJobJson(last, await placeOf(last, context)));
}

async function placeOf({ job }: JobView, { database, fleet }: ApiContext) {
  const place = await placeInBacklog(database.kysely, job);
  return toQueuePlace(place, (await fleet.read()).throughput.get(job.target) ?? 0);
}

async function list(request: Request, response: Response, { database, cursors }: ApiContext): Promise<void> {
  const { tenantId } = callerOf(response);
  const query = strictQuery(request, ['status', 'custom_id', 'batch_id', 'limit', 'cursor', 'metadata.']);
  const limit = Number(query.limit ?? defaultLimit);
  if (!/^\d{1,9}$/.test(query.limit ?? '0') || limit < 1 || limit > largestLimit) {
    throw new Problem(
      'invalid_limit',
      `Cannot list jobs: limit is "${(query.limit ?? '').slice(0, 40)}", expected 1 to ${largestLimit}`,
      { param: 'limit' },
    );
  }
  const status = query.status;
  if (status !== undefined && !(jobStatuses as readonly string[]).includes(status)) {
    throw new Problem(
      'invalid_value',
      `Cannot list jobs: status is "${status.slice(0, 40)}", expected one of ${jobStatuses.join(', ')}`,
      { param: 'status' },
    );
  }
  const metadata = Object.fromEntries(
    Object.entries(query)
      .filter(([name]) => name.startsWith('metadata.'))
      .map(([name, value]) => [name.slice('metadata.'.length), value]),
  );
  const views = await listJobs(database.kysely, tenantId, {
    status: status as JobStatus | undefined,
    customId: query.custom_id,
    batchId: query.batch_id,
    metadata,
    beforeId: query.cursor === undefined ? undefined : cursors.read(tenantId, 'jobs', query.cursor),
    limit: limit + 1,
  });
  const page = views.slice(0, limit);
  const last = page.at(-1);
  response.json({
    object: 'list',
    data: page.map((each) => toJobJson(each)),
    has_more: views.length > limit,
    next_cursor: views.length > limit && last ? cursors.write(tenantId, 'jobs', last.job.id) : null,
    // Of the whole batch, whatever the other filters: what a progress bar needs.
    ...(query.batch_id === undefined ? {} : { counts: await batchCounts(database.kysely, tenantId, query.batch_id) }),
  });
}

async function cancel(request: Request, response: Response, context: ApiContext): Promise<void> {
  const { database, coordination, queues } = context;
  strictQuery(request, []);
  const before = await view(request, response, context);
  const ended = await cancelJob(database, before.job.tenant_id, before.job.id);
  if (ended) {
    coordination.publish({ type: 'cancel', jobId: ended.job.id });
    await queues.queue(ended.job.provider).remove(entryId(ended.job.id, ended.job.seq - 1));
    await tellEnded(ended, context);
  }
  const after = await view(request, response, context);
  if (!ended && after.job.status !== 'cancelled') {
    throw new Problem('already_terminal', `Cannot cancel the job: it has ${after.job.status} already`, { param: 'id' });
  }
  response.json(toJobJson(after));
}

async function retry(request: Request, response: Response, context: ApiContext): Promise<void> {
  const { database, coordination } = context;
  strictQuery(request, []);
  const model = isEmpty(request.body) ? null : parseRetry(jsonBody(request));
  const before = await view(request, response, context);
  const { tenant_id: tenantId, id } = before.job;
  // Before its route, which may not be there any more.
  if (!isRetryable(before.job.status)) throw notRetryable(before.job);
  const route = await createRouteAgain(model, context);
  const { request: stored } = await database.kysely
    .selectFrom('waybill.payloads')
    .select('request')
    .where('job_id', '=', id)
    .executeTakeFirstOrThrow();
  const job = await startAgain(database, tenantId, id, route(before.job, stored));
  if (!job) throw notRetryable(before.job);
  coordination.publish({ type: 'work' });
  response.status(202).json(toJobJson({ job, attempts: before.attempts, output: null }));
}

const notRetryable = ({ status }: Pick<JobRow, 'status'>): Problem =>
  new Problem(
    'not_retryable',
    `Cannot retry the job: it is ${status}; only failed, cancelled and expired jobs can be`,
    { param: 'id' },
  );

/** A body is optional here. */
const isEmpty = (body: unknown): boolean => !Buffer.isBuffer(body) || body.length === 0;
