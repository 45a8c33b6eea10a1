/** What every part of a worker process shares. Lifetimes belong to `main.ts`. */
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { ChunkStore } from '@waybill/shared/coordination/chunks.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import type { Epochs } from '@waybill/shared/coordination/epochs.ts';
import type { FleetView } from '@waybill/shared/coordination/fleet-view.ts';
import type { Transport } from '@waybill/shared/providers/transport.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import type { ReceiverPolicy } from '@waybill/shared/security/receiver-address.ts';
import type { Sealer } from '@waybill/shared/security/seal.ts';
import type { Claim, ClaimRequest } from '@waybill/shared/store/claim.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import type { Settle } from '@waybill/shared/store/settle.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import type { RunningCalls } from './attempt/running-calls.ts';
import type { Credentials } from './credentials.ts';
import type { Observer } from './health/observer.ts';
import type { WorkerLease } from './lease.ts';

export interface WorkerContext {
  readonly database: Database;
  readonly queues: QueueBackend;
  readonly coordination: Coordination;
  /** What streamed jobs tell while they run. */
  readonly chunks: ChunkStore;
  readonly epochs: Epochs;
  readonly fleet: FleetView;
  /** The settings in force; read anew for every attempt. */
  readonly settings: () => Settings;
  readonly transportOf: (providerId: string) => Transport;
  readonly sealer: Sealer;
  readonly receivers: ReceiverPolicy;
  readonly logger: Logger;
  readonly lease: WorkerLease;
  readonly calls: RunningCalls;
  readonly credentials: Credentials;
  readonly observer: Observer;
  readonly claim: (request: ClaimRequest) => Promise<Claim>;
  readonly settle: Settle;
  /** From [0, 1). */
  readonly random: () => number;
  readonly now: () => number;
}
