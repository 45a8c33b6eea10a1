/** `GET /v1/jobs/:id/explain`: why a job went where it went, and how its targets stand now. */
import { credentialRefs } from '@waybill/shared/config/credential-refs.ts';
import { readBudgetStandings } from '@waybill/shared/store/budget-standing.ts';
import { readDecisions } from '@waybill/shared/store/decisions.ts';
import type { JobView } from '@waybill/shared/store/jobs.ts';
import type { Request, Response } from 'express';
import type { ApiContext } from '../api-context.ts';
import { callerOf } from '../authentication.ts';
import { callCosts } from '../call-costs.ts';
import { toExplanationJson } from '../explain-json.ts';
import type { QueuePlace } from '../job-json.ts';
import { strictQuery } from '../strict-query.ts';
import { targetsNow } from '../targets-now.ts';

export async function explain(
  view: JobView,
  place: QueuePlace,
  request: Request,
  response: Response,
  context: ApiContext,
): Promise<void> {
  strictQuery(request, []);
  const { database } = context;
  const { job } = view;
  const settings = context.settings();
  const nowMs = Date.now();
  const state = { ...(await context.fleet.read()), credentialsOf: credentialRefs };
  const [decisions, stored] = await Promise.all([
    readDecisions(database, job.id),
    database.kysely.selectFrom('waybill.payloads').select('request').where('job_id', '=', job.id).executeTakeFirst(),
  ]);
  const needs = {
    inputTokens: job.estimated_tokens - job.estimated_output,
    outputTokens: job.estimated_output,
    inputBound: job.input_bound,
    outputBound: job.output_bound,
  };
  const asker = {
    tenantId: job.tenant_id,
    apiKeyId: job.api_key_id,
    endUser: job.end_user,
    metadata: job.metadata,
    estimatedTokens: job.estimated_tokens,
    estimatedOutput: job.estimated_output,
    ...{ inputBound: job.input_bound, outputBound: job.output_bound },
  };
  const { prices } = callCosts(job.target, needs, settings, nowMs);
  const standings = await readBudgetStandings(database, asker, [{ target: job.target, prices }], settings.budgets);
  response.json(
    toExplanationJson({
      ...{ view, place, decisions, standings, settings, nowMs },
      candidates: targetsNow(job, stored?.request ?? null, settings, state, nowMs),
      seesAll: callerOf(response).scopes.includes('admin'),
    }),
  );
}
