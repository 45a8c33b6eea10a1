/** Cohere's `/v2/embed`, written and read. */
import { consistentUsage, type Usage } from '../../domain/usage.ts';
import { type EmbeddingPurpose, type EmbeddingsRequest, inputsOf } from '../../embeddings/request.ts';
import { type CallInput, type EmbeddingsDialect, type HttpWritten, withReader } from '../dialect.ts';
import { embeddingsReader, type SaidVectors } from '../embeddings-reader.ts';
import { bearer, postJson } from '../post-json.ts';
import { asCount, asList, asRecord, asTextOrNull } from '../provider-json.ts';
import { droppedFields } from '../written-request.ts';
import { failureInAnswer } from './errors.ts';
import { addressOf } from './write-request.ts';

export const cohereEmbeddings: EmbeddingsDialect = {
  maxInputs: 96,
  write: (input) =>
    withReader(
      writeEmbeddings(input),
      embeddingsReader(input.request, (body) => sayVectors(body, input.nowMs)),
    ),
};

const purposes: Readonly<Record<EmbeddingPurpose, string>> = {
  search_query: 'search_query',
  search_document: 'search_document',
  classification: 'classification',
  clustering: 'clustering',
  // The nearest of theirs that treats both sides of a comparison alike.
  similarity: 'clustering',
};

function writeEmbeddings({ request, model, endpoint, credential }: CallInput<EmbeddingsRequest>): HttpWritten {
  const purpose = request.input_type ?? 'search_document';
  const warnings = droppedFields(request, ['user'], 'Cohere');
  if (purpose === 'similarity') warnings.push('changed "input_type" to "clustering": Cohere has no "similarity"');
  const body = {
    model,
    texts: inputsOf(request),
    input_type: purposes[purpose],
    embedding_types: ['float'],
    output_dimension: request.dimensions,
    // Its default cuts a long text without a word; a vector of half a text is no answer to the whole.
    truncate: 'NONE',
  };
  return postJson(addressOf(endpoint, 'embed'), bearer(credential), body, warnings);
}

function sayVectors(body: unknown, nowMs: number): SaidVectors {
  const root = asRecord(body);
  if (typeof root.message === 'string') return { kind: 'failure', failure: failureInAnswer(root.message, nowMs) };
  return {
    kind: 'vectors',
    vectors: asList(asRecord(root.embeddings).float),
    said: { providerId: asTextOrNull(root.id), usage: toUsage(root.meta) },
  };
}

function toUsage(meta: unknown): Usage | null {
  const inputTokens = asCount(asRecord(asRecord(meta).billed_units).input_tokens);
  return inputTokens === null ? null : consistentUsage({ inputTokens, outputTokens: 0 });
}
