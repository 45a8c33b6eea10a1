/**
 * The one place that opens sockets to providers.
 *
 * undici with a pool per provider, no retries and four explicit timeouts: connect, first byte, idle between bytes,
 * and the whole attempt. The body is always consumed or destroyed, and its size is bounded; an unread body would
 * keep its socket out of the pool.
 */
import { Agent, type Dispatcher, errors } from 'undici';
import type { Failure } from '../domain/failure.ts';
import { Problem } from '../domain/problem.ts';
import {
  type Dialect,
  failure,
  type HttpRequest,
  type Reader,
  type ReadResult,
  type StreamPiece,
  type StreamReader,
} from './dialect.ts';
import { CutJsonError, parseProviderJson } from './provider-json.ts';
import { type BodySink, receive } from './receive.ts';
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
export type StopReason =
  | 'cancelled'
  | 'shutdown'
  | 'lost_lease'
  | 'total_timeout'
  | 'too_late'
  | 'barred'
  | 'exhausted'
  | 'unread';

export type CallResult<A> =
  | { readonly kind: 'answer'; readonly answer: A; readonly meta: CallMeta }
  /** `partial`: what had come of a streamed answer when it failed; null of any other. */
  | { readonly kind: 'failure'; readonly failure: Failure; readonly partial: A | null; readonly meta: CallMeta }
  | { readonly kind: 'stopped'; readonly reason: StopReason; readonly meta: CallMeta };

export interface CallMeta {
  readonly firstByteMs: number | null;
  readonly httpStatus: number | null;
  readonly requestId: string | null;
  /** False while nothing of the request can have reached the provider. */
  readonly isSent: boolean;
  /** Headers of the answer that say what is left of a limit; empty without an answer. */
  readonly limitHeaders: Readonly<Record<string, string>>;
}

/** How what comes back is understood: the reader of this request's answer, and the dialect's errors. */
export interface Reading<A> {
  readonly reader: Reader<A>;
  readonly readError: Dialect['readError'];
}

export interface CallOptions {
  readonly stream: boolean;
  readonly timeouts: Timeouts;
  readonly signal: AbortSignal;
  /** Called with each piece of a streamed answer as it comes. */
  readonly onPiece?: (piece: StreamPiece) => void;
}

export interface Transport {
  call<A>(http: HttpRequest, reading: Reading<A>, options: CallOptions): Promise<CallResult<A>>;
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
    call: (http, reading, call) => callOnce(agent, http, reading, call, now),
    close: () => agent.close(),
  };
}

async function callOnce<A>(
  dispatcher: Dispatcher,
  http: HttpRequest,
  reading: Reading<A>,
  { stream, timeouts, signal, onPiece }: CallOptions,
  now: () => number,
): Promise<CallResult<A>> {
  const startedAtMs = now();
  const meta: { -readonly [K in keyof CallMeta]: CallMeta[K] } = {
    firstByteMs: null,
    httpStatus: null,
    requestId: null,
    isSent: false,
    limitHeaders: {},
  };
  const pieces = stream ? reading.reader.createStreamReader(onPiece ?? (() => undefined)) : null;
  const answer: { body: Body<A> | null } = { body: null };
  try {
    await receive(dispatcher, http, {
      firstByteMs: timeouts.firstByteMs,
      idleMs: timeouts.idleMs,
      signal,
      open(status, headers) {
        meta.isSent = true;
        meta.firstByteMs = now() - startedAtMs;
        meta.httpStatus = status;
        meta.limitHeaders = limitHeadersOf(headers);
        meta.requestId = headers['x-request-id'] ?? headers['request-id'] ?? headers['apim-request-id'] ?? null;
        answer.body = openBody(status, headers, pieces, reading, now);
        return answer.body;
      },
    });
    if (answer.body === null) throw new Error('Cannot read an answer that never began');
    const result = answer.body.end();
    if (result.kind === 'answer') return { ...result, meta };
    return {
      kind: 'failure',
      failure: { ...result.failure, httpStatus: meta.httpStatus },
      partial: result.partial ?? safePartial(pieces),
      meta,
    };
  } catch (error) {
    // Whether the provider had begun is not known, and the unknown is never zero.
    if (signal.aborted)
      return { kind: 'stopped', reason: signal.reason as StopReason, meta: { ...meta, isSent: true } };
    meta.isSent ||= !isBeforeSend(error);
    return { kind: 'failure', failure: toFailure(error, meta.httpStatus), partial: safePartial(pieces), meta };
  }
}

/** The body of an answer: what is read of it, and what it says in the end. */
interface Body<A> extends BodySink {
  end(): ReadResult<A>;
}

function openBody<A>(
  status: number,
  headers: Readonly<Record<string, string>>,
  pieces: StreamReader<A> | null,
  { reader, readError }: Reading<A>,
  now: () => number,
): Body<A> {
  if (status < 200 || status > 299) {
    const text = collectText(maxErrorBytes, 'cut');
    return {
      push: text.push,
      end: () => ({ kind: 'failure', failure: readError({ status, headers, body: text.end() }, now()) }),
    };
  }
  if (isHtml(headers)) {
    const page = failure('config', 'the answer is an HTML page: a proxy, or a wrong address');
    let bytes = 0;
    // Read to its end where that is near: its socket can then be used again.
    return {
      push(chunk) {
        bytes += chunk.length;
        return bytes <= maxErrorBytes;
      },
      end: () => ({ kind: 'failure', failure: page }),
    };
  }
  if (pieces && !isJson(headers)) return streamBody(pieces);
  const text = collectText(maxAnswerBytes, 'fail');
  return { push: text.push, end: () => reader.readAnswer(parseProviderJson(text.end())) };
}

function streamBody<A>(pieces: StreamReader<A>): Body<A> {
  const decoder = new TextDecoder('utf-8');
  let bytes = 0;
  return {
    push(chunk) {
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) throw new TooLargeError();
      pieces.push(decoder.decode(chunk, { stream: true }));
      return true;
    },
    end() {
      pieces.push(decoder.decode());
      return pieces.end();
    },
  };
}

class TooLargeError extends Error {}

/** Keeps at most `limit` bytes; beyond it cuts (error bodies) or fails (answers), and the rest is not read. */
function collectText(limit: number, beyond: 'cut' | 'fail'): BodySink & { end(): string } {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  return {
    push(chunk) {
      bytes += chunk.length;
      if (bytes > limit) {
        if (beyond === 'fail') throw new TooLargeError();
        return false;
      }
      chunks.push(chunk);
      return true;
    },
    end: () => Buffer.concat(chunks).toString('utf8'),
  };
}

function safePartial<A>(reader: StreamReader<A> | null): A | null {
  try {
    return reader?.partial() ?? null;
  } catch {
    return null; // Half of a tool call's JSON does not parse; the text is lost with the stream anyway.
  }
}

const mostLimitHeaders = 40;

/** Only the numbers of limits leave here: other headers may say who we are. */
function limitHeadersOf(headers: Readonly<Record<string, string>>): Record<string, string> {
  const found: Record<string, string> = {};
  let count = 0;
  for (const name in headers) {
    if (!name.includes('ratelimit') && !name.startsWith('anthropic-priority')) continue;
    found[name] = headers[name] ?? '';
    count += 1;
    if (count === mostLimitHeaders) break;
  }
  return found;
}

const isJson = (headers: Readonly<Record<string, string>>): boolean =>
  /^application\/json\b/.test(headers['content-type'] ?? '');

const isHtml = (headers: Readonly<Record<string, string>>): boolean =>
  /^text\/html\b/.test(headers['content-type'] ?? '');

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
