/** `POST /v1/jobs/estimate`: where a job would go now, what it would wait for, and what it would cost. Nothing is stored. */
import { credentialRefs } from '@waybill/shared/config/credential-refs.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import { priorityRank } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { faultsOf } from '@waybill/shared/domain/strict-object.ts';
import { type BudgetAsker, readBudgetStandings } from '@waybill/shared/store/budget-standing.ts';
import { placeInBacklog } from '@waybill/shared/store/jobs.ts';
import type { Caller } from '@waybill/shared/store/tenants.ts';
import type { Request, RequestHandler, Response } from 'express';
import type { ApiContext } from '../api-context.ts';
import { callerOf, requireScope } from '../authentication.ts';
import { callCosts } from '../call-costs.ts';
import { findRoute, type Route, startOf } from '../choose-route.ts';
import { toEstimateJson } from '../estimate-json.ts';
import { createHistorySizes, noHistory } from '../history-sizes.ts';
import { type QueuePlace, toQueuePlace } from '../job-json.ts';
import { type JobRequest, parseJobRequest } from '../job-request.ts';
import { problemOf } from '../problems.ts';
import { jsonBody } from '../read-body.ts';
import { strictQuery } from '../strict-query.ts';

/** Whoever may read jobs, and whoever may send them. */
export function readOrWrite({ authenticator }: Pick<ApiContext, 'authenticator'>): RequestHandler {
  const read = requireScope(authenticator, 'jobs:read');
  const write = requireScope(authenticator, 'jobs:write');
  return async (request, response, next) => {
    try {
      await read(request, response, next);
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'insufficient_scope') throw error;
      await write(request, response, next);
    }
  };
}

/** @throws Problem, as `POST /v1/jobs`; but a request that no target can serve is answered too */
export async function estimate(request: Request, response: Response, context: ApiContext): Promise<void> {
  strictQuery(request, []);
  const parsed = parseJobRequest(jsonBody(request));
  if (parsed.kind === 'faults') throw problemOf(faultsOf(parsed.error), 'estimate the job');
  const { job } = parsed;
  if (job.webhookUrl !== null) await context.receivers.check(job.webhookUrl, 'webhook_url');
  const caller = callerOf(response);
  const { model } = job.body.request;
  const settings = context.settings();
  const nowMs = Date.now();
  const fleet = await context.fleet.read();
  const history =
    job.conversation === null
      ? noHistory
      : await createHistorySizes(context.database, caller.tenantId)(job.conversation);
  const require = [...job.require, ...history.require];
  const state = { ...fleet, credentialsOf: credentialRefs };
  const route = findRoute(
    { ...job, model, require, historyTokens: history.tokens },
    { tenantId: caller.tenantId, settings, state, turn: 0, nowMs, random: Math.random },
  );
  const target = firstOf(route);
  const costs = new Map(
    route.candidates.map((each) => [each.target, callCosts(each.target, route.needs, settings, nowMs)]),
  );
  const asked = route.candidates.map((each) => ({
    target: each.target,
    prices: costs.get(each.target)?.prices ?? null,
  }));
  const standings = await readBudgetStandings(context.database, askerOf(job, route, caller), asked, settings.budgets);
  response.json(
    toEstimateJson({
      ...{ job, model, route, target, costs, standings, settings, nowMs },
      place: target === null ? null : await placeOfNew(target, job, caller.tenantId, context),
      isBehindTurn: job.conversation !== null && (await isBehindTurn(job.conversation, caller.tenantId, context)),
      seesAll: caller.scopes.includes('admin'),
    }),
  );
}

function firstOf(route: Route): string | null {
  try {
    return startOf(route).target;
  } catch (error) {
    if (error instanceof Problem && error.code === 'no_eligible_target') return null;
    throw error;
  }
}

const askerOf = (job: JobRequest, { needs }: Route, { tenantId, keyId }: Caller): BudgetAsker => ({
  tenantId,
  apiKeyId: keyId,
  endUser: job.body.request.user ?? null,
  metadata: job.metadata,
  estimatedTokens: needs.estimatedTokens,
  estimatedOutput: needs.outputTokens,
  inputBound: needs.inputBound,
  outputBound: needs.outputBound,
});

/** As if it had been stored now, without an entry. */
async function placeOfNew(
  target: string,
  { priority }: Pick<JobRequest, 'priority'>,
  tenantId: string,
  { database, fleet }: ApiContext,
): Promise<QueuePlace> {
  const place = await placeInBacklog(database.kysely, {
    id: newId('job'),
    tenant_id: tenantId,
    target,
    status: 'queued',
    priority: priorityRank(priority),
    precedence: 1,
    dispatched_at: null,
    available_at: new Date(),
  });
  return toQueuePlace(place, (await fleet.read()).throughput.get(target) ?? 0);
}

async function isBehindTurn(conversation: string, tenantId: string, { database }: ApiContext): Promise<boolean> {
  const other = await database.kysely
    .selectFrom('waybill.jobs')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('conversation', '=', conversation)
    .where('status', 'in', ['queued', 'in_progress', 'awaiting_approval'])
    .limit(1)
    .executeTakeFirst();
  return other !== undefined;
}
