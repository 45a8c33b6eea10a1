/**
 * The worker's lease: proof that this process is alive, by the database's clock.
 *
 * A renewal that is refused, or unanswered shortly before the lease ends (by a clock that only goes forward), means
 * that others may take this worker's jobs: every call is aborted, and the process goes on under a new id.
 */
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { endWorker, registerWorker, renewWorker, workerLeaseMs } from '@waybill/shared/store/workers.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { type Loop, startLoop } from './loop.ts';

const renewEveryMs = 10_000;
const giveUpBeforeEndMs = 5_000;

export interface WorkerLease {
  /** The id under which claims are made now. */
  id(): string;
  stop(): Promise<void>;
}

export interface LeaseOptions {
  readonly database: Database;
  readonly coordination: Coordination;
  readonly logger: Logger;
  readonly version: string;
  /** Aborts every call of the id that was lost. */
  onLost(): void;
}

export async function startLease(options: LeaseOptions): Promise<WorkerLease> {
  const { database, coordination, logger, version, onLost } = options;
  let id = newId('wrk');
  let renewedAt = performance.now();
  await registerWorker(database, id, version);
  let watchdog = startWatchdog();

  function startWatchdog() {
    return setTimeout(
      () => void lose('the database did not answer in time'),
      workerLeaseMs - giveUpBeforeEndMs - (performance.now() - renewedAt),
    );
  }
  const lose = async (why: string) => {
    logger.error({ worker_id: id, why }, 'the worker lease is lost: aborting its calls');
    onLost();
    const next = newId('wrk');
    await registerWorker(database, next, version);
    id = next;
    kept(performance.now());
  };
  const kept = (at: number) => {
    renewedAt = at;
    clearTimeout(watchdog);
    watchdog = startWatchdog();
  };
  const loop: Loop = startLoop({
    name: 'lease',
    intervalMs: renewEveryMs,
    logger,
    async round() {
      const startedAt = performance.now();
      if (startedAt - renewedAt < renewEveryMs / 2) return undefined;
      if (await renewWorker(database, id)) kept(startedAt);
      else await lose('the renewal was refused');
      await coordination.renewPermits(id);
      return undefined;
    },
  });
  return {
    id: () => id,
    async stop() {
      await loop.stop();
      clearTimeout(watchdog);
      await endWorker(database, id);
    },
  };
}
