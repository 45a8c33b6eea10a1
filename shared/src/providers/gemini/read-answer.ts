/** `generateContent` answers -> canonical. */
import type { ReadResult } from '../dialect.ts';
import { type Asked, createCollector } from './collect-answer.ts';

export function readAnswer(body: unknown, asked: Asked): ReadResult {
  const answer = createCollector(() => undefined, asked);
  answer.add(body);
  // A list is a stream that came as JSON, because `alt=sse` was lost on the way.
  return answer.end(Array.isArray(body));
}
