/** The `gemini` dialect: Google's own `generateContent`, which tells more than its OpenAI-compatible surface. */
import { chatReader } from '../chat-reader.ts';
import { type Dialect, withReader } from '../dialect.ts';
import type { Asked } from './collect-answer.ts';
import { geminiEmbeddings } from './embeddings.ts';
import { readError } from './errors.ts';
import { readAnswer } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';
import { writeRequest } from './write-request.ts';
import { toolNames } from './write-tools.ts';

export const geminiDialect: Dialect = {
  name: 'gemini',
  lacks: ['multiple_choices'],
  writeChat(input) {
    const asked: Asked = {
      firstCallOnly: input.request.parallel_tool_calls === false,
      isContinued: input.continuation !== null,
      toOurs: toolNames(input.request).toOurs,
      nowMs: input.nowMs,
    };
    return withReader(writeRequest(input), chatReader({ readAnswer, createStreamReader }, asked));
  },
  embeddings: geminiEmbeddings,
  readError,
};
