/**
 * Accepting work: validate, resolve, store, and ring the bell.
 *
 * The answer 202 means that the row is committed. The entry is added afterwards by whoever marked the row; losing
 * that step costs time, not the job.
 */
import { createHash } from 'node:crypto';
import type { Span } from '@opentelemetry/api';
import { credentialRefs } from '@waybill/shared/config/credential-refs.ts';
import { concurrencyOf } from '@waybill/shared/config/model-settings.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import type { FleetView } from '@waybill/shared/coordination/fleet-view.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { faultsOf } from '@waybill/shared/domain/strict-object.ts';
import { addJobEntries } from '@waybill/shared/queue/job-entries.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import { windowSize } from '@waybill/shared/routing/window.ts';
import { collectTick } from '@waybill/shared/store/collect-tick.ts';
import type { Database, Trx } from '@waybill/shared/store/database.ts';
import {
  findAnswer,
  type IdempotencyKey,
  type KnownKey,
  reserveKey,
  storeAnswer,
} from '@waybill/shared/store/idempotency.ts';
import { insertJobs, type NewJob } from '@waybill/shared/store/insert-jobs.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import type { Caller } from '@waybill/shared/store/tenants.ts';
import { createEndpointFinder } from '@waybill/shared/store/webhook-endpoints.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { attribute } from '@waybill/shared/telemetry/names.ts';
import { inSpan, traceIdOf, traceparentOf } from '@waybill/shared/telemetry/tracing.ts';
import { createBudgetCheck } from './budget-check.ts';
import { createHistorySizes, noHistory } from './history-sizes.ts';
import { type JobJson, toJobJson } from './job-json.ts';
import { type JobRequest, parseJobRequest } from './job-request.ts';
import { problemOf } from './problems.ts';
import type { Receivers } from './receivers.ts';
import { resolveJob } from './resolve-job.ts';

export const maxBulkJobs = 1_000;
const maxGroup = 200;
const maxStatements = 2;
const addTimeoutMs = 2_000;

export interface EnqueueDeps {
  readonly database: Database;
  readonly queues: QueueBackend;
  readonly coordination: Coordination;
  readonly fleet: FleetView;
  readonly settings: () => Settings;
  readonly receivers: Receivers;
  readonly logger: Logger;
}

/** A stored answer: what is sent now, and again to the same Idempotency-Key. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly isReplayed: boolean;
}

export type Submitter = Pick<Caller, 'tenantId' | 'keyId'>;

export interface Enqueue {
  one(caller: Submitter, body: unknown, key: IdempotencyKey | null): Promise<Answer>;
  many(caller: Submitter, body: Record<string, unknown>, key: IdempotencyKey | null): Promise<Answer>;
}

export function createEnqueue(deps: EnqueueDeps): Enqueue {
  const { database } = deps;
  const shared: Shared = { turns: 0, endpointFor: createEndpointFinder(database.kysely) };
  const insertInTick = collectTick((jobs: readonly NewJob[]) => insert(database.kysely, jobs, deps), {
    maxItems: maxGroup,
    maxInFlight: maxStatements,
  });
  return {
    one: (caller, body, key) =>
      inEnqueueSpan(caller.tenantId, 1, async (span) => {
        const known = await storedAnswer(database, key);
        if (known) return known;
        const resolve = await createResolver(caller, null, span, shared, deps);
        const job = await resolve(parse(body, ''), '');
        const answerOf = (rows: readonly JobRow[]) => JSON.stringify(rows.map(toNewJobJson)[0]);
        if (key !== null) return storeAndRing([job], key, answerOf, null, deps);
        const row = await insertInTick(job);
        await ring([row], deps);
        return { status: 202, body: answerOf([row]), isReplayed: false };
      }),
    many: (caller, body, key) =>
      inEnqueueSpan(caller.tenantId, 0, async (span) => {
        const known = await storedAnswer(database, key);
        if (known) return known;
        const requests = parseBulk(body);
        const batch = { id: newId('batch'), total: requests.length };
        const resolve = await createResolver(caller, batch.id, span, shared, deps);
        const jobs: NewJob[] = [];
        for (const [index, request] of requests.entries()) jobs.push(await resolve(request, `jobs[${index}].`));
        const answerOf = (rows: readonly JobRow[]) =>
          JSON.stringify({ object: 'list', batch_id: batch.id, data: rows.map(toNewJobJson) });
        return storeAndRing(jobs, key, answerOf, batch, deps);
      }),
  };
}

/** What all requests share. */
interface Shared {
  /** Counts the jobs, for `round_robin`. */
  turns: number;
  readonly endpointFor: ReturnType<typeof createEndpointFinder>;
}

