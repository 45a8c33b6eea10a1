/**
 * The worker's lease: proof that this process is alive, by the database's clock.
 *
 * A renewal that is refused, or unanswered shortly before the lease ends (by a clock that only goes forward), means
 * that others may take this worker's jobs: every call is aborted, and the process goes on under a new id.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import { newId } from '@waybill/shared/domain/ids.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import { endWorker, registerWorker, renewWorker, workerLeaseMs } from '@waybill/shared/store/workers.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { type Loop, startLoop } from './loop.ts';

const renewEveryMs = 10_000;
const giveUpBeforeEndMs = 5_000;
const registerAgainMs = 1_000;

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
  let losing: Promise<void> | null = null;
  let isStopped = false;
  await registerWorker(database, id, version);
  const watch = () =>
    setTimeout(
      () => void lose('the database did not answer in time'),
      Math.max(0, workerLeaseMs - giveUpBeforeEndMs - (performance.now() - renewedAt)),
    );
  let watchdog = watch();

  const kept = (at: number) => {
    renewedAt = at;
    clearTimeout(watchdog);
    if (!isStopped) watchdog = watch();
  };
  /** One loss at a time, whoever noticed it. Without a database there is no new id, and so no claim, until there is. */
  const lose = (why: string): Promise<void> => {
    losing ??= takeNewId(why).finally(() => {
      losing = null;
    });
    return losing;
  };
  const takeNewId = async (why: string): Promise<void> => {
    logger.error({ worker_id: id, why }, 'the worker lease is lost: aborting its calls');
    onLost();
    coordination.dropPermits();
    while (!isStopped) {
      const next = newId('wrk');
      try {
        const startedAt = performance.now();
        await registerWorker(database, next, version);
        id = next;
        return kept(startedAt);
      } catch (error) {
        logger.error({ err: error }, 'no new worker lease could be taken; it is tried again');
        await sleep(registerAgainMs);
      }
    }
  };
  const loop: Loop = startLoop({
    name: 'lease',
    intervalMs: renewEveryMs,
    logger,
    async round() {
      const startedAt = performance.now();
      if (losing || startedAt - renewedAt < renewEveryMs / 2) return undefined;
      if (await renewWorker(database, id)) kept(startedAt);
      else await lose('the renewal was refused');
      await coordination
        .renewPermits()
        .catch((error: unknown) => logger.warn({ err: error }, 'permits could not be renewed'));
      return undefined;
    },
  });
  return {
    id: () => id,
    async stop() {
      isStopped = true;
      clearTimeout(watchdog);
      await loop.stop();
      await losing;
      await endWorker(database, id);
    },
  };
}
