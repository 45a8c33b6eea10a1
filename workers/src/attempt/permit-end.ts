/** What the end of a call tells the store: the place is free, what was used, and how the place bore it. */
import type { Place } from '@waybill/shared/config/model-settings.ts';
import type { PermitEnd } from '@waybill/shared/coordination/coordination.ts';
import type { Failure } from '@waybill/shared/domain/failure.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { readLimitsLeft } from '@waybill/shared/providers/rate-limit-headers.ts';
import type { CallMeta, CallResult } from '@waybill/shared/providers/transport.ts';
import type { Entry } from '@waybill/shared/queue/entry.ts';
import { outcomeOf } from '@waybill/shared/routing/breaker.ts';
import type { CallSize } from '@waybill/shared/routing/limits.ts';
import { pauseScopeKey } from '@waybill/shared/routing/pauses.ts';
import { restAfter } from '@waybill/shared/routing/rest.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { Delivery } from './delivery.ts';
import { type Permit, settlePermitInTime, unusedPermit } from './permit.ts';
import { tellBreaker } from './tell-breaker.ts';

export const failureOf = (result: CallResult<Delivery>): Failure | null =>
  result.kind === 'failure' ? result.failure : null;

/** Frees the place, and tells what was really used, how the place bore it, and what it says of the target. */
export async function settlePermit(
  permit: Permit,
  { tenant, estimate }: Entry,
  result: CallResult<Delivery>,
  context: WorkerContext,
): Promise<void> {
  const { coordination, logger, now, settings } = context;
  if (result.kind === 'stopped' && !result.meta.isSent) return giveBack(permit, context);
  const used = usedBy(result, permit, context);
  const usedTokens = used === null ? estimate : used.inputTokens + used.outputTokens;
  const restMs = Math.max(
    restAfter(readLimitsLeft(result.meta.limitHeaders, now()), usedTokens === 0 ? estimate : usedTokens),
    refusedRestMs(failureOf(result), permit),
  );
  if (restMs > longestRestMs) void pauseAccount(permit, restMs, context);
  const { breaker } = settings();
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
    used: usedTokens,
    outcome: outcomeOf(result.kind === 'failure' ? { kind: 'failure', failure: result.failure.kind } : result),
    isProbe: permit.isProbe,
    breakerWindowMs: breaker.windowMs,
    isLatencyWatched: breaker.latencySpike !== null,
    ...ratesOf(permit, used, result),
  };
  const reading = await settlePermitInTime(coordination, end, logger);
  if (reading !== null) await tellBreaker(reading, end, context);
}

async function giveBack(permit: Permit, { coordination, logger }: WorkerContext): Promise<void> {
  await coordination
    .givePermitBack(unusedPermit(permit))
    .catch((error: unknown) => logger.warn({ err: error }, 'a permit could not be given back; it expires'));
}

/** null: the call used something, and nobody said how much. */
function usedBy(result: CallResult<Delivery>, { target }: Permit, { settings }: WorkerContext): CallSize | null {
  const delivery = result.kind === 'answer' ? result.answer : result.kind === 'failure' ? result.partial : null;
  const usage = delivery?.usage ?? null;
  if (usage === null) return result.meta.isSent && !isRefused(result.meta) ? null : nothing;
  // What was read from its cache does not count towards a limit of Anthropic's.
  const isUncached = settings().providers[splitTarget(target).provider]?.dialect === 'anthropic';
  const inputTokens = usage.inputTokens - (isUncached ? usage.cacheReadTokens : 0);
  return { inputTokens, outputTokens: usage.outputTokens };
}

const nothing: CallSize = { inputTokens: 0, outputTokens: 0 };

/** What nobody said was used stays reserved. */
function ratesOf(
  { reservation }: Permit,
  used: CallSize | null,
  { meta }: CallResult<Delivery>,
): Pick<PermitEnd, 'rates'> {
  if (reservation === null) return {};
  return { rates: { ...reservation, used: used ?? reservation.size, isSent: meta.isSent } };
}

const isRefused = ({ httpStatus }: CallMeta): boolean => httpStatus !== null && (httpStatus < 200 || httpStatus > 299);

/** A longer rest is told to the fleet: its jobs then wait in the backlog instead of coming back again and again. */
const longestRestMs = 10_000;

export async function pauseAccount(
  { target, place }: { readonly target: string; readonly place: Pick<Place, 'account'> },
  restMs: number,
  context: WorkerContext,
): Promise<void> {
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
