/** The embedded database never vacuums by itself: dead rows of the queue and of permits would pile up. */
import type { Database } from '@waybill/shared/store/database.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { type Loop, startLoop } from '../loop.ts';

const intervalMs = 10 * 60_000;
const busyTables = [
  'waybill.jobs',
  'waybill.attempts',
  'waybill.webhook_deliveries',
  'waybill.workers',
  'waybill.leases',
  'waybill.payloads',
  'waybill.budget_windows',
  'waybill.budget_reservations',
  'coordination.permits',
  'coordination.throughput',
  'coordination.rates',
  'coordination.kept_room',
  'coordination.outcomes',
  'coordination.usual',
  'coordination.charges',
  'coordination.retries',
  'coordination.breakers',
  'bullmq.job',
  'bullmq.event',
];

export function startVacuum(database: Database, logger: Logger): Loop {
  let isFirst = true;
  return startLoop({
    name: 'vacuum',
    intervalMs,
    logger,
    async round() {
      if (isFirst) isFirst = false;
      else for (const table of busyTables) await database.pool.query(`vacuum ${table}`);
      return undefined;
    },
  });
}
