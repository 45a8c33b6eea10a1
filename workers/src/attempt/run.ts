/**
 * One entry: permit, claim, call, settle, tell.
 *
 * The entry is a doorbell. What it asks for is checked against the job row, and an entry that comes too late, or a
 * second time, ends quietly.
 */
import type { Span } from '@opentelemetry/api';
import { rateLimitsOf } from '@waybill/shared/config/model-settings.ts';
import type { ChainSettings, ProviderSettings } from '@waybill/shared/config/settings.ts';
import { requiredOf, tenantSettings } from '@waybill/shared/config/tenant-settings.ts';
import type { AttemptRecord } from '@waybill/shared/domain/attempt.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { CallResult } from '@waybill/shared/providers/transport.ts';
import { type Entry, entrySchema } from '@waybill/shared/queue/entry.ts';
import type { EntryOutcome } from '@waybill/shared/queue/queue.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import type { Candidate } from '@waybill/shared/routing/candidates.ts';
import { isExhausted } from '@waybill/shared/routing/decide.ts';
import { exceededBy, rateLimits } from '@waybill/shared/routing/limits.ts';
import { targetFacts } from '@waybill/shared/routing/target-facts.ts';
import type { Claim, ClaimRequest } from '@waybill/shared/store/claim.ts';
import { type PastTurn, readTurns } from '@waybill/shared/store/conversations.ts';
import { usagesOfParts } from '@waybill/shared/store/deliveries.ts';
import { longestQueuedDelayMs, noteWaiting } from '@waybill/shared/store/settle.ts';
import { returnToBacklog } from '@waybill/shared/store/sweep.ts';
import { attribute } from '@waybill/shared/telemetry/names.ts';
import { inSpan, markFailed } from '@waybill/shared/telemetry/tracing.ts';
import { windowsOf } from '../dispatch/windows.ts';
import { sharedState } from '../shared-state.ts';
import type { WorkerContext } from '../worker-context.ts';
import { type Bar, findBar } from './bar.ts';
import { callTarget, notCalled } from './call.ts';
import { parseCarried } from './carried.ts';
import { type Conclusion, conclude, type Ended, whyOf } from './conclude.ts';
import type { Delivery } from './delivery.ts';
import { goOn } from './go-on.ts';
import { endpointName, type Means, openNow, pickCredential } from './means.ts';
import { isOpenElsewhere, pauseScope } from './pause.ts';
import { isTooLate, type Permit, type PermitWish, takePermit, unusedPermit } from './permit.ts';
import { failureOf, pauseAccount, settlePermit } from './permit-end.ts';
import { claimPrices } from './prices.ts';
import { candidatesOf, chainOf } from './route-of.ts';
import { settleUntilKnown } from './settle-until-known.ts';
import { type Prior, tellingOf } from './telling.ts';
import { leaveBreaker, leaveMisfit, refuse, waitForBudget, waitForLimit } from './turned-away.ts';
import { workOf } from './work-of.ts';

const quiet = (note: string): EntryOutcome => ({ kind: 'done', note });

export async function runEntry(
  data: unknown,
  id: string,
  signal: AbortSignal,
  context: WorkerContext,
): Promise<EntryOutcome> {
  const entry = entrySchema.safeParse(data);
  if (!entry.success) return quiet('not an entry of this version');
  const { job, seq, target, tenant, traceparent } = entry.data;
  const attributes = {
    [attribute.messagingSystem]: 'bullmq',
    [attribute.messagingOperation]: 'process',
    [attribute.messagingDestination]: splitTarget(target).provider,
    [attribute.messagingId]: id,
    [attribute.jobId]: job,
    [attribute.tenantId]: tenant,
  };
  return inSpan(
    `process ${splitTarget(target).provider}`,
    { kind: 'consumer', attributes, parent: traceparent, isRoot: traceparent === null },
    async (span) => {
      const provider = context.settings().providers[splitTarget(target).provider];
      const { switches } = await context.fleet.read();
      if (!provider || !(switches.get(provider.id) ?? provider.enabled)) {
        await returnToBacklog(context.database, job, seq, returnDelayMs);
        return quiet('returned to the backlog: the provider is not in use');
      }
      return permitAndClaim(entry.data, provider, signal, span, context);
    },
  );
}

