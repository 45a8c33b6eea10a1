/** Where a job may go now: its chain's policy as configured now, and what stands against each of its targets. */
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { ChainSettings, Settings } from '@waybill/shared/config/settings.ts';
import { type Candidate, candidates } from '@waybill/shared/routing/candidates.ts';
import { needsOf, sizeOf } from '@waybill/shared/routing/job-needs.ts';
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
