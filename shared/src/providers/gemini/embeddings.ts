/** Embeddings: `batchEmbedContents`, a request of its own for each text. */
import { consistentUsage, type Usage } from '../../domain/usage.ts';
import { type EmbeddingPurpose, type EmbeddingsRequest, inputsOf } from '../../embeddings/request.ts';
import { type CallInput, type EmbeddingsDialect, type HttpWritten, withReader } from '../dialect.ts';
import { embeddingsReader, type SaidVectors } from '../embeddings-reader.ts';
import { postJson } from '../post-json.ts';
import { asCount, asList, asRecord, asTextOrNull } from '../provider-json.ts';
import { droppedFields } from '../written-request.ts';
import { failureInAnswer } from './errors.ts';
import { modelPath } from './model-version.ts';
import { addressOf, authOf } from './write-request.ts';

export const geminiEmbeddings: EmbeddingsDialect = {
  maxInputs: 100,
  write: (input) =>
    withReader(
      writeEmbeddings(input),
      embeddingsReader(input.request, (body) => sayVectors(body, input.nowMs)),
    ),
};

function writeEmbeddings(input: CallInput<EmbeddingsRequest>): HttpWritten {
  const { request, model } = input;
  const body = { requests: inputsOf(request).map((text) => toRequest(text, request, modelPath(model))) };
  const warnings = droppedFields(request, ['user'], 'Gemini');
  return postJson(addressOf(input, 'batchEmbedContents'), authOf(input), body, warnings);
}

const purposes: Readonly<Record<EmbeddingPurpose, string>> = {
  search_query: 'RETRIEVAL_QUERY',
  search_document: 'RETRIEVAL_DOCUMENT',
  classification: 'CLASSIFICATION',
  clustering: 'CLUSTERING',
  similarity: 'SEMANTIC_SIMILARITY',
};

const toRequest = (text: string, { dimensions, input_type }: EmbeddingsRequest, model: string) => ({
  model,
  content: { parts: [{ text }] },
  ...(input_type ? { taskType: purposes[input_type] } : {}),
  ...(dimensions ? { outputDimensionality: dimensions } : {}),
});

function sayVectors(body: unknown, nowMs: number): SaidVectors {
  const root = asRecord(Array.isArray(body) ? body[0] : body);
  if (root.error) return { kind: 'failure', failure: failureInAnswer(root, nowMs) };
  const usage = toUsage(root.usageMetadata);
  return {
    kind: 'vectors',
    vectors: asList(root.embeddings).map((each) => asRecord(each).values),
    said: {
      model: asTextOrNull(root.modelVersion),
      providerId: asTextOrNull(root.responseId),
      usage,
      warnings: usage === null ? ['Gemini did not say how many tokens the texts had'] : [],
    },
  };
}

function toUsage(value: unknown): Usage | null {
  const usage = asRecord(value);
  const inputTokens = asCount(usage.promptTokenCount) ?? asCount(usage.totalTokenCount);
  return inputTokens === null ? null : consistentUsage({ inputTokens, outputTokens: 0 });
}
