/**
 * A worker process: pools, dispatcher, webhook sender and sweep over one lease.
 *
 * Stopping drains: no new entries are taken, running calls get a while to end, the rest are aborted and their jobs go
 * back to the queue.
 */
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { createTransport, type Transport } from '@waybill/shared/providers/transport.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import type { ReceiverPolicy } from '@waybill/shared/security/receiver-address.ts';
import type { Sealer } from '@waybill/shared/security/seal.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { createRunningCalls } from './attempt/running-calls.ts';
import { startDispatcher } from './dispatch/dispatcher.ts';
import { startLease } from './lease.ts';
import { slotsOf, startPools } from './pool.ts';
import { startSweeper } from './upkeep/sweep.ts';
import { startVacuum } from './upkeep/vacuum.ts';
import { startWebhookSender } from './webhooks/sender.ts';
import type { WorkerContext } from './worker-context.ts';

export interface WorkersOptions {
  readonly database: Database;
  readonly queues: QueueBackend;
  readonly coordination: Coordination;
  readonly settings: () => Settings;
  readonly sealer: Sealer;
  readonly receivers: ReceiverPolicy;
  readonly logger: Logger;
  readonly version: string;
}

export interface Workers {
  /** @param graceMs how long running calls may go on before they are aborted */
  stop(graceMs: number): Promise<void>;
}

export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const calls = createRunningCalls();
  const lease = await startLease({ ...options, onLost: () => calls.stopAll('lost_lease') });
  const transports = createTransports(options.settings);
  const context: WorkerContext = {
    ...options,
    calls,
    lease,
    transportOf: transports.of,
    random: Math.random,
    now: Date.now,
  };
  const unsubscribe = options.coordination.subscribe((signal) => {
    if (signal.type === 'cancel') calls.stop(signal.jobId, 'cancelled');
  });
  const sweeper = startSweeper(context);
  const pools = startPools(context);
  const dispatcher = startDispatcher(context);
  const webhooks = startWebhookSender(context);
  const vacuum = startVacuum(options.database, options.logger);
  return {
    async stop(graceMs) {
      await Promise.all([dispatcher.stop(), sweeper.stop(), vacuum.stop()]);
      const abort = setTimeout(() => calls.stopAll('shutdown'), graceMs);
      await Promise.all(pools.map((pool) => pool.close()));
      clearTimeout(abort);
      await webhooks.stop();
      unsubscribe();
      await transports.close();
      await lease.stop();
    },
  };
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
