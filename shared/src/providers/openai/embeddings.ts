/** Embeddings: OpenAI's surface, which most servers of its dialect have too. */
import { consistentUsage, type Usage } from '../../domain/usage.ts';
import { type EmbeddingsRequest, inputsOf } from '../../embeddings/request.ts';
import { type CallInput, type EmbeddingsDialect, type HttpWritten, type Unsupported, withReader } from '../dialect.ts';
import { embeddingsReader, type SaidVectors } from '../embeddings-reader.ts';
import { bearer, postJson } from '../post-json.ts';
import { asCount, asList, asRecord, asTextOrNull, type Json } from '../provider-json.ts';
import { droppedFields } from '../written-request.ts';
import { failureInAnswer } from './error-inside.ts';

export const openaiEmbeddings: EmbeddingsDialect = {
  maxInputs: 2_048,
  write: (input) =>
    withReader(
      writeEmbeddings(input),
      embeddingsReader(input.request, (body) => sayVectors(body, input.nowMs)),
    ),
};

function writeEmbeddings(input: CallInput<EmbeddingsRequest>): HttpWritten | Unsupported {
  const { request, model, endpoint, credential, quirks } = input;
  const { dimensions } = request;
  const hasLength = dimensions !== undefined && dimensions !== null;
  const canShorten = quirks.dimensionsField !== 'none' && !quirks.drop.includes('dimensions');
  if (hasLength && !canShorten) return { kind: 'unsupported', feature: 'a length of embeddings' };
  const body = {
    model,
    input: inputsOf(request),
    ...(hasLength ? { [quirks.dimensionsField]: dimensions } : {}),
    // Numbers whatever the caller is given: the answer is written anew.
    encoding_format: quirks.drop.includes('encoding_format') ? null : 'float',
    user: quirks.drop.includes('user') ? null : request.user,
  };
  const dropped = ['input_type', ...(quirks.drop.includes('user') ? ['user'] : [])];
  const warnings = droppedFields(request, dropped, 'this provider');
  return postJson(`${endpoint}/embeddings`, bearer(credential), body, warnings);
}

function sayVectors(body: unknown, nowMs: number): SaidVectors {
  const root = asRecord(body);
  if (root.error) return { kind: 'failure', failure: failureInAnswer(root, nowMs) };
  return {
    kind: 'vectors',
    vectors: inOrder(asList(root.data).map(asRecord)),
    said: { model: asTextOrNull(root.model), providerId: asTextOrNull(root.id), usage: toUsage(root.usage) },
  };
}

/** Answers may come out of order, each with its index. An index that is twice there leaves a place empty. */
function inOrder(data: readonly Json[]): unknown[] {
  const vectors = new Map<number, unknown>();
  for (const [place, { index, embedding }] of data.entries())
    vectors.set(index === undefined ? place : (asCount(index) ?? -1), toVector(embedding));
  return data.map((_, place) => vectors.get(place) ?? null);
}

/** A list of numbers, or little-endian 32-bit floats as base64; null: neither. */
function toVector(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length % 4 !== 0) return null;
  const vector = Array.from({ length: bytes.length / 4 }, (_, place) => bytes.readFloatLE(place * 4));
  return vector.every(Number.isFinite) ? vector : null;
}

/** Vectors cost their input alone. */
function toUsage(value: unknown): Usage | null {
  const usage = asRecord(value);
  const inputTokens = asCount(usage.prompt_tokens) ?? asCount(usage.total_tokens);
  return inputTokens === null ? null : consistentUsage({ inputTokens, outputTokens: 0 });
}
