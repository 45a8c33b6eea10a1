/** The `ollama` dialect: Ollama's native chat and embeddings. */
import { chatReader } from '../chat-reader.ts';
import { type Dialect, withReader } from '../dialect.ts';
import { ollamaEmbeddings } from './embeddings.ts';
import { readError } from './errors.ts';
import { readAnswer } from './read-answer.ts';
import { createStreamReader } from './read-stream.ts';
import { writeRequest } from './write-request.ts';

export const ollamaDialect: Dialect = {
  name: 'ollama',
  lacks: ['forced_tool', 'multiple_choices', 'audio_input', 'file_input'],
  writeChat: (input) => withReader(writeRequest(input), chatReader({ readAnswer, createStreamReader }, input)),
  embeddings: ollamaEmbeddings,
  readError,
};
