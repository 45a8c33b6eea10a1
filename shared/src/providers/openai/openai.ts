/** The `openai` dialect: OpenAI itself, on both its surfaces, and every server that speaks its Chat Completions. */
import { chatReader } from '../chat-reader.ts';
import { type CallInput, type Dialect, type WriteResult, withReader } from '../dialect.ts';
import { openaiEmbeddings } from './embeddings.ts';
import { readError } from './errors.ts';
import type { Surface } from './fit-request.ts';
import { needsResponses } from './model-rules.ts';
import { type Asked, readAnswer } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';
import { readResponse } from './responses/read-answer.ts';
import { createResponseStreamReader } from './responses/read-stream.ts';
import { idsForResponses, writeResponsesRequest } from './responses/write-request.ts';
import { idsFor, writeRequest } from './write-request.ts';

export const openaiDialect: Dialect = {
  name: 'openai',
  lacks: [],
  writeChat: (input) => (surfaceFor(input) === 'responses' ? writeToResponses(input) : writeToChat(input)),
  embeddings: openaiEmbeddings,
  readError,
};

/** Which of OpenAI's two surfaces a request must go to; other servers have the one. */
export const surfaceFor = ({ model, request, quirks }: CallInput): Surface =>
  quirks.vendorRules === 'openai' && needsResponses(model, request) ? 'responses' : 'chat';

export function writeToChat(input: CallInput): WriteResult {
  const asked: Asked = { toCaller: idsFor(input).toCaller, nowMs: input.nowMs };
  const reader = chatReader({ readAnswer, createStreamReader }, asked);
  return withReader(writeRequest(input), reader);
}

export function writeToResponses(input: CallInput): WriteResult {
  const asked: Asked = { toCaller: idsForResponses(input).toCaller, nowMs: input.nowMs };
  const reader = chatReader({ readAnswer: readResponse, createStreamReader: createResponseStreamReader }, asked);
  return withReader(writeResponsesRequest(input), reader);
}
