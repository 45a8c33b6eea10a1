/**
 * From a call's result to what is settled: the attempt's end, and the job's next step. Pure but for the values
 * handed in; the table of `decide` says what a failure means.
 */
import { lastResortCompletion } from '@waybill/shared/chat/last-resort.ts';
import { modelSettings } from '@waybill/shared/config/model-settings.ts';
import type { ChainSettings, ProviderSettings } from '@waybill/shared/config/settings.ts';
import type { AttemptRecord } from '@waybill/shared/domain/attempt.ts';
import { type Failure, type FailureAction, failureRule } from '@waybill/shared/domain/failure.ts';
import { priorities, splitTarget } from '@waybill/shared/domain/job.ts';
import { type Cost, costOfCall } from '@waybill/shared/pricing/cost.ts';
import type { CallResult } from '@waybill/shared/providers/transport.ts';
import { type Candidate, skippedJson } from '@waybill/shared/routing/candidates.ts';
import { comesBackAtMs, type Decision, decide } from '@waybill/shared/routing/decide.ts';
import { decideRefusal } from '@waybill/shared/routing/decide-without-attempt.ts';
import type { JobRow } from '@waybill/shared/store/jobs.ts';
import type { AttemptEnd, Decided, NextStep } from '@waybill/shared/store/settle.ts';
import type { Bar } from './bar.ts';
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
  /** When the provider's budget of retries has one again, in ms; 0: now. */
  readonly retryInMs: number;
  /** It was not called, because of what its request holds; null: it was. */
  readonly barred: Bar | null;
  /** The window of a target, in entries. */
  readonly windowOf: (target: string) => number;
}

export interface Conclusion {
  readonly end: AttemptEnd;
  readonly next: NextStep;
  /** null: nothing was decided that the attempt itself does not say. */
  readonly decided: Decided | null;
  /** Another call of the same target, which the provider's budget of retries has to allow. */
  readonly isRetry: boolean;
}

const nothingDecided = { decided: null, isRetry: false };

/** Why an attempt ended as it did, in words. */
export const whyOf = ({ failure, httpStatus }: Pick<AttemptEnd, 'failure' | 'httpStatus'>): string =>
  failure === null ? 'stopped' : `${failure.kind}${httpStatus === null ? '' : ` (HTTP ${httpStatus})`}`;

export function conclude(ended: Ended): Conclusion {
  const { result } = ended;
  if (ended.barred !== null) return concludeBarred(ended, ended.barred);
  if (result.kind === 'stopped')
    return result.reason === 'exhausted' ? concludeExhausted(ended) : concludeStopped(ended);
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
    ...nothingDecided,
  };
}

function concludePart(ended: Ended, answer: Delivery, carried: Carried): Conclusion {
  const end = { ...endOf(ended, 'succeeded', null, answer, null), isPart: true };
  return { end, next: goOnHere(ended, JSON.stringify(carried)), ...nothingDecided };
}

/** Shutdown and a lost lease send the job back where it was; a cancelled job is final already. */
function concludeStopped(ended: Ended): Conclusion {
  const end = endOf(ended, 'aborted', null, null, null);
  return { end, next: goOnHere(ended, carriedTo(ended.target, ended.carried)), ...nothingDecided };
}

/** Its attempts were used up by calls whose end nobody knows: it is not called again. */
function concludeExhausted(ended: Ended): Conclusion {
  const error = { kind: 'fail', error: 'attempts_exhausted' } as const;
  const message = `${ended.history.length} attempts were made, and ${ended.chain.maxAttempts} are allowed`;
  const next = lastResortOf(error, ended) ?? { ...error, message };
  const decided = decidedOf(ended, 'fail', 'attempts used up');
  return { end: endOf(ended, 'aborted', null, null, null), next, decided, isRetry: false };
}

