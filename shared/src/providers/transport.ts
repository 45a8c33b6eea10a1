/**
 * The one place that opens sockets to providers.
 *
 * undici with a pool per provider, no retries and four explicit timeouts: connect, first byte, idle between bytes,
 * and the whole attempt. The body is always consumed or destroyed, and its size is bounded; an unread body would
 * keep its socket out of the pool.
 */
import { Agent, type Dispatcher, errors, request as send } from 'undici';
import type { Answer } from '../chat/response.ts';
import { emptyAnswer, hasContent } from '../chat/response.ts';
import type { Failure } from '../domain/failure.ts';
import { Problem } from '../domain/problem.ts';
import { type Dialect, failure, type HttpRequest, type ReadResult } from './dialect.ts';
import { CutJsonError, parseProviderJson } from './provider-json.ts';
import { SseTooLongError } from './sse.ts';

export const maxAnswerBytes = 32 * 1024 * 1024;
export const maxErrorBytes = 64 * 1024;

export interface Timeouts {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly totalMs: number;
}

/** Why a call was stopped from our side. It is the `reason` of the aborted signal. */
export type StopReason = 'cancelled' | 'shutdown' | 'lost_lease' | 'total_timeout';

export type CallResult =
  | { readonly kind: 'answer'; readonly answer: Answer; readonly meta: CallMeta }
  | { readonly kind: 'failure'; readonly failure: Failure; readonly partial: Answer; readonly meta: CallMeta }
  | { readonly kind: 'stopped'; readonly reason: StopReason; readonly meta: CallMeta };

export interface CallMeta {
  readonly firstByteMs: number | null;
  readonly httpStatus: number | null;
  readonly requestId: string | null;
  /** False while nothing of the request can have reached the provider. */
  readonly isSent: boolean;
}

export interface Transport {
  call(
    http: HttpRequest,
    dialect: Dialect,
    options: { stream: boolean; timeouts: Timeouts; signal: AbortSignal },
  ): Promise<CallResult>;
  close(): Promise<void>;
}

/** @param connections how many sockets the provider's pool may open to one origin */
export function createTransport(options: { connections: number; connectMs: number; now?: () => number }): Transport {
  const now = options.now ?? Date.now;
  const agent = new Agent({
    connections: options.connections,
    pipelining: 1,
    connect: { timeout: options.connectMs },
    maxHeaderSize: 32 * 1024,
  });
  return {
    call: (http, dialect, call) => callOnce(agent, http, dialect, call, now),
    close: () => agent.close(),
  };
}

async function callOnce(
  dispatcher: Dispatcher,
  http: HttpRequest,
  dialect: Dialect,
  { stream, timeouts, signal }: { stream: boolean; timeouts: Timeouts; signal: AbortSignal },
  now: () => number,
): Promise<CallResult> {
  const startedAtMs = now();
  const meta: { -readonly [K in keyof CallMeta]: CallMeta[K] } = {
    firstByteMs: null,
    httpStatus: null,
    requestId: null,
    isSent: false,
  };
  const reader = stream ? dialect.createStreamReader() : null;
  try {
    const response = await send(http.url, {
      method: 'POST',
      headers: http.headers,
      body: http.body,
      dispatcher,
      signal,
      headersTimeout: timeouts.firstByteMs,
      bodyTimeout: timeouts.idleMs,
    });
    meta.isSent = true;
    meta.firstByteMs = now() - startedAtMs;
    meta.httpStatus = response.statusCode;
    const headers = flatten(response.headers);
    meta.requestId = headers['x-request-id'] ?? headers['request-id'] ?? headers['apim-request-id'] ?? null;
    if (response.statusCode < 200 || response.statusCode > 299) {
      const body = await readText(response.body, maxErrorBytes, 'cut');
      return {
        kind: 'failure',
        failure: dialect.readError({ status: response.statusCode, headers, body }, now()),
        partial: emptyAnswer,
        meta,
      };
    }
    if (isHtml(headers)) {
      await response.body.dump({ limit: maxErrorBytes }); // An unread body keeps its socket out of the pool.
      const page = failure('config', 'the answer is an HTML page: a proxy, or a wrong address');
      return conclude({ kind: 'failure', failure: page }, emptyAnswer, meta);
    }
    const result =
      reader && !isJson(headers) ? await readStream(response.body, reader) : await readWhole(response.body, dialect);
    return conclude(result, reader?.partial() ?? emptyAnswer, meta);
  } catch (error) {
    // Whether the provider had begun is not known, and the unknown is never zero.
    if (signal.aborted)
      return { kind: 'stopped', reason: signal.reason as StopReason, meta: { ...meta, isSent: true } };
    meta.isSent ||= !isBeforeSend(error);
    return { kind: 'failure', failure: toFailure(error, meta.httpStatus), partial: safePartial(reader), meta };
  }
}

