/** Ollama's streams: lines of JSON. An error may come on a line although the status is 200. */
import type { Failure } from '../../domain/failure.ts';
import { failure, type StreamPiece, type StreamReader } from '../dialect.ts';
import { asRecord, parseProviderJson } from '../provider-json.ts';
import { maxEventLength, SseTooLongError } from '../sse.ts';
import { failureInAnswer } from './errors.ts';
import { type Asked, conclude, hear, silence, toAnswer } from './read-answer.ts';

export function createStreamReader(onPiece: (piece: StreamPiece) => void, { nowMs }: Asked): StreamReader {
  let buffer = '';
  let found: Failure | null = null;
  const said = silence();
  const readLine = (text: string) => {
    if (text.trim() === '') return;
    const line = asRecord(parseProviderJson(text));
    if (line.error) found ??= failureInAnswer(line, nowMs);
    hear(line, said, onPiece);
  };
  return {
    push(piece) {
      buffer += piece;
      if (buffer.length > maxEventLength)
        throw new SseTooLongError(`Cannot read the stream: a line is longer than ${maxEventLength} characters`);
      const lines = buffer.split('\n');
      buffer = lines.pop() ?? '';
      lines.forEach(readLine);
    },
    partial: () => toAnswer(said),
    end() {
      readLine(buffer);
      if (found) return { kind: 'failure', failure: found };
      if (said.last.done === true) return conclude(said);
      return {
        kind: 'failure',
        failure: failure('stream_interrupted', 'the stream ended before its last line', { httpStatus: 200 }),
      };
    },
  };
}
