/** From an entry to the right to call: a place at the target, a permit, and the claim of the job. */
import { rateLimitsOf } from '@waybill/shared/config/model-settings.ts';
import type { ProviderSettings } from '@waybill/shared/config/settings.ts';
import { requiredOf, tenantSettings } from '@waybill/shared/config/tenant-settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { callPrices } from '@waybill/shared/pricing/call-prices.ts';
import type { Entry } from '@waybill/shared/queue/entry.ts';
import type { EntryOutcome } from '@waybill/shared/queue/queue.ts';
import { exceededBy, rateLimits } from '@waybill/shared/routing/limits.ts';
import type { Claim, ClaimRequest } from '@waybill/shared/store/claim.ts';
import { longestQueuedDelayMs, noteWaiting } from '@waybill/shared/store/settle.ts';
import { returnToBacklog } from '@waybill/shared/store/sweep.ts';
import type { WorkerContext } from '../worker-context.ts';
import { type Means, openNow, pickCredential } from './means.ts';
import { type Permit, type PermitWish, takePermit, unusedPermit } from './permit.ts';
import { pauseAccount } from './permit-end.ts';
import { leaveBreaker, leaveMisfit, refuse, waitForBudget, waitForLimit } from './turned-away.ts';

export type Claimed = Extract<Claim, { kind: 'claimed' }>;

/** The job may be called now, or what became of its entry instead. */
export type Reached =
  | { readonly kind: 'claimed'; readonly claim: Claimed; readonly means: Means }
  | { readonly kind: 'turned'; readonly outcome: EntryOutcome };

const turned = (outcome: EntryOutcome): Reached => ({ kind: 'turned', outcome });
const quiet = (note: string): EntryOutcome => ({ kind: 'done', note });

export async function permitAndClaim(
  entry: Entry,
  provider: ProviderSettings,
  signal: AbortSignal,
  context: WorkerContext,
): Promise<Reached> {
  const { database, settings } = context;
  const open = await openNow(entry.target, provider, context);
  if (open.places.length === 0) return turned(await sendBack(entry, closedNotes[open.closedBy ?? 'failures'], context));
  const size = { inputTokens: entry.estimate - entry.output, outputTokens: entry.output };
  const limits = rateLimits(rateLimitsOf(provider, splitTarget(entry.target).model));
  if (tenantSettings(settings(), entry.tenant).excludeProviders.includes(provider.id))
    return turned(await leaveMisfit(entry, 'excluded', context));
  if (exceededBy(limits, size) !== null) return turned(await leaveMisfit(entry, 'exceeds_limit', context));
  const wish = { target: entry.target, places: open.places, rates: { jobId: entry.job, size, limits } };
  const taken = await takePermit(wish, signal, context);
  if (taken.kind === 'breaker') return turned(await leaveBreaker(entry, taken.waitMs, context));
  if (taken.kind === 'wait' && taken.reason === 'rate_limit') {
    await tellLimit(wish, taken.forAllMs, context);
    return turned(await waitForLimit(entry, taken.delayMs, context));
  }
  if (taken.kind === 'wait') {
    await noteWaiting(database, entry.job, entry.seq, 'turn', taken.delayMs);
    return turned({ kind: 'delay', delayMs: taken.delayMs });
  }
  const { permit } = taken;
  const credential = pickCredential(provider, permit.place.account, open, context);
  if (credential === null && provider.credentials.length > 0) {
    // It was replaced while the permit was waited for.
    await context.coordination.givePermitBack(unusedPermit(permit));
    return turned({ kind: 'delay', delayMs: epochDelayMs });
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
      prices: callPrices(provider, entry.target, size.inputTokens, context.now()),
    },
    permit,
    context,
  );
  return claim.kind === 'claimed'
    ? { kind: 'claimed', claim, means: { permit, credential, provider } }
    : turned(await afterRefusedClaim(claim, provider, permit, context));
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

/** Not here, not now. @param why in words, for the entry's note */
export async function sendBack(
  { job, seq }: Pick<Entry, 'job' | 'seq'>,
  why: string,
  { database }: Pick<WorkerContext, 'database'>,
): Promise<EntryOutcome> {
  await returnToBacklog(database, job, seq, returnDelayMs);
  return quiet(`returned to the backlog: ${why}`);
}

/** The store that gave the permit is being rebuilt. */
const epochDelayMs = 100;
