/** The call: one HTTP request to one target, inside its own span. */
import type { Span } from '@opentelemetry/api';
import { type ChatRequest, outputLimitOf } from '@waybill/shared/chat/request.ts';
import { emptyAnswer } from '@waybill/shared/chat/response.ts';
import type { ChainSettings, ProviderSettings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { failure } from '@waybill/shared/providers/dialect.ts';
import { dialectOf } from '@waybill/shared/providers/dialects.ts';
import type { CallMeta, CallResult, StopReason, Timeouts } from '@waybill/shared/providers/transport.ts';
import { attribute, providerName } from '@waybill/shared/telemetry/names.ts';
import { inSpan, markFailed } from '@waybill/shared/telemetry/tracing.ts';
import type { WorkerContext } from '../worker-context.ts';

/** Answers that may be longer are streamed from the provider, so that a stall is seen early. */
const longAnswerTokens = 4_096;

export interface CallRequest {
  readonly jobId: string;
  readonly attempt: number;
  readonly tenantId: string;
  readonly target: string;
  readonly provider: ProviderSettings;
  readonly chain: ChainSettings;
  readonly request: ChatRequest;
  readonly attemptTimeoutMs: number | null;
  /** Under whose lease the job was claimed. */
  readonly workerId: string;
}

export interface Called {
  readonly result: CallResult;
  readonly warnings: readonly string[];
}

export function callTarget(call: CallRequest, context: WorkerContext): Promise<Called> {
  const { model } = splitTarget(call.target);
  const attributes = {
    [attribute.operation]: 'chat',
    [attribute.provider]: providerName(call.provider.id),
    [attribute.requestModel]: model,
    [attribute.serverAddress]: new URL(call.provider.endpoint).hostname,
    [attribute.jobId]: call.jobId,
    [attribute.attemptNumber]: call.attempt,
  };
  return inSpan(`chat ${model}`, { kind: 'client', attributes }, async (span) => {
    const called = await sendGuarded(call, model, context);
    describe(span, called.result);
    return called;
  });
}

/** A fault of ours must not leave the attempt open: it ends as `unknown`, and counts. */
async function sendGuarded(call: CallRequest, model: string, context: WorkerContext): Promise<Called> {
  try {
    return await send(call, model, context);
  } catch (error) {
    context.logger.error(
      { err: error, job_id: call.jobId, attempt: call.attempt },
      'a fault of this worker ended an attempt',
    );
    const fault = failure('unknown', 'a fault of this worker; its log has more');
    return {
      result: { kind: 'failure', failure: fault, partial: emptyAnswer, meta: { ...notSent, isSent: true } },
      warnings: [],
    };
  }
}

async function send(call: CallRequest, model: string, { transportOf, calls, lease }: WorkerContext): Promise<Called> {
  const dialect = dialectOf(call.provider.dialect);
  const stream = shouldStream(call.request);
  const written = dialect.writeRequest({
    request: call.request,
    model,
    endpoint: call.provider.endpoint,
    credential: call.provider.credential?.secret ?? null,
    quirks: call.provider.quirks,
    stream,
  });
  if (written.kind === 'unsupported') {
    const refused = failure('unsupported_feature', `the target cannot take ${written.feature}`);
    return { result: { kind: 'failure', failure: refused, partial: emptyAnswer, meta: notSent }, warnings: [] };
  }
  const timeouts = timeoutsOf(call);
  const running = calls.open(call.jobId);
  // The lease may have been lost between the claim and here, and others may have the job by now.
  if (lease.id() !== call.workerId) running.stop('lost_lease');
  if (running.signal.aborted) {
    running.close();
    return { result: { kind: 'stopped', reason: running.signal.reason as StopReason, meta: notSent }, warnings: [] };
  }
  const timer = setTimeout(() => running.stop('total_timeout'), timeouts.totalMs);
  try {
    const result = await transportOf(call.provider.id).call(written.http, dialect, {
      stream,
      timeouts,
      signal: running.signal,
    });
    return { result: totalTimeoutAsFailure(result), warnings: written.http.warnings };
  } finally {
    clearTimeout(timer);
    running.close();
  }
}

const notSent: CallMeta = { firstByteMs: null, httpStatus: null, requestId: null, isSent: false };

/** Further choices and log probabilities are not assembled from streams. */
function shouldStream(request: ChatRequest): boolean {
  return (outputLimitOf(request) ?? 0) > longAnswerTokens && (request.n ?? 1) === 1 && !request.logprobs;
}

/** Provider, then chain, then job: the nearest wins, and no part outlasts the whole. */
function timeoutsOf({ provider, chain, attemptTimeoutMs }: CallRequest): Timeouts {
  const merged = { ...provider.timeouts, ...chain.timeouts };
  const totalMs = attemptTimeoutMs ?? merged.totalMs;
  return {
    ...merged,
    totalMs,
    firstByteMs: Math.min(merged.firstByteMs, totalMs),
    idleMs: Math.min(merged.idleMs, totalMs),
  };
}

/** Running out of time is the target's failure; being stopped is ours. */
function totalTimeoutAsFailure(result: CallResult): CallResult {
  if (result.kind !== 'stopped' || result.reason !== 'total_timeout') return result;
  return {
    kind: 'failure',
    failure: failure('timeout', 'the whole attempt took too long'),
    partial: emptyAnswer,
    meta: result.meta,
  };
}

function describe(span: Span, result: CallResult): void {
  if (result.meta.httpStatus !== null) span.setAttribute(attribute.httpStatus, result.meta.httpStatus);
  if (result.kind !== 'answer') {
    markFailed(span, result.kind === 'failure' ? result.failure.kind : result.reason);
    return;
  }
  const { answer } = result;
  span.setAttribute(attribute.finishReasons, [answer.finishReason]);
  if (answer.model !== null) span.setAttribute(attribute.responseModel, answer.model);
  if (answer.providerId !== null) span.setAttribute(attribute.responseId, answer.providerId);
  if (answer.usage === null) return;
  span.setAttributes({
    [attribute.inputTokens]: answer.usage.inputTokens,
    [attribute.outputTokens]: answer.usage.outputTokens,
    [attribute.cacheReadTokens]: answer.usage.cacheReadTokens,
    [attribute.cacheWriteTokens]: answer.usage.cacheWriteTokens,
    [attribute.reasoningTokens]: answer.usage.reasoningTokens,
  });
}
