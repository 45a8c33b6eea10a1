/**
 * One entry: permit, claim, call, settle, tell.
 *
 * The entry is a doorbell. What it asks for is checked against the job row, and an entry that comes too late, or a
 * second time, ends quietly.
 */
import type { Span } from '@opentelemetry/api';
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { ChainSettings, ProviderSettings, Settings } from '@waybill/shared/config/settings.ts';
import type { AttemptRecord } from '@waybill/shared/domain/attempt.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { CallResult } from '@waybill/shared/providers/transport.ts';
import { type Entry, entrySchema } from '@waybill/shared/queue/entry.ts';
import { addJobEntries } from '@waybill/shared/queue/job-entries.ts';
import type { EntryOutcome } from '@waybill/shared/queue/queue.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import { type Candidate, candidates } from '@waybill/shared/routing/candidates.ts';
import { decideRefusal, type Refusal } from '@waybill/shared/routing/decide.ts';
import { orderTargets } from '@waybill/shared/routing/strategies.ts';
import { targetFacts } from '@waybill/shared/routing/target-facts.ts';
import type { Claim, ClaimRequest } from '@waybill/shared/store/claim.ts';
import { usagesOfParts } from '@waybill/shared/store/deliveries.ts';
import { failQueuedJob } from '@waybill/shared/store/job-end.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import { noteWaiting, redirectQueuedJob, type SettledJob } from '@waybill/shared/store/settle.ts';
import { returnToBacklog } from '@waybill/shared/store/sweep.ts';
import { attribute } from '@waybill/shared/telemetry/names.ts';
import { inSpan, markFailed } from '@waybill/shared/telemetry/tracing.ts';
import { windowsOf } from '../dispatch/windows.ts';
import { sharedState } from '../shared-state.ts';
import type { WorkerContext } from '../worker-context.ts';
import { callTarget } from './call.ts';
import { parseCarried } from './carried.ts';
import { type Conclusion, conclude, type Ended, nextOf } from './conclude.ts';
import type { Delivery } from './delivery.ts';
import { endpointName, type Means, openNow, pickCredential } from './means.ts';
import { isOpenElsewhere, pauseScope } from './pause.ts';
import { takePermit } from './permit.ts';
import { failureOf, settlePermit } from './permit-end.ts';
import { settleUntilKnown } from './settle-until-known.ts';
import { type Prior, tellingOf } from './telling.ts';
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
  const { database, coordination, epochs, lease } = context;
  const open = await openNow(entry.target, provider, context);
  if (open.places.length === 0) {
    await returnToBacklog(database, entry.job, entry.seq, returnDelayMs);
    return quiet(`returned to the backlog: ${closedNotes[open.closedBy ?? 'failures']}`);
  }
  const taken = await takePermit(entry.target, open.places, signal, context);
  if (taken.kind === 'wait') {
    await noteWaiting(database, entry.job, entry.seq, taken.reason, taken.delayMs);
    return { kind: 'delay', delayMs: taken.delayMs };
  }
  const { permit } = taken;
  const held = { token: permit.token, target: permit.target, place: permit.place.id };
  const credential = pickCredential(provider, permit.place.account, open, context);
  if (credential === null && provider.credentials.length > 0) {
    // It was replaced while the permit was waited for.
    await coordination.givePermitBack(held);
    return { kind: 'delay', delayMs: epochDelayMs };
  }
  let claim: Claim;
  try {
    claim = await claimTwice(
      {
        jobId: entry.job,
        seq: entry.seq,
        target: entry.target,
        workerId: lease.id(),
        labels: provider.labels,
        credential: credential?.name ?? null,
        permit: permit.token,
        place: permit.place.id,
        epoch: permit.epoch,
      },
      context,
    );
  } catch (error) {
    await coordination.givePermitBack(held);
    throw error;
  }
  if (claim.kind === 'claimed') return attemptOnce(entry, claim, { permit, credential, provider }, span, context);
  await coordination.givePermitBack(held);
  if (claim.kind === 'refused') return refuse(claim.job, claim.refusal, context);
  if (claim.kind === 'stale') return quiet('stale: the job went on without this entry');
  epochs.lost(provider.id, permit.epoch);
  return { kind: 'delay', delayMs: epochDelayMs };
}

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
  const called = await callTarget(
    {
      jobId: job.id,
      run: job.run,
      attempt: job.attempt,
      tenantId: job.tenant_id,
      target: entry.target,
      provider,
      place: permit.place,
      credential,
      chain,
      work: workOf(claim, { target: entry.target, chain, carried }, provider, logger),
      because: becauseOf(claim.history),
      attemptTimeoutMs: job.attempt_timeout_ms,
      workerId: job.claimed_by ?? '',
    },
    context,
  );
  void settlePermit(permit, entry, called.result, context);
  context.observer.note(endpointName(means), called.result, performance.now() - startedAt);
  const failed = failureOf(called.result);
  const ended = {
    job,
    target: entry.target,
    provider,
    chain,
    carried,
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
  const { end, next } = conclusion;
  const telling = tellingOf(job, end, next, await priorOf(claim, context), context.now());
  const settled = await settleUntilKnown(context.settle, { end, next, telling }, isMine, logger);
  return tellSettled(settled, conclusion, span, context);
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

type Known = 'candidates' | 'nowMs' | 'random' | 'windowOf';

/** An answer is concluded whatever the shared state; without it, a failure sends the job back to be tried again. */
async function concludeKnowing(ended: Omit<Ended, Known>, context: WorkerContext): Promise<Conclusion> {
  const { fleet, logger, now, random } = context;
  const settings = context.settings();
  try {
    const windowOf = await windowsOf(fleet, settings);
    const found = await candidatesOf(ended.job, ended.chain, context);
    return conclude({ ...ended, candidates: found, windowOf, nowMs: now(), random: random() });
  } catch (error) {
    logger.error({ err: error, job_id: ended.job.id }, 'an attempt could not be concluded with what the fleet knows');
    const here: Candidate[] = [{ target: ended.target, kind: 'eligible' }];
    const alone = { ...ended, candidates: here, windowOf: () => 0, nowMs: now(), random: random() };
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
  { end, next, failure }: Conclusion,
  span: Span,
  context: WorkerContext,
): Promise<EntryOutcome> {
  const { cost } = end;
  span.setAttributes({
    [attribute.attemptOutcome]: settled.kind === 'settled' ? end.status : 'superseded',
    [attribute.costBasis]: cost.basis,
  });
  if (cost.nano !== null) span.setAttribute(attribute.costNanoUsd, Number(cost.nano));
  if (end.status !== 'succeeded') markFailed(span, failure?.kind ?? 'cancelled');
  if (settled.kind === 'fence_lost') return quiet('superseded: the job went on without this attempt');
  if (next.kind !== 'requeue') {
    await tellEnded(settled, context);
    return next.kind === 'succeed' ? quiet('succeeded') : { kind: 'failed', note: `failed: ${next.error}` };
  }
  span.setAttribute(attribute.nextTarget, next.target);
  const isFallback = next.target !== end.target;
  const why = failure ? `${failure.kind}${end.httpStatus === null ? '' : ` (HTTP ${end.httpStatus})`}` : 'stopped';
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

/** The next entry is added here when the settle marked the row; else the dispatcher does it. */
async function goOn(job: SettledJob, reason: string, delayMs: number, context: WorkerContext): Promise<void> {
  const { coordination, queues, logger } = context;
  if (job.dispatched_at === null) return coordination.publish({ type: 'work' });
  await addJobEntries(queues, [job], reason, delayMs);
  const charge = { target: job.target, tenantId: job.tenant_id, tokens: job.estimated_tokens };
  await coordination
    .charge(charge)
    .catch((error: unknown) => logger.debug({ err: error }, 'an entry could not be charged to its tenant'));
}

async function refuse(job: JobRow, refusal: Refusal, context: WorkerContext): Promise<EntryOutcome> {
  const settings = context.settings();
  const decision = decideRefusal(refusal, job.target, await candidatesOf(job, chainOf(job, settings), context));
  const windowOf = await windowsOf(context.fleet, settings);
  const next = nextOf(decision, { windowOf, target: job.target, carried: null }, null);
  if (next.kind === 'succeed') throw new Error('Cannot settle a refused claim: it decided to succeed without a call');
  if (next.kind === 'requeue') {
    const moved = await redirectQueuedJob(context.database, job.id, job.seq, next);
    if (moved) await goOn(moved, `fallback: ${refusal}`, next.delayMs, context);
    return { kind: 'failed', note: `fallback -> ${next.target}: ${refusal}` };
  }
  const message =
    refusal === 'poison'
      ? 'five attempts in a row ended with their worker; the job itself is the likely cause'
      : `no target has the labels ${job.require.join(', ')}`;
  const ended = await failQueuedJob(
    context.database,
    job.id,
    job.seq,
    decision.kind === 'fail' ? decision.error : 'attempts_exhausted',
    message,
  );
  if (ended) await tellEnded(ended, context);
  return { kind: 'failed', note: `failed: ${refusal}` };
}

/** The chain's policy as configured now; a chain that vanished leaves its targets with the default policy. */
function chainOf(job: JobRow, settings: Settings): ChainSettings {
  const chain = job.chain === null ? undefined : settings.chains[job.chain];
  return { ...(chain ?? chainOfTarget(job.requested_model)), targets: job.targets };
}

async function candidatesOf(job: JobRow, chain: ChainSettings, context: WorkerContext): Promise<Candidate[]> {
  const state = await sharedState(context);
  // The row's targets were filtered by capability and window when it was accepted, and are in the order of its turn.
  const needs = {
    capabilities: [],
    windowTokens: 0,
    require: job.require,
    excludeProviders: job.exclude_providers,
  };
  return candidates(
    orderTargets(chain.targets, 'ordered', 0),
    needs,
    targetFacts(context.settings(), state, context.now()),
  );
}
