/** The pools: for each provider in use, workers that serve its queue. */
import { concurrencyOf } from '@waybill/shared/config/model-settings.ts';
import type { ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import type { QueueWorker } from '@waybill/shared/queue/queue.ts';
import { runEntry } from './attempt/run.ts';
import type { WorkerContext } from './worker-context.ts';

const mostSlots = 300;

/** Slots enough for every model's own limit at once; the permit is the real limit. */
export function slotsOf(provider: ProviderSettings, settings: Settings): number {
  const models = new Set(Object.keys(provider.models));
  for (const chain of Object.values(settings.chains)) {
    for (const target of chain.targets)
      if (splitTarget(target).provider === provider.id) models.add(splitTarget(target).model);
  }
  const sum = [...models].reduce((total, model) => total + concurrencyOf(provider, model), 0);
  return Math.min(mostSlots, Math.max(provider.concurrency, sum));
}

export function startPools(context: WorkerContext): QueueWorker[] {
  const settings = context.settings();
  return Object.values(settings.providers)
    .filter((provider) => provider.enabled)
    .map((provider) =>
      context.queues
        .queue(provider.id)
        .startWorker((data, id, signal) => runEntry(data, id, signal, context), slotsOf(provider, settings)),
    );
}
