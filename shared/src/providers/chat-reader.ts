/** What holds for the answers of every chat dialect: an answer nobody can use is a failure, and still on the bill. */
import { type Answer, hasContent } from '../chat/response.ts';
import { failure, type Reader, type ReadResult, type StreamPiece, type StreamReader } from './dialect.ts';

/** How a dialect reads; `Asked` is what of the request decides it. */
export interface ChatReading<Asked> {
  readAnswer(body: unknown, asked: Asked): ReadResult;
  createStreamReader(onPiece: (piece: StreamPiece) => void, asked: Asked): StreamReader;
}

/** An empty answer becomes `bad_output`; what it used stays known. */
export const chatReader = <Asked>({ readAnswer, createStreamReader }: ChatReading<Asked>, asked: Asked): Reader => ({
  readAnswer: (body) => refuseEmpty(readAnswer(body, asked)),
  createStreamReader(onPiece) {
    const pieces = createStreamReader(onPiece, asked);
    return { ...pieces, end: () => refuseEmpty(pieces.end()) };
  },
});

function refuseEmpty(result: ReadResult<Answer>): ReadResult<Answer> {
  if (result.kind === 'failure' || hasContent(result.answer)) return result;
  return { kind: 'failure', failure: failure('bad_output', 'the answer is empty'), partial: result.answer };
}
