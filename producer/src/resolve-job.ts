/** A valid request -> a job row: which chain, which targets, which first. Pure but for ids and what is handed in. */
import { defaultExpiryMs, priorityRank, splitTarget } from '@waybill/shared/domain/job.ts';
import { skippedJson } from '@waybill/shared/routing/candidates.ts';
import type { NewJob } from '@waybill/shared/store/insert-jobs.ts';
import { findRoute, type RouteInput, startOf } from './choose-route.ts';
import { type HistorySize, withTurn } from './history-sizes.ts';
import type { JobRequest } from './job-request.ts';

export interface ResolveInput extends RouteInput {
  readonly id: string;
  readonly apiKeyId: string;
  readonly batchId: string | null;
  readonly webhookEndpointId: string | null;
  readonly traceId: string | null;
  readonly traceparent: string | null;
  /** Of its conversation so far. */
  readonly history: HistorySize;
}

/** @throws Problem `no_provider_configured model_not_found no_eligible_target` */
export function resolveJob(job: JobRequest, input: ResolveInput): NewJob {
  const { endpoint, request } = job.body;
  const { model } = request;
  const require = [...job.require, ...input.history.require];
  const route = findRoute({ ...job, model, require, historyTokens: input.history.tokens }, input);
  const { needs } = route;
  const { targets, target } = startOf(route);
  return {
    id: input.id,
    tenantId: input.tenantId,
    apiKeyId: input.apiKeyId,
    endUser: request.user ?? null,
    batchId: input.batchId,
    customId: job.customId,
    endpoint,
    priority: priorityRank(job.priority),
    requestedModel: model,
    chain: route.chainName,
    targets,
    target,
    provider: splitTarget(target).provider,
    configVersion: input.settings.version,
    require: route.require,
    excludeProviders: route.excludeProviders,
    detected: route.detected,
    estimatedTokens: needs.estimatedTokens,
    estimatedOutput: needs.outputTokens,
    inputBound: needs.inputBound,
    outputBound: needs.outputBound,
    maxCostNano: job.maxCostNano,
    conversation: job.conversation,
    conversationTokens: job.conversation === null ? null : withTurn(input.history, route.ownTokens),
    attemptTimeoutMs: job.attemptTimeoutMs,
    expiresInMs: job.expiresInMs ?? defaultExpiryMs[job.priority],
    metadata: job.metadata,
    webhookEndpointId: input.webhookEndpointId,
    webhookEvents: job.webhookEvents,
    runAt: job.runAt,
    traceId: input.traceId,
    traceparent: input.traceparent,
    skipped: skippedJson(route.candidates),
    request: JSON.stringify(request),
  };
}
