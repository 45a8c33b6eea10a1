/**
 * One HTTP request through undici's dispatcher, its answer handed on as it comes.
 *
 * Below `request()`, because an answer here is read once, from front to back and within bounds: a stream object around
 * it costs as much as the call itself.
 */
import type { Dispatcher } from 'undici';
import type { HttpRequest } from './dialect.ts';

/** Takes the body of one answer. What it throws ends the exchange. */
export interface BodySink {
  /** False: no more is wanted, and the rest is not read. */
  push(chunk: Uint8Array): boolean;
}

export interface ReceiveOptions {
  /** To the first byte of the answer, and between two of its bytes. */
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly signal: AbortSignal;
  open(status: number, headers: Readonly<Record<string, string>>): BodySink;
}

/** The exchange was ended by us: stopped, or no more was wanted. */
class EndedError extends Error {}

/** Resolves when the body has ended, or no more of it was wanted. @throws what undici, or the sink, throws */
export function receive(dispatcher: Dispatcher, http: HttpRequest, options: ReceiveOptions): Promise<void> {
  const { signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let controller: Dispatcher.DispatchController | null = null;
  let sink: BodySink | null = null;
  let isOver = false;
  const end = (error: unknown) => {
    if (isOver) return;
    isOver = true;
    signal.removeEventListener('abort', stop);
    if (error === null) resolve();
    else reject(error);
  };
  /** Leaves an answer that is not read to its end: its socket is closed, not put back into the pool. */
  const leave = (error: unknown) => {
    end(error);
    controller?.abort(new EndedError('the exchange was ended'));
  };
  const stop = () => leave(signal.reason);
  const guarded = (step: () => void) => {
    try {
      if (!isOver) step();
    } catch (error) {
      leave(error);
    }
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  const { origin, pathname, search } = new URL(http.url);
  guarded(() =>
    dispatcher.dispatch(
      {
        origin,
        path: `${pathname}${search}`,
        method: 'POST',
        headers: http.headers,
        body: http.body,
        headersTimeout: options.firstByteMs,
        bodyTimeout: options.idleMs,
      },
      {
        onRequestStart(started) {
          controller = started;
          // It was stopped while it waited for a socket.
          if (isOver) started.abort(new EndedError('the exchange was ended'));
        },
        onResponseStart(_, status, headers) {
          if (status >= 200)
            guarded(() => {
              sink = options.open(status, flatten(headers));
            });
        },
        onResponseData: (_, chunk) =>
          guarded(() => {
            if (sink?.push(chunk) === false) leave(null);
          }),
        onResponseEnd: () => end(null),
        onResponseError: (_, error) => end(error),
      },
    ),
  );
  return promise;
}

function flatten(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    flat[name] = Array.isArray(value) ? value.join(', ') : (value ?? '');
  }
  return flat;
}
