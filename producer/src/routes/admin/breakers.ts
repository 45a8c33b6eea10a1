/** `/admin/v1/breakers`: which targets are left alone and why, and opening, closing and resetting them by hand. */
import type { BreakerReading } from '@waybill/shared/coordination/coordination.ts';
import { durationSchema } from '@waybill/shared/domain/duration.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { Problem } from '@waybill/shared/domain/problem.ts';
import { faultsOf, nearestHint, strictObject } from '@waybill/shared/domain/strict-object.ts';
import { type BreakerState, closeByHand, openByHand } from '@waybill/shared/routing/breaker.ts';
import { audit } from '@waybill/shared/store/audit.ts';
import { noteEvent } from '@waybill/shared/store/events.ts';
import { Router } from 'express';
import { z } from 'zod';
import type { ApiContext } from '../../api-context.ts';
import { callerOf, requireScope } from '../../authentication.ts';
import { onlyMethods } from '../../methods.ts';
import { problemOf } from '../../problems.ts';
import { jsonBody, readBody } from '../../read-body.ts';
import { strictQuery } from '../../strict-query.ts';
import { type BreakerList, breakerList, configuredTargets, isWholeProvider } from './breaker-json.ts';

export const breakerActions = ['open', 'close', 'reset'] as const;
export type BreakerAction = (typeof breakerActions)[number];

/** The breakers of the provider that was named, as they are now. */
export interface BreakerChange extends BreakerList {
  readonly action: BreakerAction;
  /** Targets that were changed, `provider/*` among them; empty: all of it was so already. */
  readonly changed: readonly string[];
}

const change = strictObject({
  target: z
    .string()
    .max(256)
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), {
      message: 'the target holds a control character or half a surrogate pair',
      params: { code: 'control_character' },
    }),
  action: z.enum(breakerActions),
  for: durationSchema({ min: 1_000 }).nullish(),
}).refine((given) => given.action === 'open' || (given.for ?? null) === null, {
  path: ['for'],
  message: 'only an opening takes a time: it is how long the target is left alone',
});

export function adminBreakersRouter(context: ApiContext): Router {
  const router = Router({ caseSensitive: true });
  const admin = requireScope(context.authenticator, 'admin');
  router
    .route('/')
    .get(admin, async (request, response) => {
      strictQuery(request, []);
      response.json(await readList(null, context));
    })
    .post(admin, readBody, async (request, response) => {
      strictQuery(request, []);
      const parsed = change.safeParse(jsonBody(request));
      if (!parsed.success) throw problemOf(faultsOf(parsed.error), 'change the breaker');
      const { target, action } = parsed.data;
      checkTarget(target, context);
      const forMs = parsed.data.for ?? null;
      const changed = await apply(target, action, forMs, callerOf(response).keyId, context);
      response.json({
        ...(await readList(splitTarget(target).provider, context)),
        ...{ action, changed },
      } satisfies BreakerChange);
    })
    .all(onlyMethods('GET', 'POST'));
  return router;
}

/** Read at once, but not all: each is a question to the store. */
const readAtOnce = 20;

/** Read afresh: an operator who has just changed something looks whether it holds. @param provider null: of all */
async function readList(provider: string | null, { coordination, settings }: ApiContext): Promise<BreakerList> {
  const isAsked = (target: string) => provider === null || splitTarget(target).provider === provider;
  const { breakers, usual } = await coordination.fleetState();
  const targets = [...new Set([...configuredTargets(settings()), ...breakers.keys()])].filter(
    (target) => isAsked(target) && !isWholeProvider(target),
  );
  const readings: BreakerReading[] = [];
  for (let from = 0; from < targets.length; from += readAtOnce)
    readings.push(
      ...(await Promise.all(
        targets
          .slice(from, from + readAtOnce)
          .map((target) => coordination.readBreaker(target, settings().breaker.windowMs)),
      )),
    );
  const list = breakerList(settings(), { readings, usual, whole: breakers, nowMs: Date.now() });
  return { ...list, providers: list.providers.filter((each) => provider === null || each.provider === provider) };
}

