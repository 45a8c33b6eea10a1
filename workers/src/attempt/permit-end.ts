/** What the end of a call tells the store: the place is free, what was used, and how the place bore it. */
import type { PermitEnd } from '@waybill/shared/coordination/coordination.ts';
import type { Failure } from '@waybill/shared/domain/failure.ts';
import { readLimitsLeft } from '@waybill/shared/providers/rate-limit-headers.ts';
import type { CallMeta, CallResult } from '@waybill/shared/providers/transport.ts';
import type { Entry } from '@waybill/shared/queue/entry.ts';
import { pauseScopeKey } from '@waybill/shared/routing/pauses.ts';
import { restAfter } from '@waybill/shared/routing/rest.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { Delivery } from './delivery.ts';
import { type Permit, settlePermitInTime } from './permit.ts';

export const failureOf = (result: CallResult<Delivery>): Failure | null =>
  result.kind === 'failure' ? result.failure : null;

/** Frees the place, and tells what was really used and how the place bore it. */
export async function settlePermit(
  permit: Permit,
  { tenant, estimate }: Entry,
  result: CallResult<Delivery>,
  context: WorkerContext,
): Promise<void> {
  const { coordination, logger, now } = context;
  const delivery = result.kind === 'answer' ? result.answer : result.kind === 'failure' ? result.partial : null;
  const usage = delivery?.usage ?? null;
  // A call that was refused, or never sent, used nothing; what another used that says nothing of it is not known.
  const isUnused = !result.meta.isSent || isRefused(result.meta);
  const used = usage ? usage.inputTokens + usage.outputTokens : isUnused ? 0 : estimate;
  const restMs = Math.max(
    restAfter(readLimitsLeft(result.meta.limitHeaders, now()), usage ? used : estimate),
    refusedRestMs(failureOf(result), permit),
  );
  if (restMs > longestRestMs) void pauseAccount(permit, restMs, context);
  const end = {
    token: permit.token,
    target: permit.target,
    place: permit.place.id,
    concurrency: permit.place.concurrency,
    pressure: pressureOf(result),
    heldMs: performance.now() - permit.takenAtMs,
    restMs: Math.min(restMs, longestRestMs),
    tenantId: tenant,
    estimated: estimate,
    used,
  };
  await settlePermitInTime(coordination, end, logger);
}

const isRefused = ({ httpStatus }: CallMeta): boolean => httpStatus !== null && (httpStatus < 200 || httpStatus > 299);

/** A longer rest is told to the fleet: its jobs then wait in the backlog instead of coming back again and again. */
const longestRestMs = 10_000;

async function pauseAccount({ target, place }: Permit, restMs: number, context: WorkerContext): Promise<void> {
  const { coordination, fleet, logger, now } = context;
  const subject = { target, account: place.account, credentialId: null, endpoint: 1 };
  try {
    await coordination.pause(pauseScopeKey('account_model', subject), 'rate_limit', now() + restMs);
    fleet.forget();
  } catch (error) {
    logger.warn({ err: error, target }, 'a limit could not be told');
  }
}

function pressureOf(result: CallResult<Delivery>): PermitEnd['pressure'] {
  if (result.kind === 'answer') return 'eased';
  const kind = failureOf(result)?.kind;
  return kind === 'rate_limit' || kind === 'overloaded' ? 'congested' : 'none';
}

/**
 * An account that was refused for its rate rests for as long as the provider said; if it said nothing, having less at
 * once must do, or a moment where the calls can go elsewhere meanwhile.
 */
function refusedRestMs(failed: Failure | null, { isAlone }: Permit): number {
  if (failed?.kind !== 'rate_limit') return 0;
  return failed.retryAfterMs ?? (isAlone ? 0 : unsaidRestMs);
}
const unsaidRestMs = 1_000;
