/** The next run of a stored job: where the configuration sends it now, with what it required and excluded. */
import { credentialRefs } from '@waybill/shared/config/credential-refs.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { FleetView } from '@waybill/shared/coordination/fleet-view.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { storedBody } from '@waybill/shared/routing/request-needs.ts';
import type { NextRun } from '@waybill/shared/store/job-actions.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { checkModel as checkName, findRoute, startOf } from './choose-route.ts';

export type RouteAgain = (job: JobRow, request: string) => NextRun;

/**
 * The state of the targets is read once for all jobs.
 *
 * @param model another chain or target; null: each job's own
 * @throws Problem `model_not_found no_provider_configured`; of a single job also `no_eligible_target`
 */
export async function createRouteAgain(
  model: string | null,
  { settings: read, fleet }: { settings: () => Settings; fleet: FleetView },
): Promise<RouteAgain> {
  const settings = read();
  if (model !== null) checkModel(model, settings);
  const state = { ...(await fleet.read()), credentialsOf: credentialRefs };
  const nowMs = Date.now();
  let turn = 0;
  return (job, request) => {
    turn += 1;
    const wish = {
      body: storedBody(job.endpoint, request),
      model: model ?? job.requested_model,
      require: job.require,
      excludeProviders: job.exclude_providers,
      historyTokens: 0,
    };
    const input = { tenantId: job.tenant_id, settings, state, turn, nowMs, random: Math.random };
    const route = findRoute(wish, input);
    const { targets, target } = startOf(route);
    return {
      ...{ targets, target, provider: splitTarget(target).provider, configVersion: settings.version },
      ...{ chain: route.chainName, model, require: route.require, excludeProviders: route.excludeProviders },
      detected: route.detected,
    };
  };
}

/** Once for all jobs, and by the name of the field it came in. */
function checkModel(model: string, settings: Settings): void {
  try {
    checkName(model, settings);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'model_not_found') throw error;
    throw new Problem(error.code, error.message, { param: 'model', cause: error });
  }
}
