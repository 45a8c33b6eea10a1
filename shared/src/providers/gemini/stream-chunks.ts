/**
 * The chunks of a stream, however it is framed: SSE as asked for, one JSON list where a proxy drops `alt=sse`, and bare
 * JSON, in place of a stream or after some events of one, which is how errors come.
 */
import { createSseParser, maxEventLength, SseTooLongError } from '../sse.ts';

export interface ChunkParser {
  push(text: string): void;
  /** What is left then is told too, cut as it is. */
  end(): void;
}

/** @param onChunk told the text of each chunk */
export function createChunkParser(onChunk: (text: string) => void): ChunkParser {
  const events = createSseParser(({ data }) => onChunk(data));
  const documents = createDocumentSplitter(onChunk);
  let isBare = false;
  let isLineStart = true;
  return {
    push(text) {
      if (isBare) return documents.push(text);
      const at = bareStart(text, isLineStart);
      const framed = at < 0 ? text : text.slice(0, at);
      if (framed !== '') isLineStart = /[\r\n][ \t]*$/.test(framed) || (isLineStart && /^[ \t]*$/.test(framed));
      events.push(framed);
      if (at < 0) return;
      isBare = true;
      events.end();
      documents.push(text.slice(at));
    },
    end() {
      if (!isBare) events.end();
      documents.end();
    },
  };
}

/** Where a line begins with a bracket, which no line of SSE does; -1 when none. */
function bareStart(text: string, isLineStart: boolean): number {
  const found = (isLineStart ? /(?:^|[\r\n])[ \t]*[{[]/ : /[\r\n][ \t]*[{[]/).exec(text);
  return found ? found.index + found[0].length - 1 : -1;
}

/** Tells each outermost object of a JSON text, whatever stands between them. */
function createDocumentSplitter(onDocument: (text: string) => void): ChunkParser {
  let open = '';
  let depth = 0;
  let isString = false;
  let isEscaped = false;
  const readString = (c: string) => {
    if (isEscaped) isEscaped = false;
    else if (c === '\\') isEscaped = true;
    else if (c === '"') isString = false;
  };
  return {
    push(text) {
      let start = 0;
      for (let i = 0; i < text.length; i += 1) {
        const c = text.charAt(i);
        if (isString) readString(c);
        else if (c === '"') isString = depth > 0;
        else if (c === '{') {
          if (depth === 0) start = i;
          depth += 1;
        } else if (c === '}' && depth > 0) {
          depth -= 1;
          if (depth > 0) continue;
          onDocument(open + text.slice(start, i + 1));
          open = '';
        }
      }
      if (depth > 0) open += text.slice(start);
      if (open.length > maxEventLength)
        throw new SseTooLongError(`Cannot read the stream: an object is longer than ${maxEventLength} characters`);
    },
    end() {
      if (depth > 0) onDocument(open);
    },
  };
}
