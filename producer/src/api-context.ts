/** What the routes share. Lifetimes belong to `main.ts`. */
import type { Settings } from '@waybill/shared/config/settings.ts';
import type { ChunkStore } from '@waybill/shared/coordination/chunks.ts';
import type { Coordination } from '@waybill/shared/coordination/coordination.ts';
import type { FleetView } from '@waybill/shared/coordination/fleet-view.ts';
import type { QueueBackend } from '@waybill/shared/queue/queue.ts';
import type { Sealer } from '@waybill/shared/security/seal.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import type { Authenticator } from './authentication.ts';
import type { Cursors } from './cursor.ts';
import type { Enqueue } from './enqueue.ts';
import type { Receivers } from './receivers.ts';
import type { Waiter } from './wait.ts';

export interface ApiContext {
  readonly database: Database;
  readonly queues: QueueBackend;
  readonly coordination: Coordination;
  readonly chunks: ChunkStore;
  readonly fleet: FleetView;
  readonly settings: () => Settings;
  readonly sealer: Sealer;
  readonly authenticator: Authenticator;
  readonly enqueue: Enqueue;
  readonly receivers: Receivers;
  readonly cursors: Cursors;
  readonly waiter: Waiter;
  readonly logger: Logger;
  readonly version: string;
  readonly isStopping: () => boolean;
}
