/**
 * Server-sent events to one client: nothing is buffered here, and a client that takes nothing is left.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import type { ServerResponse } from 'node:http';

const keepAliveMs = 15_000;
/** A client that has not taken in this time what its socket holds is gone, or too slow. */
const drainPatienceMs = 30_000;
/** After which a browser connects again. */
const retryMs = 1_000;

export interface SseOptions {
  readonly keepAliveMs?: number;
  readonly drainPatienceMs?: number;
}

export interface Sse {
  /** Aborted when the client is gone, or was left. */
  readonly gone: AbortSignal;
  /** Resolves when the socket takes more. */
  send(name: string, data: unknown, id?: string | null): Promise<void>;
  /** Says why in a comment, and ends. */
  end(comment?: string): void;
}

export function openSse(response: ServerResponse, options: SseOptions = {}): Sse {
  const patienceMs = options.drainPatienceMs ?? drainPatienceMs;
  const gone = new AbortController();
  const keepAlive = setInterval(() => {
    // What waits in the socket keeps it alive by itself.
    if (!response.writableNeedDrain) response.write(': still here\n\n');
  }, options.keepAliveMs ?? keepAliveMs);
  response.on('close', () => {
    clearInterval(keepAlive);
    gone.abort();
  });
  response.on('error', () => gone.abort());
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    // Proxies that buffer answers leave these alone.
    'x-accel-buffering': 'no',
  });
  response.write(`retry: ${retryMs}\n\n`);
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(limit);
        response.off('drain', done);
        gone.signal.removeEventListener('abort', done);
        resolve();
      };
      const limit = setTimeout(() => {
        const error = {
          message: 'Cannot keep up: this client reads too slowly. Connect again to go on',
          code: 'too_slow',
        };
        clearInterval(keepAlive);
        response.end(format('error', { error }, null));
        gone.abort();
        // What the socket holds may never be read.
        setTimeout(() => response.destroy(), 1_000).unref();
      }, patienceMs);
      response.on('drain', done);
      gone.signal.addEventListener('abort', done, { once: true });
    });
  return {
    gone: gone.signal,
    async send(name, data, id = null) {
      if (gone.signal.aborted || response.write(format(name, data, id))) return;
      await drained();
    },
    end(comment) {
      clearInterval(keepAlive);
      if (!response.writableEnded) response.end(comment === undefined ? undefined : `: ${comment}\n\n`);
    },
  };
}

/** JSON has no line breaks of its own, so that one line holds it. */
const format = (name: string, data: unknown, id: string | null): string =>
  `${id === null ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
