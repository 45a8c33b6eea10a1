/** Embeddings by Ollama. A text that does not fit is refused, not cut. */
import { consistentUsage } from '../../domain/usage.ts';
import { type EmbeddingsRequest, inputsOf } from '../../embeddings/request.ts';
import { type CallInput, type EmbeddingsDialect, type HttpWritten, type Unsupported, withReader } from '../dialect.ts';
import { embeddingsReader, type SaidVectors } from '../embeddings-reader.ts';
import { bearer, postJson } from '../post-json.ts';
import { asCount, asList, asRecord, asTextOrNull } from '../provider-json.ts';
import { droppedFields } from '../written-request.ts';
import { failureInAnswer } from './errors.ts';

export const ollamaEmbeddings: EmbeddingsDialect = {
  maxInputs: 512,
  write: (input) =>
    withReader(
      writeEmbeddings(input),
      embeddingsReader(input.request, (body) => sayVectors(body, input.nowMs)),
    ),
};

function writeEmbeddings(input: CallInput<EmbeddingsRequest>): HttpWritten | Unsupported {
  const { request, model, endpoint, credential, quirks, contextWindow } = input;
  const mayShorten = quirks.dimensionsField !== 'none' && !quirks.drop.includes('dimensions');
  const dimensions = request.dimensions ?? null;
  if (dimensions !== null && !mayShorten) return { kind: 'unsupported', feature: 'a length of embeddings' };
  const body = {
    model,
    input: inputsOf(request),
    truncate: false,
    dimensions,
    // As in chats: another window loads the model anew.
    options: contextWindow === null ? null : { num_ctx: contextWindow },
  };
  const warnings = droppedFields(request, ['input_type', 'user'], 'Ollama');
  return postJson(`${endpoint}/api/embed`, bearer(credential), body, warnings);
}

function sayVectors(body: unknown, nowMs: number): SaidVectors {
  const root = asRecord(body);
  if (root.error) return { kind: 'failure', failure: failureInAnswer(root, nowMs) };
  const inputTokens = asCount(root.prompt_eval_count);
  return {
    kind: 'vectors',
    vectors: asList(root.embeddings),
    said: {
      model: asTextOrNull(root.model),
      usage: inputTokens === null ? null : consistentUsage({ inputTokens, outputTokens: 0 }),
    },
  };
}