async function permitAndClaim(
  entry: Entry,
  provider: ProviderSettings,
  signal: AbortSignal,
  span: Span,
  context: WorkerContext,
): Promise<EntryOutcome> {
  const { database, settings } = context;
  const open = await openNow(entry.target, provider, context);
  if (open.places.length === 0) {
    await returnToBacklog(database, entry.job, entry.seq, returnDelayMs);
    return quiet(`returned to the backlog: ${closedNotes[open.closedBy ?? 'failures']}`);
  }
  const size = { inputTokens: entry.estimate - entry.output, outputTokens: entry.output };
  const limits = rateLimits(rateLimitsOf(provider, splitTarget(entry.target).model));
  if (tenantSettings(settings(), entry.tenant).excludeProviders.includes(provider.id))
    return leaveMisfit(entry, 'excluded', context);
  if (exceededBy(limits, size) !== null) return leaveMisfit(entry, 'exceeds_limit', context);
  const wish = { target: entry.target, places: open.places, rates: { jobId: entry.job, size, limits } };
  const taken = await takePermit(wish, signal, context);
  if (taken.kind === 'breaker') return leaveBreaker(entry, taken.waitMs, context);
  if (taken.kind === 'wait' && taken.reason === 'rate_limit') {
    await tellLimit(wish, taken.forAllMs, context);
    return waitForLimit(entry, taken.delayMs, context);
  }
  if (taken.kind === 'wait') {
    await noteWaiting(database, entry.job, entry.seq, 'turn', taken.delayMs);
    return { kind: 'delay', delayMs: taken.delayMs };
  }
  const { permit } = taken;
  const credential = pickCredential(provider, permit.place.account, open, context);
  if (credential === null && provider.credentials.length > 0) {
    // It was replaced while the permit was waited for.
    await context.coordination.givePermitBack(unusedPermit(permit));
    return { kind: 'delay', delayMs: epochDelayMs };
  }
  const claim = await claimWith(
    {
      jobId: entry.job,
      seq: entry.seq,
      target: entry.target,
      workerId: context.lease.id(),
      labels: provider.labels,
      require: requiredOf(settings(), entry.tenant),
      credential: credential?.name ?? null,
      permit: permit.token,
      place: permit.place.id,
      epoch: permit.epoch,
      prices: claimPrices(provider, entry.target, size.inputTokens, context.now()),
    },
    permit,
    context,
  );
  return claim.kind === 'claimed'
    ? attemptOnce(entry, claim, { permit, credential, provider }, span, context)
    : afterRefusedClaim(claim, provider, permit, context);
}

/** What is asked for in vain is not claimed: the permit goes back. */
async function claimWith(request: ClaimRequest, permit: Permit, context: WorkerContext): Promise<Claim> {
  try {
    const claim = await claimTwice(request, context);
    if (claim.kind !== 'claimed') await context.coordination.givePermitBack(unusedPermit(permit));
    return claim;
  } catch (error) {
    await context.coordination.givePermitBack(unusedPermit(permit));
    throw error;
  }
}

function afterRefusedClaim(
  claim: Exclude<Claim, { kind: 'claimed' }>,
  provider: ProviderSettings,
  permit: Permit,
  context: WorkerContext,
): Promise<EntryOutcome> | EntryOutcome {
  switch (claim.kind) {
    case 'refused':
      return refuse(claim, context);
    case 'budget_wait':
      return waitForBudget(claim, context);
    case 'turn':
      return quiet('returned to the backlog: another turn of its conversation is first');
    case 'stale':
      return quiet('stale: the job went on without this entry');
    case 'old_epoch':
      context.epochs.lost(provider.id, permit.epoch);
      return { kind: 'delay', delayMs: epochDelayMs };
  }
}

/** A limit that no call could keep is told to the fleet: jobs then wait in the backlog instead of coming one by one. */
async function tellLimit(
  { target, places }: PermitWish,
  forAllMs: number | null,
  context: WorkerContext,
): Promise<void> {
  if (forAllMs === null || forAllMs <= longestQueuedDelayMs) return;
  // What a call leaves of its reservation may end a short wait much sooner: then somebody has to ask.
  const restMs = forAllMs > shortLimitMs ? forAllMs : longestQueuedDelayMs;
  const accounts = [...new Set(places.map(({ account }) => account))];
  for (const account of accounts) await pauseAccount({ target, place: { account } }, restMs, context);
}
const shortLimitMs = 60_000;