function conclude(result: ReadResult, partial: Answer, meta: CallMeta): CallResult {
  if (result.kind === 'failure')
    return { kind: 'failure', failure: { ...result.failure, httpStatus: meta.httpStatus }, partial, meta };
  if (!hasContent(result.answer)) {
    const empty = failure('bad_output', 'the answer is empty', { httpStatus: meta.httpStatus });
    return { kind: 'failure', failure: empty, partial: result.answer, meta };
  }
  return { kind: 'answer', answer: result.answer, meta };
}

async function readWhole(body: Dispatcher.ResponseData['body'], dialect: Dialect): Promise<ReadResult> {
  return dialect.readAnswer(parseProviderJson(await readText(body, maxAnswerBytes, 'fail')));
}

async function readStream(
  body: Dispatcher.ResponseData['body'],
  reader: ReturnType<Dialect['createStreamReader']>,
): Promise<ReadResult> {
  const decoder = new TextDecoder('utf-8');
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new TooLargeError();
    reader.push(decoder.decode(chunk, { stream: true }));
  }
  reader.push(decoder.decode());
  return reader.end();
}

class TooLargeError extends Error {}

/** Reads at most `limit` bytes; beyond it cuts (error bodies) or fails (answers), and destroys the rest. */
async function readText(body: Dispatcher.ResponseData['body'], limit: number, beyond: 'cut' | 'fail'): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > limit) {
      if (beyond === 'fail') throw new TooLargeError();
      break; // Leaving the loop destroys the body.
    }
    chunks.push(chunk);
  }
  return new TextDecoder('utf-8').decode(Buffer.concat(chunks));
}

function safePartial(reader: ReturnType<Dialect['createStreamReader']> | null): Answer {
  try {
    return reader?.partial() ?? emptyAnswer;
  } catch {
    return emptyAnswer; // Half of a tool call's JSON does not parse; the text is lost with the stream anyway.
  }
}

const isJson = (headers: Readonly<Record<string, string>>): boolean =>
  /^application\/json\b/.test(headers['content-type'] ?? '');

const isHtml = (headers: Readonly<Record<string, string>>): boolean =>
  /^text\/html\b/.test(headers['content-type'] ?? '');

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

/** No byte of the request can have left: the call is free, and another try cannot be paid twice. */
function isBeforeSend(error: unknown): boolean {
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(
    codeOf(error),
  );
}

/** Translates what undici and our own readers throw; nothing foreign goes further. */
export function toFailure(error: unknown, httpStatus: number | null): Failure {
  if (error instanceof TooLargeError)
    return failure('bad_output', `the answer is larger than ${maxAnswerBytes} bytes`, { httpStatus });
  if (error instanceof SseTooLongError)
    return failure('bad_output', 'a line of the stream is too long', { httpStatus });
  if (error instanceof CutJsonError) return failure('stream_interrupted', 'the answer was cut off', { httpStatus });
  if (error instanceof Problem)
    return failure('bad_output', `the answer is not usable JSON (${error.code})`, { httpStatus });
  if (error instanceof errors.HeadersTimeoutError) return failure('timeout', 'no first byte within the limit');
  if (error instanceof errors.BodyTimeoutError)
    return failure('timeout', 'no byte within the idle limit', { httpStatus });
  if (httpStatus !== null)
    return failure('stream_interrupted', `the connection ended inside the answer${suffix(error)}`, { httpStatus });
  return failure('network', `the provider could not be reached${suffix(error)}`);
}

const suffix = (error: unknown): string => (/^[A-Z][A-Z0-9_]{2,40}$/.test(codeOf(error)) ? ` (${codeOf(error)})` : '');
