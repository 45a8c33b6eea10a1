/**
 * The prober: asks servers that nobody has called for a while whether they are well. One process of the fleet does it,
 * and asks only what bills nothing.
 */
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import { dialectOf } from '@waybill/shared/providers/dialects.ts';
import { presetOf } from '@waybill/shared/providers/presets.ts';
import { type ProbeResult, probeServer } from '@waybill/shared/providers/probe-server.ts';
import type { Observation } from '@waybill/shared/routing/health.ts';
import { type EndpointName, noteObservations, readHealth } from '@waybill/shared/store/health.ts';
import { createHeldLease } from '../held-lease.ts';
import { type Loop, startLoop } from '../loop.ts';
import type { WorkerContext } from '../worker-context.ts';
import { type HealthContext, tellChange } from './tell-change.ts';

const lookEveryMs = 1_000;
/** Asked at once. */
const mostAtOnce = 8;

export type ProberContext = HealthContext & Pick<WorkerContext, 'credentials' | 'lease'>;

export interface Prober {
  stop(): Promise<void>;
}

interface Due {
  readonly name: EndpointName;
  readonly provider: ProviderSettings;
  readonly address: string;
}

export function startProber(context: ProberContext): Prober {
  const lease = createHeldLease('health', context);
  const stop = new AbortController();
  const loop: Loop = startLoop({
    name: 'health probes',
    intervalMs: lookEveryMs,
    logger: context.logger,
    async round() {
      if (!(await lease.holds())) return undefined;
      const due = await dueNow(context);
      const looks = await Promise.allSettled(due.slice(0, mostAtOnce).map((each) => look(each, stop.signal, context)));
      const failed = looks.find((each) => each.status === 'rejected');
      if (failed) throw failed.reason;
      return undefined;
    },
  });
  return {
    stop() {
      stop.abort();
      return loop.stop();
    },
  };
}

/**
 * Addresses that were neither called nor asked for as long as the configuration says, the longest first: addresses
 * that hang must not keep others from their turn.
 */
async function dueNow({ database, settings, fleet, now }: ProberContext): Promise<Due[]> {
  const checked = new Map(
    (await readHealth(database)).map(({ provider, endpoint, health }) => [
      `${provider} ${endpoint}`,
      health.checkedAtMs,
    ]),
  );
  const { switches } = await fleet.read();
  return Object.values(settings().providers)
    .filter((provider) => provider.health.isProbed && (switches.get(provider.id) ?? provider.enabled))
    .flatMap((provider) =>
      provider.endpoints.map(({ url }, index) => ({
        name: { provider: provider.id, endpoint: index + 1 },
        provider,
        address: url,
        checkedAtMs: checked.get(`${provider.id} ${index + 1}`) ?? 0,
      })),
    )
    .filter(({ provider, checkedAtMs }) => isAskable(provider) && now() - checkedAtMs >= provider.health.everyMs)
    .toSorted((a, b) => a.checkedAtMs - b.checkedAtMs);
}

/** A provider with neither a health path nor a list of models has nothing that can be asked for free. */
function isAskable(provider: ProviderSettings): boolean {
  const preset = presetOf(provider.preset);
  return preset !== undefined && (preset.healthPath !== null || preset.modelListing !== 'none');
}

async function look({ name, provider, address }: Due, signal: AbortSignal, context: ProberContext): Promise<void> {
  const preset = presetOf(provider.preset);
  if (!preset) return;
  const result = await probeServer({
    preset,
    dialect: dialectOf(provider.dialect),
    endpoint: address,
    credential: context.credentials.of(provider)[0]?.secret ?? null,
    apiVersion: provider.apiVersion,
    headers: Object.fromEntries(Object.entries(provider.headers).map(([header, value]) => [header, value.reveal()])),
    signal: AbortSignal.any([signal, AbortSignal.timeout(provider.health.timeoutMs)]),
  });
  if (signal.aborted) return;
  const seen = observationOf(result, context.now());
  const { health, change } = await noteObservations(
    context.database,
    name,
    [seen],
    provider.health,
    factsOf(result),
    address,
  );
  // With one address a failing call is for its failures to judge; one that does not even answer is left alone.
  const leaveAlone = seen.kind === 'failure' || provider.endpoints.length > 1;
  await tellChange({ name, provider, health, change, leaveAlone }, context);
}

/** A refused credential says nothing against the server: it is there. */
function observationOf(result: ProbeResult, atMs: number): Observation {
  const { latencyMs } = result;
  if (result.kind === 'loading') return { by: 'probe', kind: 'loading', latencyMs, failure: 'model_loading', atMs };
  if (result.kind === 'failure') return { by: 'probe', kind: 'failure', latencyMs, failure: result.failure, atMs };
  return { by: 'probe', kind: 'success', latencyMs, failure: null, atMs };
}

const mostModels = 200;

/** What a server of one's own says of its models; a vendor's list is long, and known. */
function factsOf(result: ProbeResult): string | null {
  if (result.kind !== 'success' || result.models === null || result.models.length > mostModels) return null;
  return JSON.stringify({
    models: result.models.map(({ id, contextWindow, status }) => ({ id, context_window: contextWindow, status })),
  });
}
