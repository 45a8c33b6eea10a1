/**
 * From a call's result to what is settled: the attempt's end, and the job's next step. Pure but for the values
 * handed in; the table of `decide` says what a failure means.
 */
import type { ChatRequest } from '@waybill/shared/chat/request.ts';
import { type Answer, toChatCompletion } from '@waybill/shared/chat/response.ts';
import { modelSettings } from '@waybill/shared/config/model-settings.ts';
import type { ChainSettings, ProviderSettings } from '@waybill/shared/config/settings.ts';
import type { AttemptRecord } from '@waybill/shared/domain/attempt.ts';
import { type Failure, failureRule } from '@waybill/shared/domain/failure.ts';
import { priorities, splitTarget } from '@waybill/shared/domain/job.ts';
import { type Cost, costOfCall } from '@waybill/shared/pricing/cost.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import type { CallResult } from '@waybill/shared/providers/transport.ts';
import type { Candidate } from '@waybill/shared/routing/candidates.ts';
import { type Decision, decide } from '@waybill/shared/routing/decide.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import type { AttemptEnd, NextStep } from '@waybill/shared/store/settle.ts';

export interface Ended {
  readonly job: JobRow;
  readonly target: string;
  readonly request: ChatRequest;
  readonly provider: ProviderSettings;
  readonly chain: ChainSettings;
  readonly configVersion: string;
  readonly candidates: readonly Candidate[];
  readonly history: readonly AttemptRecord[];
  readonly result: CallResult;
  readonly warnings: readonly string[];
  readonly durationMs: number;
  readonly nowMs: number;
  readonly random: number;
  /** The window of a target, in entries. */
  readonly windowOf: (target: string) => number;
}

export interface Conclusion {
  readonly end: AttemptEnd;
  readonly next: NextStep;
  /** The failure that other jobs should know of; null for an answer or a stopped call. */
  readonly failure: Failure | null;
}

export function conclude(ended: Ended): Conclusion {
  const { result } = ended;
  if (result.kind === 'stopped') return concludeStopped(ended);
  if (result.kind === 'answer') {
    const refused = result.answer.refusal !== null || result.answer.finishReason === 'content_filter';
    if (!refused || ended.chain.on.refusal !== 'fallback') return concludeAnswer(ended, result.answer);
    return concludeFailure(ended, failure('refusal', 'the model refused to answer'), result.answer);
  }
  return concludeFailure(ended, result.failure, result.partial);
}

function concludeAnswer(ended: Ended, answer: Answer): Conclusion {
  const output = toChatCompletion(answer, { jobId: ended.job.id, target: ended.target, createdAtMs: ended.nowMs });
  return {
    end: endOf(ended, 'succeeded', null, answer, null),
    next: { kind: 'succeed', output: JSON.stringify(output) },
    failure: null,
  };
}

/** Shutdown and a lost lease send the job back where it was; a cancelled job is final already. */
function concludeStopped(ended: Ended): Conclusion {
  return {
    end: endOf(ended, 'aborted', null, null, null),
    next: { kind: 'requeue', target: ended.target, delayMs: 0, waiting: null, window: ended.windowOf(ended.target) },
    failure: null,
  };
}

function concludeFailure(ended: Ended, found: Failure, partial: Answer): Conclusion {
  const decision = decide({
    failure: found,
    target: ended.target,
    policy: { ...ended.chain, onLimitMs: ended.chain.onLimitMs[priorities[ended.job.priority] ?? 'normal'] },
    candidates: ended.candidates,
    history: ended.history,
    nowMs: ended.nowMs,
    deadlineAtMs: ended.job.deadline_at.getTime(),
    random: ended.random,
  });
  if (decision.kind === 'succeed') return concludeAnswer(ended, partial);
  const rule = failureRule(found.kind);
  const comesBack = rule.waiting || rule.pause !== null;
  // The provider's own time wins over ours, also when it is sooner.
  const waitMs = Math.max(found.retryAfterMs ?? rule.pause?.ms ?? 0, decision.kind === 'retry' ? decision.delayMs : 0);
  return {
    end: endOf(ended, 'failed', found, partial, comesBack ? ended.nowMs + waitMs : null),
    next: nextOf(decision, ended, found),
    failure: found,
  };
}

export function nextOf(
  decision: Exclude<Decision, { kind: 'succeed' }>,
  ended: Pick<Ended, 'windowOf' | 'target'>,
  found: Failure | null,
): NextStep {
  if (decision.kind === 'fail') {
    const message =
      found === null ? 'no target may serve this job' : `${ended.target}: ${found.message} (${found.kind})`;
    return { kind: 'fail', error: decision.error, message };
  }
  return {
    kind: 'requeue',
    target: decision.target,
    delayMs: decision.delayMs,
    waiting: decision.waiting,
    window: ended.windowOf(decision.target),
  };
}

function endOf(
  ended: Ended,
  status: AttemptEnd['status'],
  found: Failure | null,
  answer: Answer | null,
  retryAtMs: number | null,
): AttemptEnd {
  const { meta } = ended.result;
  return {
    jobId: ended.job.id,
    attempt: ended.job.attempt,
    tenantId: ended.job.tenant_id,
    target: ended.target,
    status,
    failure: found,
    httpStatus: meta.httpStatus,
    durationMs: ended.durationMs,
    firstByteMs: meta.firstByteMs,
    retryAtMs,
    requestId: meta.requestId,
    responseModel: answer?.model ?? null,
    usage: answer?.usage ?? null,
    cost: costOf(ended, found, answer),
    warnings: [...ended.warnings, ...(answer?.warnings ?? [])],
  };
}

function costOf(ended: Ended, found: Failure | null, answer: Answer | null): Cost {
  const { provider, result } = ended;
  const { model } = splitTarget(ended.target);
  const status = result.meta.httpStatus;
  return costOfCall(
    {
      failure: found?.kind ?? null,
      usage: answer?.usage ?? null,
      isSent: result.meta.isSent,
      isRefused: status !== null && (status < 200 || status > 299),
      isStopped: result.kind === 'stopped',
    },
    {
      pricesAs: provider.pricesAs,
      isLocal: provider.isLocal,
      configured: modelSettings(provider, model).price,
      requestedModel: model,
      responseModel: answer?.model ?? null,
      at: new Date(ended.nowMs),
      configVersion: ended.configVersion,
    },
  );
}