/** Resolves the jobs of one request: the state of the targets is read once, each receiver is checked once. */
async function createResolver(
  { tenantId, keyId }: Submitter,
  batchId: string | null,
  span: Span,
  shared: Shared,
  deps: EnqueueDeps,
): Promise<(job: JobRequest, path: string) => Promise<NewJob>> {
  const { receivers, fleet, database } = deps;
  const historyOf = createHistorySizes(database, tenantId);
  const checkBudget = createBudgetCheck(deps.settings(), database);
  const endpoints = new Map<string, string>();
  const context = {
    tenantId,
    apiKeyId: keyId,
    batchId,
    webhookEndpointId: null,
    traceId: traceIdOf(span),
    traceparent: traceparentOf(span),
    settings: deps.settings(),
    state: { ...(await fleet.read()), credentialsOf: credentialRefs },
    nowMs: Date.now(),
    random: Math.random,
  };
  const endpointIdOf = async (url: string, param: string): Promise<string> => {
    const known = endpoints.get(url);
    if (known !== undefined) return known;
    const id = await shared.endpointFor(tenantId, await receivers.check(url, param));
    endpoints.set(url, id);
    return id;
  };
  return async (job, path) => {
    shared.turns += 1;
    try {
      const history = job.conversation === null ? noHistory : await historyOf(job.conversation);
      const resolved = resolveJob(job, { ...context, id: newId('job'), turn: shared.turns, history });
      await checkBudget(resolved);
      // Last, because it writes: a job that is refused leaves no endpoint behind.
      return job.webhookUrl === null
        ? resolved
        : { ...resolved, webhookEndpointId: await endpointIdOf(job.webhookUrl, 'webhook_url') };
    } catch (error) {
      throw withPath(error, path);
    }
  };
}

async function storeAndRing(
  jobs: readonly NewJob[],
  key: IdempotencyKey | null,
  answerOf: (rows: readonly JobRow[]) => string,
  batch: { id: string; total: number } | null,
  deps: EnqueueDeps,
): Promise<Answer> {
  const stored = await deps.database.transaction((trx) => storeTogether(trx, jobs, key, answerOf, batch, deps));
  await ring(stored.rows, deps);
  return stored.answer;
}

/** Names the job at fault in a batch. */
function withPath(error: unknown, path: string): unknown {
  if (!(error instanceof Problem) || path === '') return error;
  return new Problem(error.code, error.message, {
    param: `${path}${error.param ?? ''}`.replace(/\.$/, ''),
    cause: error,
  });
}

const toNewJobJson = (job: JobRow): JobJson => toJobJson({ job, attempts: [], output: null });

function inEnqueueSpan<T>(tenantId: string, count: number, work: (span: Span) => Promise<T>): Promise<T> {
  const attributes = {
    [attribute.messagingSystem]: 'bullmq',
    [attribute.messagingOperation]: 'send',
    [attribute.tenantId]: tenantId,
    'messaging.batch.message_count': count,
  };
  return inSpan('enqueue', { kind: 'producer', attributes }, work);
}

function parse(value: unknown, path: string): JobRequest {
  const parsed = parseJobRequest(value);
  if (parsed.kind === 'ok') return parsed.job;
  throw problemOf(faultsOf(parsed.error, path), 'accept the job');
}

