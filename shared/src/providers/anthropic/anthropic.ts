/** The `anthropic` dialect: the Messages API. It has no embeddings. */
import { chatReader } from '../chat-reader.ts';
import { type Dialect, withReader } from '../dialect.ts';
import { asList } from '../provider-json.ts';
import { readError } from './errors.ts';
import { type Asked, readAnswer } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';
import { answerToolOf, writeRequest } from './write-request.ts';

export const anthropicDialect: Dialect = {
  name: 'anthropic',
  lacks: ['json_object', 'logprobs', 'multiple_choices', 'audio_input', 'embeddings'],
  writeChat(input) {
    const asked: Asked = {
      soFar: asList(input.continuation),
      answerTool: answerToolOf(input),
      nowMs: input.nowMs,
    };
    return withReader(writeRequest(input), chatReader({ readAnswer, createStreamReader }, asked));
  },
  embeddings: null,
  readError,
};
