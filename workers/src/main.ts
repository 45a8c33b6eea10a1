/**
 * A worker process: pools, dispatcher, webhook sender and sweep over one lease.
 *
 * Stopping drains: no new entries are taken, running calls get a while to end, the rest are aborted and their jobs go
 * back to the queue.
 */
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { ChunkStore } from '@waybill/shared/coordination/chunks.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { createEpochs } from '@waybill/shared/coordination/epochs.ts';
import { createFleetView, fleetSources } from '@waybill/shared/coordination/fleet-view.ts';
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import type { QueueBackend, QueueWorker } from '@waybill/shared/queue/queue.ts';
import type { ReceiverPolicy } from '@waybill/shared/security/receiver-address.ts';
import type { Sealer } from '@waybill/shared/security/seal.ts';
import { createClaimer } from '@waybill/shared/store/claim.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { createSettler } from '@waybill/shared/store/settle.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { createRunningCalls, type RunningCalls } from './attempt/running-calls.ts';
import { startCredentials } from './credentials.ts';
import { startDispatcher } from './dispatch/dispatcher.ts';
import { startObserver } from './health/observer.ts';
import { startProber } from './health/prober.ts';
import { startLease } from './lease.ts';
import { startClockWatch } from './liveness/clock-watch.ts';
import type { Health } from './liveness/health-server.ts';
import { startProgress } from './liveness/progress.ts';
import { slotsOf, startPools } from './pool.ts';
import { startSweeper } from './upkeep/sweep.ts';
import { startVacuum } from './upkeep/vacuum.ts';
import { startWebhookSender } from './webhooks/sender.ts';
import type { WorkerContext } from './worker-context.ts';

export interface WorkersOptions {
  readonly database: Database;
  readonly queues: QueueBackend;
  readonly coordination: Coordination;
  readonly chunks: ChunkStore;
  readonly settings: () => Settings;
  readonly sealer: Sealer;
  readonly receivers: ReceiverPolicy;
  readonly logger: Logger;
  readonly version: string;
  /** The providers whose queues this process serves; null: all. */
  readonly providers: readonly string[] | null;
  /** The embedded database needs what servers do by themselves. */
  readonly isEmbedded: boolean;
  /** Pools that do nothing although they could: the process should be replaced. */
  readonly onStuck: (queues: readonly string[]) => void;
}

export interface Workers extends Health {
  /** @param graceMs how long running calls may go on before they are aborted */
  stop(graceMs: number): Promise<void>;
}

/** After the abort, a call has ended and settled within this time, or its job is taken over by others. */
const abortPatienceMs = 10_000;

export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { database, queues, coordination, logger } = options;
  const calls = createRunningCalls();
  const lease = await startLease({ ...options, onLost: () => calls.stopAll('lost_lease') });
  const transports = createTransports(options.settings);
  const credentials = await startCredentials({
    ...options,
    onChange: () => coordination.publish({ type: 'configuration_changed', version: options.settings().version }),
  });
  const fleet = createFleetView(fleetSources(coordination, database), (error) =>
    logger.warn({ err: error }, 'what the fleet knows could not be read'),
  );
  const context: WorkerContext = {
    ...options,
    calls,
    lease,
    credentials,
    fleet,
    observer: startObserver({ ...options, fleet, now: Date.now }),
    transportOf: transports.of,
    epochs: createEpochs(options),
    claim: createClaimer(database, () => options.settings().budgets),
    settle: createSettler(database, () => options.settings().budgets),
    random: Math.random,
    now: Date.now,
  };
  const unsubscribe = coordination.subscribe((signal) => {
    if (signal.type === 'breaker_changed') {
      context.fleet.forget();
      dispatcher.release(signal.target.endsWith('/*') ? undefined : ['breaker', 'recovery']);
    }
    if (signal.type === 'budget_freed') dispatcher.releaseBudget();
    if (signal.type === 'cancel') calls.stop(signal.jobId, 'cancelled');
    if (signal.type === 'configuration_changed') {
      context.fleet.forget();
      void credentials.refresh().finally(() => dispatcher.release());
    }
  });
  const progress = startProgress(options);
  const clock = startClockWatch(database, logger);
  const sweeper = startSweeper(context);
  const prober = startProber(context);
  const pools = startPools(context, progress, options.providers);
  const dispatcher = startDispatcher(context);
  const webhooks = startWebhookSender(context);
  const vacuum = options.isEmbedded ? startVacuum(database, logger) : null;
  let isStopping = false;
  return {
    stuck: () => progress.stuck(),
    isReady: async () => !isStopping && clock.isRight() && queues.isReachable() && (await answers(database)),
    async stop(graceMs) {
      isStopping = true;
      await Promise.all([
        dispatcher.stop(),
        sweeper.stop(),
        prober.stop(),
        vacuum?.stop(),
        clock.stop(),
        progress.stop(),
      ]);
      await drain(pools, graceMs, calls);
      await webhooks.stop();
      unsubscribe();
      await Promise.all([credentials.stop(), context.observer.stop()]);
      await transports.close();
      await lease.stop();
    },
  };
}

const answers = (database: Database): Promise<boolean> =>
  database.pool.query('select 1').then(
    () => true,
    () => false,
  );

/** Lets the running calls end, then aborts them; a pool that still does not end is left to the lease. */
async function drain(pools: readonly QueueWorker[], graceMs: number, calls: RunningCalls): Promise<void> {
  const abort = setTimeout(() => calls.stopAll('shutdown'), graceMs);
  const patience = Promise.withResolvers<'late'>();
  const limit = setTimeout(() => patience.resolve('late'), graceMs + abortPatienceMs);
  const closed = Promise.all(pools.map((pool) => pool.close()));
  if ((await Promise.race([closed, patience.promise])) === 'late')
    await Promise.all(pools.map((pool) => pool.close(true)));
  clearTimeout(abort);
  clearTimeout(limit);
}

/** One pool of sockets per provider, opened at its first call. */
function createTransports(settings: () => Settings): { of(providerId: string): Transport; close(): Promise<void> } {
  const open = new Map<string, Transport>();
  return {
    of(providerId) {
      const known = open.get(providerId);
      if (known) return known;
      const current = settings();
      const provider = current.providers[providerId];
      if (!provider) throw new Error(`Cannot open connections: no provider "${providerId}" is configured`);
      const made = createTransport({ connections: slotsOf(provider, current), connectMs: provider.timeouts.connectMs });
      open.set(providerId, made);
      return made;
    },
    async close() {
      await Promise.all([...open.values()].map((transport) => transport.close()));
    },
  };
}
