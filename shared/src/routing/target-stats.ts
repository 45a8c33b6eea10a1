/** What is usual of a target, and what a request would cost there: what strategies order by. */
import { concurrencyOf } from '../config/model-settings.ts';
import type { Settings } from '../config/settings.ts';
import type { FleetState } from '../coordination/coordination.ts';
import { splitTarget } from '../domain/job.ts';
import { expectedCost, tokenPriceOf } from '../pricing/estimate.ts';
import type { CallSize } from './limits.ts';
import type { TargetStats } from './strategies.ts';

export type UsualState = Pick<FleetState, 'throughput' | 'usual'>;

const unknown: TargetStats = { costNano: null, latencyMs: null, reliability: null, freeCapacity: 0 };

export function targetStats(
  settings: Settings,
  { throughput, usual }: UsualState,
  size: CallSize,
  nowMs: number,
): (target: string) => TargetStats {
  return (target) => {
    const { provider: id, model } = splitTarget(target);
    const provider = settings.providers[id];
    if (!provider) return unknown;
    const { latencyMs, reliability } = usual.get(target) ?? { latencyMs: null, reliability: null };
    // Calls under way are those that end per second, times how long they take.
    const underWay = ((throughput.get(target) ?? 0) * (latencyMs ?? 0)) / 1_000;
    return {
      costNano: expectedCost(tokenPriceOf(provider, model, size.inputTokens, new Date(nowMs)), size),
      latencyMs,
      reliability,
      freeCapacity: Math.max(0, concurrencyOf(provider, model) - underWay),
    };
  };
}