/** Any model of a configured provider can be asked for, so any can be left alone. */
function checkTarget(target: string, { settings }: ApiContext): void {
  const { provider, model } = splitTarget(target);
  const ids = Object.keys(settings().providers);
  if (model === '' || !target.includes('/'))
    throw new Problem(
      'invalid_value',
      `Cannot change the breaker of "${target.slice(0, 64)}": name a target as provider/model, or all of a provider as provider/*`,
      { param: 'target' },
    );
  if (ids.includes(provider)) return;
  const known = ids.length === 0 ? 'none is configured' : `configured are ${ids.slice(0, 12).join(', ')}`;
  throw new Problem(
    'not_found',
    `Cannot find the provider "${provider.slice(0, 64)}"${nearestHint(provider, ids) || `; ${known}`}`,
    { param: 'target' },
  );
}

/** Closing or resetting a provider is about each of its targets too; opening it is one state above theirs. */
async function apply(
  target: string,
  action: BreakerAction,
  forMs: number | null,
  by: string,
  context: ApiContext,
): Promise<string[]> {
  const untilMs = forMs === null ? null : Date.now() + forMs;
  const targets = isWholeProvider(target) && action !== 'open' ? await allOf(target, context) : [target];
  const changed: string[] = [];
  const until = action !== 'open' || untilMs === null ? null : new Date(untilMs).toISOString();
  try {
    for (const each of targets) await changeOne(each, action, untilMs, by, changed, context);
  } finally {
    // Also of what was changed before one of them failed.
    await audit(context.database, [
      { actor: by, action: `breaker.${action}`, tenantId: null, jobId: null, detail: { target, until, changed } },
    ]);
  }
  return changed;
}

async function allOf(target: string, { coordination, settings }: ApiContext): Promise<string[]> {
  const { provider } = splitTarget(target);
  const { breakers, usual } = await coordination.fleetState();
  const known = [...breakers.keys(), ...usual.keys(), ...configuredTargets(settings())];
  return [...new Set([target, ...known.filter((each) => splitTarget(each).provider === provider)])];
}

/** Of those that decide at once one wins; the others look again. */
const mostTries = 5;

/** @param changed gets the target when its state is another one now, or what it has counted was forgotten */
async function changeOne(
  target: string,
  action: BreakerAction,
  untilMs: number | null,
  by: string,
  changed: string[],
  context: ApiContext,
): Promise<void> {
  const { coordination, settings } = context;
  for (let tries = 0; tries < mostTries; tries += 1) {
    const seen = await coordination.readBreaker(target, settings().breaker.windowMs);
    const next = action === 'open' ? openByHand(seen.state, untilMs, Date.now()) : closeByHand();
    const isChange = next !== seen.state && !(next.kind === 'closed' && seen.state.kind === 'closed');
    if (action === 'reset') await coordination.resetBreaker(target);
    else if (isChange && !(await coordination.swapBreaker(seen, next, null))) continue;
    if (isChange || action === 'reset') changed.push(target);
    if (isChange) await tellChange(seen, next, by, context);
    return;
  }
  throw new Problem(
    'storage_unavailable',
    `Cannot change the breaker of "${target.slice(0, 64)}": its state changes all the time. Try again`,
    { param: 'target', retryAfterSeconds: 1 },
  );
}

/** As workers tell of what they change themselves. */
async function tellChange(
  { target, version, counts, state: before }: BreakerReading,
  next: BreakerState,
  by: string,
  { coordination, database, fleet, logger }: ApiContext,
): Promise<void> {
  fleet.forget();
  coordination.publish({ type: 'breaker_changed', target });
  coordination.publish({ type: 'work' });
  const data = {
    target,
    provider: splitTarget(target).provider,
    state: next.kind,
    why: 'manual',
    until: next.kind === 'open' && next.untilMs !== null ? new Date(next.untilMs).toISOString() : null,
    failures_in_a_row: counts.consecutive,
    by,
  };
  logger.info(data, 'a breaker was changed by hand');
  if (next.kind === before.kind) return;
  const type = next.kind === 'open' ? 'breaker.opened' : 'breaker.closed';
  await noteEvent(database, { id: `${type} ${target} ${version} ${Date.now()}`, type, data });
}
