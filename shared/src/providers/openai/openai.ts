/** The `openai` dialect: OpenAI itself and every server that speaks its Chat Completions. */
import type { Dialect } from '../dialect.ts';
import { readError } from './errors.ts';
import { readAnswer } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';
import { writeRequest } from './write-request.ts';

export const openaiDialect: Dialect = {
  name: 'openai',
  lacks: [],
  writeRequest,
  readAnswer,
  createStreamReader,
  readError,
};
