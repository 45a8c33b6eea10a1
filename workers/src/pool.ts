/** The pools: for each provider in use, workers that serve its queue. */
import { concurrencyOf } from '@waybill/shared/config/model-settings.ts';
import type { ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import type { QueueWorker } from '@waybill/shared/queue/queue.ts';
import { runEntry } from './attempt/run.ts';
import type { Progress } from './liveness/progress.ts';
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

/** Disabled ones too: an operator may enable them while the process runs. @param only the providers this process serves; null: all */
export function startPools(context: WorkerContext, progress: Progress, only: readonly string[] | null): QueueWorker[] {
  const settings = context.settings();
  return Object.values(settings.providers)
    .filter((provider) => only === null || only.includes(provider.id))
    .map((provider) => {
      const slots = slotsOf(provider, settings);
      const handler = progress.watch(provider.id, slots, (data: unknown, id: string, signal: AbortSignal) =>
        runEntry(data, id, signal, context),
      );
      return context.queues.queue(provider.id).startWorker(handler, slots);
    });
}
