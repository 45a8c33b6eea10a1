/**
 * One entry: permit, claim, call, settle, tell.
 *
 * The entry is a doorbell. What it asks for is checked against the job row, and an entry that comes too late, or a
 * second time, ends quietly.
 */
import type { Span } from '@opentelemetry/api';
import type { ChainSettings } from '@waybill/shared/config/settings.ts';
import type { AttemptRecord } from '@waybill/shared/domain/attempt.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { type Entry, entrySchema } from '@waybill/shared/queue/entry.ts';
import type { EntryOutcome } from '@waybill/shared/queue/queue.ts';
import { tellEnded } from '@waybill/shared/queue/tell-ended.ts';
import { usagesOfParts } from '@waybill/shared/store/deliveries.ts';
import { attribute } from '@waybill/shared/telemetry/names.ts';
import { inSpan, markFailed } from '@waybill/shared/telemetry/tracing.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { Bar } from './bar.ts';
import { type Called, callTarget, notCalled } from './call.ts';
import { type Carried, parseCarried } from './carried.ts';
import { type Conclusion, whyOf } from './conclude.ts';
import { concludeKnowing } from './conclude-knowing.ts';
import { goOn } from './go-on.ts';
import { lookBeforeCall } from './look-before-call.ts';
import { endpointName } from './means.ts';
import { isOpenElsewhere, pauseScope } from './pause.ts';
import { type Claimed, permitAndClaim, type Reached, sendBack } from './permit-and-claim.ts';
import { failureOf, settlePermit } from './permit-end.ts';
import { chainOf } from './route-of.ts';
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
  const { job, target, tenant, traceparent } = entry.data;
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
      if (!provider || !(switches.get(provider.id) ?? provider.enabled))
        return sendBack(entry.data, 'the provider is not in use', context);
      const reached = await permitAndClaim(entry.data, provider, signal, context);
      return reached.kind === 'claimed' ? attemptOnce(entry.data, reached, span, context) : reached.outcome;
    },
  );
}

async function attemptOnce(
  entry: Entry,
  reached: Extract<Reached, { kind: 'claimed' }>,
  span: Span,
  context: WorkerContext,
): Promise<EntryOutcome> {
  const { logger } = context;
  const { claim, means } = reached;
  const { job } = claim;
  const { provider, permit } = means;
  const settings = context.settings();
  const chain = chainOf(job, settings);
  const carried = parseCarried(claim.carried);
  span.setAttribute(attribute.attemptNumber, job.attempt);
  const startedAt = performance.now();
  const { called, barred } = await lookAndCall(reached, { chain, carried }, context);
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

/** From here on a cancel reaches it, also while the turns of its conversation are read. */
async function lookAndCall(
  { claim, means }: Extract<Reached, { kind: 'claimed' }>,
  { chain, carried }: { readonly chain: ChainSettings; readonly carried: Carried | null },
  context: WorkerContext,
): Promise<{ called: Called; barred: Bar | null }> {
  const { job } = claim;
  const { provider, permit, credential } = means;
  const running = context.calls.open(job.id);
  try {
    const { turns, windowTokens, barred, why } = await lookBeforeCall(claim, means, chain, context);
    if (why !== null) return { called: notCalled(why), barred };
    const input = { target: permit.target, chain, carried, turns, windowTokens };
    const call = {
      jobId: job.id,
      run: job.run,
      attempt: job.attempt,
      tenantId: job.tenant_id,
      target: permit.target,
      provider,
      place: permit.place,
      credential,
      chain,
      work: workOf(claim, input, provider, context.logger),
      because: becauseOf(claim.history),
      attemptTimeoutMs: job.attempt_timeout_ms,
      workerId: job.claimed_by ?? '',
    };
    return { called: await callTarget(call, running, context), barred };
  } finally {
    running.close();
  }
}

/** Only of a job that somebody is told of, and that came in parts; not knowing must not cost the attempt its settle. */
async function priorOf({ job, history, prior }: Claimed, { database, logger }: WorkerContext): Promise<Prior> {
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
