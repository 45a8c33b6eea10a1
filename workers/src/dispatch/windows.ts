/** The window of every target, from the fleet's throughput and the configured concurrency. */
import { concurrencyOf } from '@waybill/shared/config/model-settings.ts';
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { FleetView } from '@waybill/shared/coordination/fleet-view.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { windowSize } from '@waybill/shared/routing/window.ts';

const unconfiguredConcurrency = 32;

export async function windowsOf(fleet: FleetView, settings: Settings): Promise<(target: string) => number> {
  const { throughput, breakers } = await fleet.read();
  return (target) => {
    // No more than the one call that finds out whether it is well again.
    if (breakers.has(target)) return 1;
    const { provider: id, model } = splitTarget(target);
    const provider = settings.providers[id];
    return windowSize(throughput.get(target) ?? 0, provider ? concurrencyOf(provider, model) : unconfiguredConcurrency);
  };
}