function parseBulk(body: Record<string, unknown>): JobRequest[] {
  const unknownKey = Object.keys(body).find((key) => key !== 'jobs');
  if (unknownKey !== undefined)
    throw new Problem(
      'unknown_field',
      `Cannot accept the batch: unknown field "${unknownKey.slice(0, 64)}"; the jobs stand in "jobs"`,
      { param: unknownKey.slice(0, 64) },
    );
  const jobs = body.jobs;
  if (!Array.isArray(jobs))
    throw new Problem('invalid_type', 'Cannot accept the batch: "jobs" must be a list of jobs', { param: 'jobs' });
  if (jobs.length === 0)
    throw new Problem('empty_batch', 'Cannot accept the batch: "jobs" is empty', { param: 'jobs' });
  if (jobs.length > maxBulkJobs)
    throw new Problem(
      'too_many_items',
      `Cannot accept the batch: ${jobs.length} jobs, at most ${maxBulkJobs} are taken at once. Send it in parts`,
      { param: 'jobs' },
    );
  const requests = jobs.map((job, index) => parse(job, `jobs[${index}]`));
  const seen = new Map<string, number>();
  for (const [index, { customId }] of requests.entries()) {
    const first = customId === null ? undefined : seen.get(customId);
    if (first !== undefined)
      throw new Problem(
        'duplicate_custom_id',
        `Cannot accept the batch: jobs ${first} and ${index} have the same custom_id`,
        { param: `jobs[${index}].custom_id` },
      );
    if (customId !== null) seen.set(customId, index);
  }
  return requests;
}

async function storeTogether(
  trx: Trx,
  jobs: readonly NewJob[],
  key: IdempotencyKey | null,
  answerOf: (rows: readonly JobRow[]) => string,
  batch: { id: string; total: number } | null,
  deps: EnqueueDeps,
): Promise<{ rows: readonly JobRow[]; answer: Answer }> {
  if (key !== null) {
    const reservation = await reserveKey(trx, key);
    if (reservation.kind !== 'new') return { rows: [], answer: replay(reservation) };
  }
  const [tenant] = jobs;
  if (batch && tenant)
    await trx
      .insertInto('waybill.batches')
      .values({ id: batch.id, tenant_id: tenant.tenantId, total: batch.total })
      .execute();
  const rows = await insert(trx, jobs, deps);
  const body = answerOf(rows);
  if (key !== null) await storeAnswer(trx, key, 202, body);
  return { rows, answer: { status: 202, body, isReplayed: false } };
}

/** Before the body is judged: what was accepted once is answered alike, though its `run_at` or model is gone since. */
async function storedAnswer({ kysely }: Database, key: IdempotencyKey | null): Promise<Answer | null> {
  const known = key === null ? null : await findAnswer(kysely, key);
  return known && replay(known);
}

/** @throws Problem when the key was used with another body */
function replay(known: KnownKey): Answer {
  if (known.kind === 'reused') throw keyReused();
  return { status: known.status, body: known.response, isReplayed: true };
}

export const keyReused = (): Problem =>
  new Problem(
    'idempotency_key_reused',
    'Cannot repeat the request: the Idempotency-Key was used with another body. Use a new key',
    { param: 'idempotency-key' },
  );

function insert(db: Database['kysely'], jobs: readonly NewJob[], { settings, queues }: EnqueueDeps): Promise<JobRow[]> {
  // Without a queue nothing is marked: the dispatcher will, when there is one.
  const sizeOf = (target: string) => (queues.isReachable() ? windowAtSubmit(target, settings()) : 0);
  const windows = new Map(jobs.map((job) => [job.target, sizeOf(job.target)]));
  return insertJobs(db, jobs, windows);
}

/** A submit needs an empty backlog anyway, so the least window is enough; throughput is the dispatcher's to read. */
function windowAtSubmit(target: string, settings: Settings): number {
  const { provider: id, model } = splitTarget(target);
  const provider = settings.providers[id];
  return windowSize(0, provider ? concurrencyOf(provider, model) : 32);
}

/** Adds the entries of the rows that were marked, in bounded time; wakes the dispatcher for the others. */
async function ring(rows: readonly JobRow[], { queues, coordination, logger }: EnqueueDeps): Promise<void> {
  const marked = rows.filter((row) => row.dispatched_at !== null);
  if (marked.length < rows.length) coordination.publish({ type: 'work' });
  if (marked.length === 0) return;
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, addTimeoutMs);
  const added = addJobEntries(queues, marked, 'submitted').catch((error: unknown) =>
    logger.warn({ err: error, jobs: marked.length }, 'entries could not be added; the sweep will'),
  );
  await Promise.race([added, limit.promise]);
  clearTimeout(timer);
}

/** The hash of a body, whatever the order of its keys. */
export function fingerprintOf(body: unknown): string {
  const canonical = JSON.stringify(body, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return createHash('sha256')
    .update(canonical ?? '')
    .digest('hex');
}
