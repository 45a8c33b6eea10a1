/**
 * A paid answer is not thrown away because the database hiccups: the settle is repeated with the same fence, which
 * makes a second success harmless.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@waybill/shared/store/database.ts';
import { type AttemptEnd, type NextStep, type Settled, settleAttempt } from '@waybill/shared/store/settle.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';

const delaysMs = [50, 200, 1_000, 2_000, 5_000, 10_000];

export async function settleUntilKnown(
  database: Database,
  end: AttemptEnd,
  next: NextStep,
  logger: Logger,
): Promise<Settled> {
  for (const delayMs of delaysMs) {
    try {
      return await settleAttempt(database, end, next);
    } catch (error) {
      logger.warn(
        { err: error, job_id: end.jobId, attempt: end.attempt, retry_in_ms: delayMs },
        'a settle failed; it is repeated',
      );
      await sleep(delayMs);
    }
  }
  return settleAttempt(database, end, next);
}