/** A claim whose answer was lost may stand: asked again, under the same permit, it says so. */
const claimTwice = (request: ClaimRequest, { claim }: WorkerContext): Promise<Claim> =>
  claim(request).catch(() => claim(request));

const closedNotes = {
  limits: 'the target is at its limit',
  credentials: 'no credential may be used',
  failures: 'the target is paused',
};

/** The dispatcher may know less than this process for a moment: without a pause they would hand the job to and fro. */
const returnDelayMs = 250;

/** The store that gave the permit is being rebuilt. */
const epochDelayMs = 100;

async function attemptOnce(
  entry: Entry,
  claim: Extract<Claim, { kind: 'claimed' }>,
  means: Means,
  span: Span,
  context: WorkerContext,
): Promise<EntryOutcome> {
  const { logger } = context;
  const { job } = claim;
  const { provider, permit, credential } = means;
  const settings = context.settings();
  const chain = chainOf(job, settings);
  const carried = parseCarried(claim.carried);
  span.setAttribute(attribute.attemptNumber, job.attempt);
  const startedAt = performance.now();
  const { turns, windowTokens, barred, why } = await lookBeforeCall(claim, means, chain, context);
  const input = { target: entry.target, chain, carried, turns, windowTokens };
  const call = {
    jobId: job.id,
    run: job.run,
    attempt: job.attempt,
    tenantId: job.tenant_id,
    target: entry.target,
    provider,
    place: permit.place,
    credential,
    chain,
    work: workOf(claim, input, provider, logger),
    because: becauseOf(claim.history),
    attemptTimeoutMs: job.attempt_timeout_ms,
    workerId: job.claimed_by ?? '',
  };
  const called = why === null ? await callTarget(call, context) : notCalled(why);
  void settlePermit(permit, entry, called.result, context);
  context.observer.note(endpointName(means), called.result, performance.now() - startedAt);
  const failed = failureOf(called.result);
  const ended = {
    job,
    target: entry.target,
    provider,
    chain,
    carried,
    barred,
    configVersion: settings.version,
    history: claim.history,
    isOpenElsewhere:
      failed !== null &&
      (await pauseScope(failed, means, context)) &&
      (await isOpenElsewhere(failed, means, claim.history, context)),
    result: called.result,
    // After the permit, which others wait for.
    warnings: [...called.warnings, ...(await called.told)],
  };
  const conclusion = await concludeKnowing({ ...ended, durationMs: performance.now() - startedAt }, context);
  const isMine = () => context.lease.id() === job.claimed_by;
  const { end, next, decided } = conclusion;
  const telling = tellingOf(job, conclusion, await priorOf(claim, context), context.now());
  const settled = await settleUntilKnown(context.settle, { end, next, telling, decided }, isMine, logger);
  return tellSettled(settled, conclusion, span, context);
}

const nothingSeen = { turns: [], windowTokens: null, barred: null };

interface LastLook {
  readonly turns: readonly PastTurn[];
  /** Of the target; null: unknown, or nobody asks. */
  readonly windowTokens: number | null;
  readonly barred: Bar | null;
  /** Why it is not called after all; null: it is. */
  readonly why: 'too_late' | 'barred' | 'exhausted' | 'unread' | null;
}

/** What is not known must not be sent: without the turns of its conversation, or a look at them, the job comes again. */
async function lookBeforeCall(
  claim: Extract<Claim, { kind: 'claimed' }>,
  { provider, permit }: Means,
  { maxAttempts }: ChainSettings,
  context: WorkerContext,
): Promise<LastLook> {
  if (isExhausted(claim.history, maxAttempts)) return { ...nothingSeen, why: 'exhausted' };
  try {
    const turns = await readTurns(context.database, claim.job);
    const windowTokens = turns.length === 0 ? null : await windowOfTarget(permit.target, context);
    const barred = await findBar(claim, turns, provider, context);
    const why = barred !== null ? 'barred' : isTooLate(permit) ? 'too_late' : null;
    return { turns, windowTokens, barred, why };
  } catch (error) {
    context.logger.warn({ err: error, job_id: claim.job.id }, 'a job could not be looked at before its call');
    return { ...nothingSeen, why: 'unread' };
  }
}

async function windowOfTarget(target: string, context: WorkerContext): Promise<number | null> {
  return targetFacts(context.settings(), await sharedState(context), context.now())(target).contextWindow;
}

