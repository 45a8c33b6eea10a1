/** The `ollama` dialect: Ollama's native chat. */
import type { Dialect } from '../dialect.ts';
import { readError } from './errors.ts';
import { createStreamReader, readAnswer } from './read-answer.ts';
import { writeRequest } from './write-request.ts';

export const ollamaDialect: Dialect = {
  name: 'ollama',
  lacks: ['forced_tool', 'logprobs', 'multiple_choices'],
  writeRequest,
  readAnswer,
  createStreamReader,
  readError,
};
