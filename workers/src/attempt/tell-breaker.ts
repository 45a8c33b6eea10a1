/** After a call's end: whether the target's breaker changes by it, and telling whoever must know. */
import type { BreakerReading, PermitEnd } from '@waybill/shared/coordination/coordination.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { afterCounts, afterProbe, type BreakerState } from '@waybill/shared/routing/breaker.ts';
import { noteEvent } from '@waybill/shared/store/events.ts';
import type { WorkerContext } from '../worker-context.ts';

/** Of those that decide at once one wins; the others look again. */
const mostTries = 5;

/** Never throws: a breaker that could not be told is found by the next call. */
export async function tellBreaker(
  reading: BreakerReading,
  end: Pick<PermitEnd, 'token' | 'outcome' | 'isProbe'>,
  context: WorkerContext,
): Promise<void> {
  const { coordination, logger, settings } = context;
  try {
    let seen = reading;
    for (let tries = 0; tries < mostTries; tries++) {
      const next = nextState(seen, end, context);
      if (next === seen.state && !end.isProbe) return;
      if (await coordination.swapBreaker(seen, next, end.isProbe ? end.token : null)) {
        if (next.kind !== seen.state.kind) await tellChange(seen, next, context);
        return;
      }
      seen = await coordination.readBreaker(seen.target, settings().breaker.windowMs);
    }
  } catch (error) {
    logger.warn({ err: error, target: reading.target }, 'a breaker could not be told of a call');
  }
}

function nextState(
  { state, counts }: BreakerReading,
  end: Pick<PermitEnd, 'outcome' | 'isProbe'>,
  context: WorkerContext,
) {
  const { settings, now, random } = context;
  return end.isProbe
    ? afterProbe(state, end.outcome, settings().breaker, now(), random())
    : afterCounts(state, counts, settings().breaker, now(), random());
}

async function tellChange(
  { target, version, counts }: BreakerReading,
  next: BreakerState,
  context: WorkerContext,
): Promise<void> {
  const { coordination, database, fleet, logger } = context;
  fleet.forget();
  coordination.publish({ type: 'breaker_changed', target });
  coordination.publish({ type: 'work' });
  const data = {
    target,
    provider: splitTarget(target).provider,
    state: next.kind,
    why: next.kind === 'closed' ? null : next.why,
    until: next.kind === 'open' && next.untilMs !== null ? new Date(next.untilMs).toISOString() : null,
    failures_in_a_row: counts.consecutive,
  };
  if (next.kind === 'open') logger.warn(data, 'a breaker has opened');
  else logger.info(data, 'a breaker has changed');
  if (next.kind === 'half_open') return;
  const type = next.kind === 'open' ? 'breaker.opened' : 'breaker.closed';
  const sinceMs = next.kind === 'open' ? next.sinceMs : context.now();
  await noteEvent(database, { id: `${type} ${target} ${version} ${sinceMs}`, type, data });
}
