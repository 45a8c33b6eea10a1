/**
 * From a call's result to what is settled: the attempt's end, and the job's next step. Pure but for the values
 * handed in; the table of `decide` says what a failure means.
 */
import { modelSettings } from '@waybill/shared/config/model-settings.ts';
import type { ChainSettings, ProviderSettings } from '@waybill/shared/config/settings.ts';
import type { AttemptRecord } from '@waybill/shared/domain/attempt.ts';
import { type Failure, type FailureAction, failureRule, pauseOf } from '@waybill/shared/domain/failure.ts';
import { priorities, splitTarget } from '@waybill/shared/domain/job.ts';
import { type Cost, costOfCall } from '@waybill/shared/pricing/cost.ts';
import type { CallResult } from '@waybill/shared/providers/transport.ts';
import type { Candidate } from '@waybill/shared/routing/candidates.ts';
import { type Decision, decide } from '@waybill/shared/routing/decide.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import type { AttemptEnd, NextStep } from '@waybill/shared/store/settle.ts';
import { type Carried, fits } from './carried.ts';
import type { Delivery } from './delivery.ts';

export interface Ended {
  readonly job: JobRow;
  readonly target: string;
  readonly provider: ProviderSettings;
  readonly chain: ChainSettings;
  readonly configVersion: string;
  readonly candidates: readonly Candidate[];
  readonly history: readonly AttemptRecord[];
  readonly result: CallResult<Delivery>;
  /** What earlier attempts of the run delivered. */
  readonly carried: Carried | null;
  /** The target can be called with another credential, or at another account. */
  readonly isOpenElsewhere: boolean;
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
  if (result.kind === 'failure') return concludeFailure(ended, result.failure, result.partial, null);
  const { fault } = result.answer;
  if (fault !== null) return concludeFailure(ended, fault.failure, result.answer, fault.action ?? null);
  return result.answer.carried === null
    ? concludeAnswer(ended, result.answer)
    : concludePart(ended, result.answer, result.answer.carried);
}

function concludeAnswer(ended: Ended, answer: Delivery): Conclusion {
  const output = answer.output({ jobId: ended.job.id, createdAtMs: ended.nowMs });
  return {
    end: endOf(ended, 'succeeded', null, answer, null),
    next: { kind: 'succeed', output },
    failure: null,
  };
}

function concludePart(ended: Ended, answer: Delivery, carried: Carried): Conclusion {
  const end = { ...endOf(ended, 'succeeded', null, answer, null), isPart: true };
  return { end, next: goOnHere(ended, JSON.stringify(carried)), failure: null };
}

/** Shutdown and a lost lease send the job back where it was; a cancelled job is final already. */
function concludeStopped(ended: Ended): Conclusion {
  const end = endOf(ended, 'aborted', null, null, null);
  return { end, next: goOnHere(ended, carriedTo(ended.target, ended.carried)), failure: null };
}

const goOnHere = ({ target, windowOf }: Ended, carried: string | null): NextStep => ({
  kind: 'requeue',
  target,
  delayMs: 0,
  waiting: null,
  window: windowOf(target),
  carried,
});

const carriedTo = (target: string, carried: Carried | null): string | null =>
  carried !== null && fits(carried, target) ? JSON.stringify(carried) : null;

/** Failures that break an answer off; what came before them may be gone on from. */
const breaking: ReadonlySet<string> = new Set(['stream_interrupted', 'timeout', 'network']);

function concludeFailure(
  ended: Ended,
  found: Failure,
  partial: Delivery | null,
  action: FailureAction | null,
): Conclusion {
  const decision = decide({
    failure: found,
    target: ended.target,
    policy: { ...ended.chain, onLimitMs: ended.chain.onLimitMs[priorities[ended.job.priority] ?? 'normal'] },
    candidates: ended.candidates,
    history: ended.history,
    nowMs: ended.nowMs,
    deadlineAtMs: ended.job.deadline_at.getTime(),
    random: ended.random,
    isOpenElsewhere: ended.isOpenElsewhere,
    action,
  });
  if (decision.kind === 'succeed' && partial !== null) return concludeAnswer(ended, partial);
  const pause = pauseOf(found);
  const comesBack = failureRule(found.kind).waiting || pause !== null;
  // The provider's own time wins over ours, also when it is sooner.
  const waitMs = Math.max(found.retryAfterMs ?? pause?.ms ?? 0, decision.kind === 'retry' ? decision.delayMs : 0);
  const goesOnFrom = ended.chain.resume === 'continue' && breaking.has(found.kind) ? (partial?.kept ?? null) : null;
  return {
    end: endOf(ended, 'failed', found, partial, comesBack ? ended.nowMs + waitMs : null),
    next: nextOf(decision, ended, found, goesOnFrom),
    failure: found,
  };
}

/** @param kept what the attempt that failed leaves to go on from; what earlier ones left is kept as well */
export function nextOf(
  decision: Decision,
  ended: Pick<Ended, 'windowOf' | 'target' | 'carried'>,
  found: Failure | null,
  kept: Carried | null = null,
): NextStep {
  if (decision.kind === 'succeed' || decision.kind === 'fail') {
    const message =
      found === null ? 'no target may serve this job' : `${ended.target}: ${found.message} (${found.kind})`;
    return { kind: 'fail', error: decision.kind === 'fail' ? decision.error : (found?.kind ?? 'unknown'), message };
  }
  return {
    kind: 'requeue',
    target: decision.target,
    delayMs: decision.delayMs,
    waiting: decision.waiting,
    window: ended.windowOf(decision.target),
    carried: carriedTo(decision.target, kept ?? ended.carried),
  };
}

function endOf(
  ended: Ended,
  status: AttemptEnd['status'],
  found: Failure | null,
  answer: Delivery | null,
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
    isPart: false,
    hadCarried: ended.carried !== null,
  };
}

function costOf(ended: Ended, found: Failure | null, answer: Delivery | null): Cost {
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
