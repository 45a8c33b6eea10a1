/** The `cohere` dialect: version 2 of its API. */
import { chatReader } from '../chat-reader.ts';
import { type Dialect, withReader } from '../dialect.ts';
import { cohereEmbeddings } from './embeddings.ts';
import { readError } from './errors.ts';
import { type Asked, readAnswer } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';
import { toolNames, writeRequest } from './write-request.ts';

export const cohereDialect: Dialect = {
  name: 'cohere',
  lacks: ['multiple_choices', 'audio_input', 'file_input'],
  writeChat(input) {
    const asked: Asked = { toOurs: toolNames(input.request).toOurs, nowMs: input.nowMs };
    return withReader(writeRequest(input), chatReader({ readAnswer, createStreamReader }, asked));
  },
  embeddings: cohereEmbeddings,
  readError,
};