/** Only of a job that somebody is told of, and that came in parts; not knowing must not cost the attempt its settle. */
async function priorOf(
  { job, history, prior }: Extract<Claim, { kind: 'claimed' }>,
  { database, logger }: WorkerContext,
): Promise<Prior> {
  const isAsked = job.webhook_endpoint_id !== null && history.some(({ status }) => status === 'succeeded');
  if (!isAsked) return { ...prior, parts: [] };
  try {
    return { ...prior, parts: await usagesOfParts(database, job) };
  } catch (error) {
    logger.warn({ err: error, job_id: job.id }, 'the usage of earlier parts could not be read');
    return { ...prior, parts: [null] };
  }
}

/** How the attempt before this one ended. */
function becauseOf(history: readonly AttemptRecord[]): string | null {
  const last = history.at(-1);
  return last === undefined ? null : (last.failure ?? last.status);
}

type Known = 'candidates' | 'nowMs' | 'random' | 'windowOf' | 'retryInMs';

/** An answer is concluded whatever the shared state; without it, a failure sends the job back to be tried again. */
async function concludeKnowing(ended: Omit<Ended, Known>, context: WorkerContext): Promise<Conclusion> {
  const { coordination, fleet, logger, now, random } = context;
  const settings = context.settings();
  try {
    const windowOf = await windowsOf(fleet, settings);
    const job = ended.barred === null ? ended.job : { ...ended.job, require: [...ended.barred.require] };
    const found = await candidatesOf(job, ended.chain, context);
    const known = { ...ended, candidates: found, windowOf, nowMs: now(), random: random() };
    const first = conclude({ ...known, retryInMs: 0 });
    if (!first.isRetry) return first;
    const retryInMs = await coordination.takeRetry(ended.provider.id);
    if (retryInMs === 0) return first;
    const second = conclude({ ...known, retryInMs });
    // It goes elsewhere instead: that is no retry.
    if (!second.isRetry) void coordination.returnRetry(ended.provider.id).catch(() => undefined);
    return second;
  } catch (error) {
    logger.error({ err: error, job_id: ended.job.id }, 'an attempt could not be concluded with what the fleet knows');
    const here: Candidate[] = [{ target: ended.target, kind: 'eligible' }];
    const alone = { ...ended, candidates: here, windowOf: () => 0, nowMs: now(), random: random(), retryInMs: 0 };
    try {
      return conclude(alone);
    } catch (fault) {
      // A fault of ours in reading the answer: the attempt must end all the same.
      logger.error({ err: fault, job_id: ended.job.id }, 'an attempt could not be concluded');
      return conclude({ ...alone, result: faultOf(ended.result) });
    }
  }
}

const faultOf = ({ meta }: CallResult<Delivery>): CallResult<Delivery> => ({
  kind: 'failure',
  failure: failure('unknown', 'a fault of this worker; its log has more'),
  partial: null,
  meta,
});

async function tellSettled(
  settled: Awaited<ReturnType<typeof settleUntilKnown>>,
  { end, next }: Conclusion,
  span: Span,
  context: WorkerContext,
): Promise<EntryOutcome> {
  const { cost } = end;
  span.setAttributes({
    [attribute.attemptOutcome]: settled.kind === 'settled' ? end.status : 'superseded',
    [attribute.costBasis]: cost.basis,
  });
  if (cost.nano !== null) span.setAttribute(attribute.costNanoUsd, Number(cost.nano));
  if (end.status !== 'succeeded') markFailed(span, end.failure?.kind ?? 'cancelled');
  if (settled.kind === 'fence_lost') return quiet('superseded: the job went on without this attempt');
  if (settled.isBudgetFreed) context.coordination.publish({ type: 'budget_freed' });
  if (next.kind === 'park') return { kind: 'failed', note: `awaits approval for ${next.target}: ${whyOf(end)}` };
  if (next.kind !== 'requeue') {
    await tellEnded(settled, context);
    return next.kind === 'succeed' ? quiet('succeeded') : { kind: 'failed', note: `failed: ${next.error}` };
  }
  span.setAttribute(attribute.nextTarget, next.target);
  const isFallback = next.target !== end.target;
  const why = whyOf(end);
  await goOn(
    settled.job,
    isFallback ? `fallback: ${why}` : `${next.waiting ?? 'again'}: ${why}`,
    next.delayMs,
    context,
  );
  return {
    kind: 'failed',
    note: isFallback ? `fallback -> ${next.target}: ${why}` : `retry in ${next.delayMs} ms: ${why}`,
  };
}
