/**
 * A paid answer is not thrown away because the database hiccups: the settle is repeated with the same fence, which
 * makes a second success harmless, for as long as this worker holds its lease. After that the attempt belongs to the
 * sweep.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDataFault } from '@waybill/shared/store/faults.ts';
import type { AttemptEnd, Settle, Settled, Settlement } from '@waybill/shared/store/settle.ts';
import type { Logger } from '@waybill/shared/telemetry/logger.ts';

const firstDelayMs = 50;
const longestDelayMs = 5_000;

/** @param isMine whether the lease under which the job was claimed still holds */
export async function settleUntilKnown(
  settle: Settle,
  settlement: Settlement,
  isMine: () => boolean,
  logger: Logger,
): Promise<Settled> {
  let attempt = settlement;
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(longestDelayMs, delayMs * 3)) {
    try {
      return await settle(attempt);
    } catch (error) {
      const { jobId, attempt: n } = settlement.end;
      logger.warn({ err: error, job_id: jobId, attempt: n }, 'a settle failed; it is repeated');
      if (!isMine()) return { kind: 'fence_lost' };
      // A value the database will never take: the end is told without what may be at fault.
      if (isDataFault(error)) attempt = bareSettlement(settlement);
      await sleep(delayMs);
    }
  }
}

const bareSettlement = ({ end, next }: Settlement): Settlement => ({
  end: bare(end),
  next:
    next.kind === 'succeed'
      ? { kind: 'fail', error: 'unknown', message: 'the answer could not be stored' }
      : next.kind === 'requeue'
        ? { ...next, carried: null }
        : next,
  telling: null,
  decided: null,
});

const bare = (end: AttemptEnd): AttemptEnd => ({
  ...end,
  status: end.status === 'succeeded' ? 'failed' : end.status,
  failure: end.failure ?? { kind: 'unknown', message: 'the answer could not be stored' },
  requestId: null,
  responseModel: null,
  usage: null,
  warnings: [],
  cost: { nano: null, basis: 'unknown', reason: 'price_fault', price: null },
});
