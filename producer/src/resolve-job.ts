/** A valid request -> a job row: which chain, which targets, which first. Pure but for ids and the turn handed in. */

import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { ChainSettings, Settings } from '@waybill/shared/config/settings.ts';
import { defaultExpiryMs, priorityRank, splitTarget } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { nearestHint } from '@waybill/shared/domain/strict-object.ts';
import { type Candidate, candidates } from '@waybill/shared/routing/candidates.ts';
import { type RequestNeeds, requestNeeds } from '@waybill/shared/routing/request-needs.ts';
import { orderTargets } from '@waybill/shared/routing/strategies.ts';
import { type SharedState, targetFacts } from '@waybill/shared/routing/target-facts.ts';
import type { NewJob } from '@waybill/shared/store/insert-jobs.ts';
import type { JobRequest } from './job-request.ts';

export interface ResolveInput {
  readonly id: string;
  readonly tenantId: string;
  readonly batchId: string | null;
  readonly webhookEndpointId: string | null;
  readonly traceId: string | null;
  readonly traceparent: string | null;
  readonly settings: Settings;
  readonly state: SharedState;
  /** Counts the jobs of this process, for `round_robin`. */
  readonly turn: number;
  readonly nowMs: number;
}

/** @throws Problem `no_provider_configured model_not_found no_eligible_target` */
export function resolveJob(job: JobRequest, input: ResolveInput): NewJob {
  const { settings } = input;
  const { endpoint, request } = job.body;
  const chain = chainFor(request.model, settings);
  const needs = requestNeeds(job.body);
  const route = chooseRoute({ ...job, ...needs }, chain, input);
  return {
    id: input.id,
    tenantId: input.tenantId,
    batchId: input.batchId,
    customId: job.customId,
    endpoint,
    priority: priorityRank(job.priority),
    requestedModel: request.model,
    chain: Object.hasOwn(settings.chains, request.model) ? request.model : null,
    targets: route.targets,
    target: route.target,
    provider: splitTarget(route.target).provider,
    configVersion: settings.version,
    require: job.require,
    excludeProviders: job.excludeProviders,
    estimatedTokens: needs.estimatedTokens,
    attemptTimeoutMs: job.attemptTimeoutMs,
    expiresInMs: job.expiresInMs ?? defaultExpiryMs[job.priority],
    metadata: job.metadata,
    webhookEndpointId: input.webhookEndpointId,
    runAt: job.runAt,
    traceId: input.traceId,
    traceparent: input.traceparent,
    request: JSON.stringify(request),
  };
}

/** No model has a space, a control character or half a surrogate pair in its name; the database takes no NUL. */
const targetForm = /^[^/]+\/[^\s\p{Cc}\p{Cs}]+$/u;

/** A model names a chain, or a target of a configured provider. */
export function chainFor(model: string, settings: Settings): ChainSettings {
  if (!Object.values(settings.providers).some((provider) => provider.enabled)) {
    throw new Problem(
      'no_provider_configured',
      'Cannot accept jobs: no provider is configured. Set a credential such as OPENAI_API_KEY, or start Ollama, and restart; `npm run waybill -- up` names what it found',
    );
  }
  // The name comes from outside: `constructor` and `__proto__` are no chains.
  const chain = Object.hasOwn(settings.chains, model) ? settings.chains[model] : undefined;
  if (chain) return chain;
  const { provider } = splitTarget(model);
  if (targetForm.test(model) && Object.hasOwn(settings.providers, provider)) return chainOfTarget(model);
  const known = [...Object.keys(settings.chains), ...Object.keys(settings.providers).map((id) => `${id}/<model>`)];
  throw new Problem(
    'model_not_found',
    `Cannot route the job: "${model.slice(0, 100)}" names no chain and no target. Known: ${known.slice(0, 12).join(', ')}${nearestHint(model, Object.keys(settings.chains))}`,
    { param: 'body.model' },
  );
}

/** Targets that can never serve this job leave its chain; those that cannot serve it now stay. */
const neverServes: ReadonlySet<string> = new Set(['capability', 'context_window', 'label', 'excluded']);

export interface RouteNeeds extends RequestNeeds {
  readonly require: readonly string[];
  readonly excludeProviders: readonly string[];
}

/** @throws Problem `no_eligible_target` */
export function chooseRoute(
  needs: RouteNeeds,
  chain: ChainSettings,
  input: Pick<ResolveInput, 'settings' | 'state' | 'turn' | 'nowMs'>,
): { targets: string[]; target: string } {
  const ordered = orderTargets(chain.targets, chain.strategy, input.turn);
  const found = candidates(ordered, needs, targetFacts(input.settings, input.state, input.nowMs));
  const usable = found.filter((candidate) => candidate.kind === 'eligible' || !neverServes.has(candidate.reason));
  const first = usable.find((candidate) => candidate.kind === 'eligible') ?? usable[0];
  if (!first)
    throw new Problem(
      'no_eligible_target',
      `Cannot route the job: no target of "${chain.name}" can serve it: ${reasons(found)}`,
      { param: 'body.model' },
    );
  return { targets: usable.map((candidate) => candidate.target), target: first.target };
}

const reasons = (found: readonly Candidate[]): string =>
  found
    .map((candidate) => `${candidate.target} ${candidate.kind === 'skipped' ? candidate.detail : ''}`.trim())
    .slice(0, 8)
    .join('; ');
