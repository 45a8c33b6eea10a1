/** The `anthropic` dialect: the Messages API. */
import type { Dialect } from '../dialect.ts';
import { readError } from './errors.ts';
import { createStreamReader, readAnswer } from './read-answer.ts';
import { writeRequest } from './write-request.ts';

export const anthropicDialect: Dialect = {
  name: 'anthropic',
  lacks: ['json_object', 'logprobs', 'multiple_choices'],
  writeRequest,
  readAnswer,
  createStreamReader,
  readError,
};
