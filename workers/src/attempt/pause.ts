/** After a failure that says that something cannot be called for a while: the fleet is told, and whoever must act. */
import type { AttemptRecord } from '@waybill/shared/domain/attempt.ts';
import { type Failure, pauseOf } from '@waybill/shared/domain/failure.ts';
import { pauseScopeKey } from '@waybill/shared/routing/pauses.ts';
import type { WorkerContext } from '../worker-context.ts';
import { endpointName, type Means, openNow } from './means.ts';
import { tellPause } from './tell-pause.ts';

/** Tells the fleet what not to call for a while; being unable to must not cost the attempt its settle. */
export async function pauseScope(
  failed: Failure,
  { permit, credential, provider }: Means,
  context: WorkerContext,
): Promise<boolean> {
  const pause = pauseOf(failed);
  if (!pause) return true;
  const { coordination, fleet, logger, now } = context;
  const { target, place } = permit;
  const untilMs = now() + (failed.retryAfterMs ?? pause.ms);
  const subject = {
    target,
    account: place.account,
    credentialId: credential?.id ?? null,
    endpoint: endpointName({ provider, permit }).endpoint,
  };
  const scope = pauseScopeKey(pause.scope, subject);
  try {
    const isNew = await coordination.pause(scope, failed.kind, untilMs);
    fleet.forget();
    if (!isNew) return true;
    logger.warn({ target, scope, kind: failed.kind, until: new Date(untilMs).toISOString() }, 'paused after a failure');
    await tellPause({ scope, target, failed, credential, provider, untilMs }, context);
    return true;
  } catch (error) {
    logger.warn({ err: error, scope }, 'a pause could not be told');
    return false;
  }
}

/**
 * After the pause of what was refused: is there another credential, or another account? Each is gone to once: a job that
 * all of them have refused waits like any other.
 */
export async function isOpenElsewhere(
  failed: Failure,
  means: Means,
  history: readonly AttemptRecord[],
  context: WorkerContext,
): Promise<boolean> {
  const { permit, provider } = means;
  const open = await openNow(permit.target, provider, context);
  if (pauseOf(failed) !== null) return open.places.length > 0;
  const others = new Set(open.places.map(({ account }) => account).filter((each) => each !== permit.place.account));
  return refusedInARow(history, permit.target) < others.size;
}

/** How often the target has just refused the job for its rate, one attempt after the other. */
function refusedInARow(history: readonly AttemptRecord[], target: string): number {
  const last = history.findLastIndex((attempt) => attempt.target !== target || attempt.failure !== 'rate_limit');
  return history.length - 1 - last;
}
