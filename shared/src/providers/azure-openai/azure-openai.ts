/**
 * The `azure-openai` dialect: OpenAI's surfaces, as a resource's deployments have them.
 *
 * What a deployment cannot do, its model cannot: nothing is lacking in all of them.
 */
import type { Dialect } from '../dialect.ts';
import { openaiEmbeddings } from '../openai/embeddings.ts';
import { readError } from './errors.ts';
import { writeChat, writeEmbeddings } from './write-request.ts';

export const azureOpenaiDialect: Dialect = {
  name: 'azure-openai',
  lacks: [],
  writeChat,
  embeddings: { maxInputs: openaiEmbeddings.maxInputs, write: writeEmbeddings },
  readError,
};
