/** The targets of a stored job as they stand now: its own first, then those its chain has besides. Pure. */
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import { type Candidate, candidates } from '@waybill/shared/routing/candidates.ts';
import { type JobOfNeeds, needsOf } from '@waybill/shared/routing/job-needs.ts';
import { requestNeeds, storedBody } from '@waybill/shared/routing/request-needs.ts';
import { type SharedState, targetFacts } from '@waybill/shared/routing/target-facts.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';

type JobOfRoute = JobOfNeeds & Pick<JobRow, 'chain' | 'requested_model' | 'targets' | 'endpoint'>;

/** @param request the stored text; null: it is gone, and what it asks of a model is not looked at */
export function targetsNow(
  job: JobOfRoute,
  request: string | null,
  settings: Settings,
  state: SharedState,
  nowMs: number,
): Candidate[] {
  const own = job.chain !== null && Object.hasOwn(settings.chains, job.chain) ? settings.chains[job.chain] : undefined;
  const chain = own ?? (job.chain === null ? chainOfTarget(job.requested_model) : null);
  const targets = [...new Set([...job.targets, ...(chain?.targets ?? [])])];
  const needs = request === null ? null : requestNeeds(storedBody(job.endpoint, request));
  const asked = {
    ...needsOf(job, settings),
    capabilities: needs?.capabilities ?? [],
    windowTokens: needs?.windowTokens ?? 0,
  };
  return candidates(targets, asked, targetFacts(settings, state, nowMs));
}
