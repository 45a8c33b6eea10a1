/**
 * Server-sent events, incrementally: LF, CRLF and CR end a line, several `data:` lines join, comments are dropped.
 *
 * A body that begins with `{` is no stream but one document, mostly an error: it comes out whole, as one event.
 */
export interface SseEvent {
  readonly event: string;
  readonly data: string;
}

/** One event may not grow beyond this; a provider that sends more is cut off. */
export const maxEventLength = 4 * 1024 * 1024;

export class SseTooLongError extends Error {}

export function createSseParser(onEvent: (event: SseEvent) => void): { push(text: string): void; end(): void } {
  let buffer = '';
  let data: string[] = [];
  let event = '';
  let isDocument: boolean | null = null;
  const dispatch = () => {
    if (data.length > 0) onEvent({ event, data: data.join('\n') });
    data = [];
    event = '';
  };
  const readLine = (line: string) => {
    if (line === '') return dispatch();
    if (line.startsWith(':')) return;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    if (field === 'event') event = value;
  };
  return {
    push(text) {
      buffer += text;
      if (buffer.length > maxEventLength)
        throw new SseTooLongError(`Cannot read the stream: a line is longer than ${maxEventLength} characters`);
      if (isDocument === null && /\S/.test(buffer)) isDocument = /^\s*\{/.test(buffer);
      if (isDocument) return;
      // A CR at the very end may be half of a CRLF: keep it for the next piece.
      const lines = buffer.split(/\r\n|\n|\r(?!$)/);
      buffer = lines.pop() ?? '';
      for (const line of lines) readLine(line);
    },
    end() {
      if (isDocument) data.push(buffer);
      else if (buffer !== '') readLine(buffer.replace(/\r$/, ''));
      dispatch();
    },
  };
}
