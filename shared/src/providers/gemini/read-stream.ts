/** `streamGenerateContent` -> canonical. It has no end marker: it is whole when a finish reason was told. */
import type { StreamPiece, StreamReader } from '../dialect.ts';
import { parseProviderJson } from '../provider-json.ts';
import { type Asked, createCollector } from './collect-answer.ts';
import { createChunkParser } from './stream-chunks.ts';

export function createStreamReader(onPiece: (piece: StreamPiece) => void, asked: Asked): StreamReader {
  const answer = createCollector(onPiece, asked);
  const chunks = createChunkParser((text) => answer.add(parseProviderJson(text)));
  return {
    push: (text) => chunks.push(text),
    partial: () => answer.partial(),
    end() {
      chunks.end();
      return answer.end(true);
    },
  };
}
