/**
 * What this process's calls say of the servers they went to, told in small groups.
 *
 * Nothing of an attempt waits for it, and what is not told in time is forgotten: health is a view, not the truth.
 */
import type { CallResult } from '@waybill/shared/providers/transport.ts';
import { type Observation, observationOfCall } from '@waybill/shared/routing/health.ts';
import { type EndpointName, noteObservations } from '@waybill/shared/store/health.ts';
import { type Loop, startLoop } from '../loop.ts';
import { type HealthContext, tellChange } from './tell-change.ts';

const flushEveryMs = 2_000;
/** Kept of one server between two tellings. */
const mostKept = 200;

export interface Observer {
  /** A call that ended. @param failure null: it was answered */
  note(name: EndpointName, result: CallResult<unknown>, latencyMs: number): void;
  stop(): Promise<void>;
}

export function startObserver(context: HealthContext): Observer {
  const seen = new Map<string, { name: EndpointName; list: Observation[] }>();
  const flush = async () => {
    const groups = [...seen.values()];
    seen.clear();
    for (const { name, list } of groups) await tell(name, list, context);
  };
  const loop: Loop = startLoop({
    name: 'health of called providers',
    intervalMs: flushEveryMs,
    logger: context.logger,
    round: async () => {
      await flush();
      return undefined;
    },
  });
  return {
    note(name, result, latencyMs) {
      if (result.kind === 'stopped') return;
      const failure = result.kind === 'failure' ? result.failure.kind : null;
      const observation = observationOfCall(failure, latencyMs, context.now());
      if (observation === null) return;
      const key = `${name.provider} ${name.endpoint}`;
      const known = seen.get(key) ?? { name, list: [] };
      if (known.list.length < mostKept) known.list.push(observation);
      seen.set(key, known);
    },
    async stop() {
      await loop.stop();
      await flush().catch((error: unknown) => context.logger.debug({ err: error }, 'health could not be told'));
    },
  };
}

async function tell(name: EndpointName, list: readonly Observation[], context: HealthContext): Promise<void> {
  const provider = context.settings().providers[name.provider];
  if (!provider) return;
  const { health, change } = await noteObservations(
    context.database,
    name,
    list,
    provider.health,
    null,
    provider.endpoints[name.endpoint - 1]?.url ?? null,
  );
  // With one address there is nowhere else to go: whether to call it at all is for its failures to decide.
  await tellChange({ name, provider, health, change, leaveAlone: provider.endpoints.length > 1 }, context);
}
