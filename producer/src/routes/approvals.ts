/** `POST /v1/jobs/:id/approve` and `/refuse`: a job of a chain in `manual` mode goes on to its next target, or ends. */
import type { JobStatus } from '@waybill/shared/domain/job.ts';
import { Problem, type ProblemCode } from '@waybill/shared/domain/problem.ts';
import { faultsOf, strictObject } from '@waybill/shared/domain/strict-object.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import { approveJob, refuseJob, type Verdict } from '@waybill/shared/store/approvals.ts';
import type { JobView } from '@waybill/shared/store/jobs.ts';
import type { Request, Response } from 'express';
import { z } from 'zod';
import type { ApiContext } from '../api-context.ts';
import { callerOf } from '../authentication.ts';
import { toJobJson } from '../job-json.ts';
import { problemOf } from '../problems.ts';
import { jsonBody } from '../read-body.ts';
import { strictQuery } from '../strict-query.ts';

/** Reads a job of the caller's own tenant anew. */
type ReadView = () => Promise<JobView>;

export async function approve(view: ReadView, request: Request, response: Response, context: ApiContext) {
  strictQuery(request, []);
  if (hasBody(request)) parse(approval, jsonBody(request), 'approve the job');
  const { attempts, job: before } = await view();
  const job = await approveJob(context.database, verdictOn(before.id, response, context), new Date());
  if (job === null) throw refusalOf('approve', (await view()).job.status);
  context.coordination.publish({ type: 'work' });
  response.status(202).json(toJobJson({ job, attempts, output: null }));
}

export async function refuse(view: ReadView, request: Request, response: Response, context: ApiContext) {
  strictQuery(request, []);
  const reason = hasBody(request) ? (parse(refusal, jsonBody(request), 'refuse the job').reason ?? null) : null;
  const { job: before } = await view();
  const ended = await refuseJob(context.database, verdictOn(before.id, response, context), reason);
  if (ended === null) throw refusalOf('refuse', (await view()).job.status);
  await tellEnded(ended, context);
  response.json(toJobJson(await view()));
}

function verdictOn(id: string, response: Response, { settings }: ApiContext): Verdict {
  const { tenantId, keyId } = callerOf(response);
  return { tenantId, id, actor: keyId, configVersion: settings().version };
}

const refusalOf = (action: 'approve' | 'refuse', status: JobStatus): Problem =>
  new Problem(
    'not_awaiting_approval',
    status === 'awaiting_approval'
      ? `Cannot ${action} the job: its deadline is over`
      : `Cannot ${action} the job: it is ${status}; only a job that is awaiting_approval can be`,
    { param: 'id' },
  );

const as = (code: ProblemCode, message: string) => ({ message, params: { code } });
const approval = strictObject({});
const refusal = strictObject({
  reason: z
    .string()
    .min(1)
    .max(300)
    .refine((text) => text.isWellFormed(), as('invalid_unicode', 'the reason holds half a surrogate pair'))
    .refine((text) => !/\p{Cc}/u.test(text), as('control_character', 'the reason holds a control character'))
    .nullish(),
});

function parse<T>(schema: z.ZodType<T>, body: unknown, action: string): T {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw problemOf(faultsOf(parsed.error), action);
  return parsed.data;
}

/** A body is optional here. */
const hasBody = ({ body }: Request): boolean => Buffer.isBuffer(body) && body.length > 0;
