/** A clock that was right at the start may be set wrong later: it is looked at every minute, and told. */
import { clockSkewMs, mostSkewMs } from '@waybill/shared/store/clock.ts';
import type { Database } from '@waybill/shared/store/database.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';
import { startLoop } from '../loop.ts';

const everyMs = 60_000;

export interface ClockWatch {
  isRight(): boolean;
  stop(): Promise<void>;
}

export function startClockWatch(database: Database, logger: Logger): ClockWatch {
  let isRight = true;
  const loop = startLoop({
    name: 'clock',
    intervalMs: everyMs,
    logger,
    async round() {
      const skew = await clockSkewMs(database.pool);
      isRight = Math.abs(skew) <= mostSkewMs;
      if (!isRight)
        logger.error({ skew_ms: Math.round(skew) }, 'this clock and that of the database differ by more than 2 s');
      return undefined;
    },
  });
  return { isRight: () => isRight, stop: () => loop.stop() };
}