/** What its request holds must not go to this target: to one that may have it, now or when it comes back, or nowhere. */
function concludeBarred(ended: Ended, { require, detected }: Bar): Conclusion {
  const end = endOf(ended, 'aborted', null, null, null);
  const why = detected.length > 0 ? `privacy: ${detected.join(', ')}` : 'labels of its conversation';
  const turn = decideRefusal({
    target: ended.target,
    mode: ended.chain.mode,
    candidates: ended.candidates,
    tried: triedIn(ended.history, ended.nowMs),
    nowMs: ended.nowMs,
    deadlineAtMs: ended.job.deadline_at.getTime(),
    refusal: 'label',
    budget: null,
    isFree: () => false,
    isSameSubject: () => false,
    refusedBefore: new Set(),
  });
  const found = { require, detected };
  if (turn.kind === 'park')
    return { end, next: { ...turn, found }, decided: decidedOf(ended, 'park', why), isRetry: false };
  if (turn.kind === 'fall_back') {
    const { target, delayMs } = turn;
    const waiting = delayMs > 0 ? 'recovery' : null;
    const carried = carriedTo(target, ended.carried);
    const next: NextStep = {
      kind: 'requeue',
      target,
      delayMs,
      waiting,
      window: ended.windowOf(target),
      carried,
      found,
    };
    return { end, next, decided: decidedOf(ended, 'fall_back', why), isRetry: false };
  }
  const message = `no target that may be used has the labels ${require.join(', ')}, which it needs (${why})`;
  const next: NextStep = { kind: 'fail', error: 'requirement_unmet', message };
  return { end, next, decided: decidedOf(ended, 'fail', why), isRetry: false };
}

const triedIn = (history: readonly AttemptRecord[], nowMs: number): Set<string> =>
  new Set(
    history
      .filter(({ status, retryAtMs }) => status === 'failed' && (retryAtMs === null || retryAtMs > nowMs))
      .map(({ target }) => target),
  );

const goOnHere = (ended: Ended, carried: string | null): NextStep => ({
  kind: 'requeue',
  target: ended.target,
  delayMs: pauseBefore(ended),
  waiting: null,
  window: ended.windowOf(ended.target),
  carried,
});

/** What could not be read will not be there at once; and what took too long, others are waiting for too. */
function pauseBefore({ result, random }: Ended): number {
  if (result.kind !== 'stopped') return 0;
  if (result.reason === 'unread') return unreadDelayMs;
  return result.reason === 'too_late' ? Math.round(longestLateDelayMs * (0.5 + random / 2)) : 0;
}
const unreadDelayMs = 2_000;
const longestLateDelayMs = 1_000;

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
  const input = {
    failure: found,
    target: ended.target,
    policy: { ...ended.chain, onLimitMs: ended.chain.onLimitMs[priorities[ended.job.priority] ?? 'normal'] },
    candidates: ended.candidates,
    history: ended.history,
    nowMs: ended.nowMs,
    deadlineAtMs: ended.job.deadline_at.getTime(),
    random: ended.random,
    isOpenElsewhere: ended.isOpenElsewhere,
    retryInMs: ended.retryInMs,
    action,
  };
  const decision = decide(input);
  if (decision.kind === 'succeed' && partial !== null) return concludeAnswer(ended, partial);
  const goesOnFrom = ended.chain.resume === 'continue' && breaking.has(found.kind) ? (partial?.kept ?? null) : null;
  const end = endOf(ended, 'failed', found, partial, comesBackAtMs(input, decision));
  const next = lastResortOf(decision, ended) ?? nextOf(decision, ended, found, goesOnFrom);
  return {
    end,
    next,
    decided: decisionOf(decision, ended, next, whyOf(end)),
    isRetry: decision.kind === 'retry' && !failureRule(found.kind).waiting && !ended.isOpenElsewhere,
  };
}

/** What the chain says when no target answered; embeddings have no words. */
function lastResortOf(decision: Decision, { chain, job, nowMs }: Ended): NextStep | null {
  const isLast = decision.kind === 'fail' && decision.error === 'attempts_exhausted';
  if (!isLast || chain.lastResort === null || job.endpoint !== '/v1/chat/completions') return null;
  const output = JSON.stringify(lastResortCompletion(chain.lastResort, { jobId: job.id, createdAtMs: nowMs }));
  return { kind: 'succeed', output, isLastResort: true };
}

function decisionOf(decision: Decision, ended: Ended, next: NextStep, why: string): Decided | null {
  if (next.kind === 'succeed')
    return next.isLastResort ? decidedOf(ended, 'fail', `${why}; the last resort answers`) : null;
  if (decision.kind === 'fall_back' || decision.kind === 'park' || decision.kind === 'wait' || decision.kind === 'fail')
    return decidedOf(ended, decision.kind, why);
  return null;
}

const decidedOf = ({ candidates, configVersion }: Ended, kind: Decided['kind'], why: string): Decided => ({
  kind,
  why,
  detail: skippedJson(candidates),
  configVersion,
});

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
  if (decision.kind === 'park') return decision;
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
