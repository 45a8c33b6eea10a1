/** `GET /v1/jobs/:id/stream`: a job's answer as it comes in, as server-sent events, until the job is final. */
import type { StreamName } from '@waybill/shared/coordination/chunks.ts';
import { isFinal, type JobStatus } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { findJob, type JobView } from '@waybill/shared/store/jobs.ts';
import type { Request, Response } from 'express';
import type { ApiContext } from '../api-context.ts';
import { toJobJson } from '../job-json.ts';
import { problemJson, toProblem } from '../problems.ts';
import { openSse, type Sse } from '../sse.ts';
import { formatPosition, parsePosition, type StreamPosition } from '../stream-position.ts';
import { createStreamReading, type Numbered, type StreamReading } from '../stream-reading.ts';
import { strictQuery } from '../strict-query.ts';

/** Signals and the store's own calls are hints: without them a reader looks this often. */
const pollMs = 2_000;
const stopCheckMs = 250;
/** Each holds a connection; more are asked to come back. */
const maxStreams = 1_000;

/** @param find the job of the caller's tenant. @throws Problem `not_found` */
export function createJobStream(context: ApiContext, find: (request: Request, response: Response) => Promise<JobView>) {
  let open = 0;
  return async (request: Request, response: Response): Promise<void> => {
    strictQuery(request, []);
    const from = positionOf(request);
    const { job } = await find(request, response);
    // To a browser this says not to connect again.
    if (from?.kind === 'done' && from.run === job.run && isFinal(job.status)) return void response.status(204).end();
    if (context.isStopping()) throw new Problem('shutting_down', 'Cannot stream the job: the server is stopping');
    if (open >= maxStreams)
      throw new Problem('too_many_streams', `Cannot stream the job: ${maxStreams} streams are open here`);
    const sse = openSse(response);
    if (request.method === 'HEAD') return sse.end();
    open += 1;
    try {
      await tell(job, from, sse, context);
    } catch (error) {
      const problem = toProblem(error);
      context.logger.warn({ err: error, job_id: job.id }, 'a stream ended with an error');
      await sse.send('error', problemJson(problem, response.locals.requestId as string));
      sse.end();
    } finally {
      open -= 1;
    }
  };
}

function positionOf(request: Request): StreamPosition | null {
  const id = request.get('last-event-id');
  if (id === undefined || id === '') return null;
  const position = parsePosition(id);
  if (position) return position;
  throw new Problem(
    'invalid_value',
    `Cannot go on from "${id.slice(0, 40)}": it is not the id of an event of a stream`,
    {
      param: 'Last-Event-ID',
    },
  );
}

async function tell(job: JobView['job'], from: StreamPosition | null, sse: Sse, context: ApiContext): Promise<void> {
  const stream: StreamName = { jobId: job.id, run: job.run };
  const reading = createStreamReading(job.run, from);
  const bell = createBell(stream, sse.gone, context);
  try {
    // Whoever comes after the end needs no pieces, unless to know what is left for it.
    let isPiecemeal = !isFinal(job.status) || from?.kind === 'chunk';
    for (;;) {
      // The status first: what was told before the end is in the store by then.
      const now = await bell.status(job);
      if (now === null) return sse.end('the job is gone');
      if (now.run !== job.run) return sse.end('the job was started again: connect again');
      if (isPiecemeal) await tellPages(reading, stream, sse, context);
      isPiecemeal = true;
      if (isFinal(now.status)) return await tellEnd(reading, job, sse, context);
      if (sse.gone.aborted) return;
      if (context.isStopping()) return sse.end('the server is stopping: connect again');
      await bell.wait();
    }
  } finally {
    bell.close();
  }
}

async function tellPages(reading: StreamReading, stream: StreamName, sse: Sse, context: ApiContext): Promise<void> {
  for (;;) {
    const page = await context.chunks.read(stream, reading.cursor).catch((error: unknown) => {
      // The output is told in the end all the same.
      context.logger.debug({ err: error, job_id: stream.jobId }, 'pieces of a streamed job could not be read');
      return undefined;
    });
    if (page === undefined || sse.gone.aborted) return;
    const { events, again } = reading.page(page);
    await sendAll(events, sse);
    if (!again && (page === null || page.events.length === 0)) return;
  }
}

async function tellEnd(
  reading: StreamReading,
  { id, tenant_id }: JobView['job'],
  sse: Sse,
  context: ApiContext,
): Promise<void> {
  const view = await findJob(context.database.kysely, tenant_id, id);
  if (view === null) return sse.end('the job is gone');
  await sendAll(reading.end(toJobJson(view)), sse);
  sse.end();
}

async function sendAll(events: readonly Numbered[], sse: Sse): Promise<void> {
  for (const { position, event } of events) {
    const { type, ...data } = event;
    await sse.send(type, data, position === null ? null : formatPosition(position));
  }
}

interface Bell {
  /** The job's status, read when it was told to be final, and now and then. */
  status(job: JobView['job']): Promise<{ status: JobStatus; run: number } | null>;
  /** Until something may have happened. */
  wait(): Promise<void>;
  close(): void;
}

function createBell(stream: StreamName, gone: AbortSignal, context: ApiContext): Bell {
  const { chunks, coordination, database, isStopping } = context;
  let rung = Promise.withResolvers<void>();
  let readAt = Number.NEGATIVE_INFINITY;
  let last: { status: JobStatus; run: number } | null = null;
  const ring = () => rung.resolve();
  const offSignal = coordination.subscribe((signal) => {
    if (signal.type !== 'final' || signal.jobId !== stream.jobId) return;
    readAt = Number.NEGATIVE_INFINITY;
    ring();
  });
  const offChunks = chunks.watch(stream, ring);
  const stopCheck = setInterval(() => {
    if (isStopping()) ring();
  }, stopCheckMs);
  gone.addEventListener('abort', ring);
  return {
    async status({ id, tenant_id }) {
      if (performance.now() - readAt < pollMs) return last;
      readAt = performance.now();
      last =
        (await database.kysely
          .selectFrom('waybill.jobs')
          .select(['status', 'run'])
          .where('id', '=', id)
          .where('tenant_id', '=', tenant_id)
          .executeTakeFirst()) ?? null;
      return last;
    },
    async wait() {
      const timer = setTimeout(ring, pollMs);
      await rung.promise;
      clearTimeout(timer);
      rung = Promise.withResolvers<void>();
    },
    close() {
      clearInterval(stopCheck);
      offSignal();
      offChunks();
      gone.removeEventListener('abort', ring);
    },
  };
}
