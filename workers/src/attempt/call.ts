/** The call: one HTTP request to one target, inside its own span. */
import type { Span } from '@opentelemetry/api';
import { modelSettings, type Place } from '@waybill/shared/config/model-settings.ts';
import type { ChainSettings, ProviderSettings } from '@waybill/shared/config/settings.ts';
import { splitTarget } from '@waybill/shared/domain/job.ts';
import { failure, type HttpRequest } from '@waybill/shared/providers/dialect.ts';
import { dialectOf } from '@waybill/shared/providers/dialects.ts';
import type { CallMeta, CallResult, StopReason, Timeouts } from '@waybill/shared/providers/transport.ts';
import { attribute, providerName } from '@waybill/shared/telemetry/names.ts';
import { inSpan, markFailed } from '@waybill/shared/telemetry/tracing.ts';
import type { Credential } from '../credentials.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { Delivery, Work } from './delivery.ts';
import type { RunningCall } from './running-calls.ts';
import { createTeller, type Teller } from './teller.ts';

export interface CallRequest {
  readonly jobId: string;
  readonly run: number;
  readonly attempt: number;
  readonly tenantId: string;
  readonly target: string;
  readonly provider: ProviderSettings;
  readonly place: Place;
  /** null: the server asks for none. */
  readonly credential: Credential | null;
  readonly chain: ChainSettings;
  readonly work: Work;
  /** How the attempt before it in the run ended; null: it is the first. */
  readonly because: string | null;
  readonly attemptTimeoutMs: number | null;
  /** Under whose lease the job was claimed. */
  readonly workerId: string;
}

export interface Called {
  readonly result: CallResult<Delivery>;
  readonly warnings: readonly string[];
  /** Resolves soon, when readers of the stream have been told; with what the attempt should warn of. */
  readonly told: Promise<readonly string[]>;
}

const untold = Promise.resolve([]);

/** @param running through which the call is stopped; whoever opened it closes it */
export function callTarget(call: CallRequest, running: RunningCall, context: WorkerContext): Promise<Called> {
  const { model } = splitTarget(call.target);
  const { operation } = call.work;
  const attributes = {
    [attribute.operation]: operation,
    [attribute.provider]: providerName(call.provider.id),
    [attribute.requestModel]: model,
    [attribute.serverAddress]: new URL(call.place.endpoint).hostname,
    [attribute.jobId]: call.jobId,
    [attribute.attemptNumber]: call.attempt,
  };
  return inSpan(`${operation} ${model}`, { kind: 'client', attributes }, async (span) => {
    const called = await sendGuarded(call, model, running, context);
    describe(span, called.result);
    return called;
  });
}

/** Nothing was sent, and it says nothing of the target. */
export const notCalled = (reason: StopReason): Called => ({
  result: { kind: 'stopped', reason, meta: notSent },
  warnings: [],
  told: untold,
});

/** A fault of ours must not leave the attempt open: it ends as `unknown`, and counts. */
async function sendGuarded(
  call: CallRequest,
  model: string,
  running: RunningCall,
  context: WorkerContext,
): Promise<Called> {
  try {
    return await send(call, model, running, context);
  } catch (error) {
    context.logger.error(
      { err: error, job_id: call.jobId, attempt: call.attempt },
      'a fault of this worker ended an attempt',
    );
    const fault = failure('unknown', 'a fault of this worker; its log has more');
    return {
      result: { kind: 'failure', failure: fault, partial: null, meta: { ...notSent, isSent: true } },
      warnings: [],
      told: untold,
    };
  }
}

async function send(call: CallRequest, model: string, running: RunningCall, context: WorkerContext): Promise<Called> {
  const { transportOf, lease } = context;
  const { provider, place, credential, work } = call;
  const dialect = dialectOf(provider.dialect);
  const known = modelSettings(provider, model);
  const written = work.write(dialect, {
    model: known.servedAs ?? model,
    endpoint: place.endpoint,
    credential: credential?.secret ?? null,
    apiVersion: provider.apiVersion,
    quirks: provider.quirks,
    target: call.target,
    nowMs: context.now(),
    // As configured on purpose: a window that a server merely could have would be allocated by asking for it.
    contextWindow: provider.models[model]?.contextWindow ?? null,
  });
  if (written.kind === 'unsupported') {
    const refused = failure('unsupported_feature', `the target cannot take ${written.feature}`);
    return { result: { kind: 'failure', failure: refused, partial: null, meta: notSent }, warnings: [], told: untold };
  }
  const timeouts = timeoutsOf(call);
  // The lease may have been lost between the claim and here, and others may have the job by now.
  if (lease.id() !== call.workerId) running.stop('lost_lease');
  if (running.signal.aborted) {
    const reason = running.signal.reason as StopReason;
    return { result: { kind: 'stopped', reason, meta: notSent }, warnings: [], told: untold };
  }
  const timer = setTimeout(() => running.stop('total_timeout'), timeouts.totalMs);
  const teller = tellerOf(call, context);
  try {
    const reading = { reader: written.reader, readError: dialect.readError };
    const result = await transportOf(provider.id).call(withHeaders(written.http, provider), reading, {
      stream: work.isStreamed,
      timeouts,
      signal: running.signal,
      ...(teller === null ? {} : { onPiece: teller.piece }),
    });
    return {
      result: totalTimeoutAsFailure(result),
      warnings: written.http.warnings,
      told: teller?.end() ?? untold,
    };
  } finally {
    clearTimeout(timer);
  }
}

/** null: nobody asked to be told the answer piece by piece. */
function tellerOf(call: CallRequest, { chunks, logger }: WorkerContext): Teller | null {
  const { jobId, run, attempt, target, because, work } = call;
  if (work.told === null) return null;
  const { goesOnFrom } = work.told;
  return createTeller({ chunks, stream: { jobId, run }, beginning: { attempt, target, goesOnFrom, because }, logger });
}

const notSent: CallMeta = { firstByteMs: null, httpStatus: null, requestId: null, isSent: false, limitHeaders: {} };

/** The provider's own headers come last: whoever configures one means it. */
function withHeaders(http: HttpRequest, { headers }: ProviderSettings): HttpRequest {
  const own = Object.entries(headers);
  if (own.length === 0) return http;
  return {
    ...http,
    headers: { ...http.headers, ...Object.fromEntries(own.map(([name, value]) => [name, value.reveal()])) },
  };
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
function totalTimeoutAsFailure(result: CallResult<Delivery>): CallResult<Delivery> {
  if (result.kind !== 'stopped' || result.reason !== 'total_timeout') return result;
  return {
    kind: 'failure',
    failure: failure('timeout', 'the whole attempt took too long'),
    partial: null,
    meta: result.meta,
  };
}

function describe(span: Span, result: CallResult<Delivery>): void {
  if (result.meta.httpStatus !== null) span.setAttribute(attribute.httpStatus, result.meta.httpStatus);
  if (result.kind !== 'answer') {
    markFailed(span, result.kind === 'failure' ? result.failure.kind : result.reason);
    return;
  }
  const { answer } = result;
  if (answer.finishReasons.length > 0) span.setAttribute(attribute.finishReasons, [...answer.finishReasons]);
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
