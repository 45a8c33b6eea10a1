/** Where a job may go now: its chain's policy as configured now, and what stands against each of its targets. */
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { ChainSettings, Settings } from '@waybill/shared/config/settings.ts';
import { requiredOf, tenantSettings } from '@waybill/shared/config/tenant-settings.ts';
import { type Candidate, candidates, type JobNeeds } from '@waybill/shared/routing/candidates.ts';
import type { CallSize } from '@waybill/shared/routing/limits.ts';
import { fallbackOrder } from '@waybill/shared/routing/strategies.ts';
import { targetFacts } from '@waybill/shared/routing/target-facts.ts';
import { targetStats } from '@waybill/shared/routing/target-stats.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { sharedState } from '../shared-state.ts';
import type { WorkerContext } from '../worker-context.ts';

/** A chain that vanished leaves its targets with the default policy. */
export function chainOf(job: Pick<JobRow, 'chain' | 'requested_model' | 'targets'>, settings: Settings): ChainSettings {
  const chain = job.chain === null ? undefined : settings.chains[job.chain];
  return { ...(chain ?? chainOfTarget(job.requested_model)), targets: job.targets };
}

export const sizeOf = (job: Pick<JobRow, 'estimated_tokens' | 'estimated_output'>): CallSize => ({
  inputTokens: job.estimated_tokens - job.estimated_output,
  outputTokens: job.estimated_output,
});

type JobOfNeeds = Pick<JobRow, 'tenant_id' | 'require' | 'exclude_providers' | 'estimated_tokens' | 'estimated_output'>;

/** The row's targets were filtered by capability and window when it was accepted; what its tenant wants may be new. */
export const needsOf = (job: JobOfNeeds, settings: Pick<Settings, 'privacy' | 'tenants'>): JobNeeds => ({
  capabilities: [],
  windowTokens: 0,
  size: sizeOf(job),
  require: [...new Set([...job.require, ...requiredOf(settings, job.tenant_id)])],
  excludeProviders: [...job.exclude_providers, ...tenantSettings(settings, job.tenant_id).excludeProviders],
});

/** In the order of its turn; or, where the chain says so, what is left in the order of its cost. */
export async function candidatesOf(job: JobRow, chain: ChainSettings, context: WorkerContext): Promise<Candidate[]> {
  const settings = context.settings();
  const nowMs = context.now();
  const targets =
    chain.onUnavailable === 'cheapest'
      ? fallbackOrder(job.targets, targetStats(settings, await context.fleet.read(), sizeOf(job), nowMs))
      : job.targets;
  return candidates(targets, needsOf(job, settings), targetFacts(settings, await sharedState(context), nowMs));
}

/** What stood against the others, as JSON text; null: nothing. */
export function skippedJson(found: readonly Candidate[]): string | null {
  const skipped = found.filter((candidate) => candidate.kind === 'skipped');
  return skipped.length === 0
    ? null
    : JSON.stringify(skipped.slice(0, 32).map(({ target, reason, detail }) => ({ target, reason, detail })));
}
