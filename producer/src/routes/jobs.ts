/** `/v1/jobs`: submit, read, list, cancel, retry. */
import { credentialRefs } from '@waybill/shared/config/credential-refs.ts';
import { parseDuration } from '@waybill/shared/domain/duration.ts';
import { entryId, isId } from '@waybill/shared/domain/ids.ts';
import { isFinal, type JobStatus, jobStatuses, splitTarget } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import { requestNeeds, storedBody } from '@waybill/shared/routing/request-needs.ts';
import { batchCounts } from '@waybill/shared/store/batch-stats.ts';
import { cancelJob, retryJob } from '@waybill/shared/store/job-end.ts';
import { findJob, type JobRow, type JobView, listJobs, placeInBacklog } from '@waybill/shared/store/jobs.ts';
import { type Request, type Response, Router } from 'express';
import type { ApiContext } from '../api-context.ts';
import { callerOf, requireScope } from '../authentication.ts';
import type { Answer } from '../enqueue.ts';
import { idempotencyKeyOf } from '../idempotency-key.ts';
import { toJobJson } from '../job-json.ts';
import { onlyMethods } from '../methods.ts';
import { jsonBody, readBody } from '../read-body.ts';
import { chainFor, chooseRoute } from '../resolve-job.ts';
import { strictQuery } from '../strict-query.ts';
import { createJobStream } from './job-stream.ts';
import { notBuilt } from './not-built.ts';

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
      sendAnswer(response, await context.enqueue.one(tenantId, body, idempotencyKeyOf(request, tenantId, body)));
    })
    .get(read, (request, response) => list(request, response, context))
    .all(onlyMethods('GET', 'POST'));
  router
    .route('/bulk')
    .post(write, readBody, async (request, response) => {
      const { tenantId } = callerOf(response);
      strictQuery(request, []);
      const body = jsonBody(request);
      sendAnswer(response, await context.enqueue.many(tenantId, body, idempotencyKeyOf(request, tenantId, body)));
    })
    .all(onlyMethods('POST'));
  // Before `/:id`, which would take them for ids.
  router.all(['/estimate', '/actions'], notBuilt);
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
    .post(write, (request, response) => retry(request, response, context))
    .all(onlyMethods('POST'));
  return router;
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
  response.json(toJobJson(found ?? first, await placeOf(found ?? first, context)));
}

async function placeOf({ job }: JobView, { database, fleet }: ApiContext) {
  const place = await placeInBacklog(database.kysely, job);
  if (place === null) return { position: null, etaMs: null };
  const rate = ((await fleet.read()).throughput.get(job.target) ?? 0) * place.share;
  return { position: place.position, etaMs: rate > 0 ? Math.round((place.position / rate) * 1_000) : null };
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
  const { database, coordination, settings } = context;
  strictQuery(request, []);
  const before = await view(request, response, context);
  const { tenant_id: tenantId, id } = before.job;
  const again = await routeStored(before.job, context);
  const job = await retryJob(database, tenantId, id, { ...again, configVersion: settings().version });
  if (!job)
    throw new Problem(
      'not_retryable',
      `Cannot retry the job: it is ${before.job.status}; only failed, cancelled and expired jobs can be`,
      { param: 'id' },
    );
  coordination.publish({ type: 'work' });
  response.status(202).json(toJobJson({ job, attempts: before.attempts, output: null }));
}

/** The route of a stored job as the configuration is now: what it required and excluded holds for its next run too. */
async function routeStored(job: JobRow, { database, settings, fleet }: ApiContext) {
  const { request } = await database.kysely
    .selectFrom('waybill.payloads')
    .select('request')
    .where('job_id', '=', job.id)
    .executeTakeFirstOrThrow();
  const needs = {
    ...requestNeeds(storedBody(job.endpoint, request)),
    require: job.require,
    excludeProviders: job.exclude_providers,
  };
  const { targets, target } = chooseRoute(needs, chainFor(job.requested_model, settings()), {
    settings: settings(),
    state: { ...(await fleet.read()), credentialsOf: credentialRefs },
    turn: 0,
    nowMs: Date.now(),
  });
  return { targets, target, provider: splitTarget(target).provider };
}
