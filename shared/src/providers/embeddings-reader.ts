/** How vectors are read, whoever made them: one document, held to what was asked for. */
import type { Failure } from '../domain/failure.ts';
import { type EmbeddingsRequest, inputsOf } from '../embeddings/request.ts';
import { type EmbeddingsAnswer, emptyEmbeddings } from '../embeddings/response.ts';
import { failure, type Reader, type ReadResult } from './dialect.ts';
import { parseProviderJson } from './provider-json.ts';

/** What a provider's body says. */
export type SaidVectors =
  | { readonly kind: 'failure'; readonly failure: Failure }
  | {
      readonly kind: 'vectors';
      /** In the order of the inputs; whether they are vectors is not yet known. */
      readonly vectors: readonly unknown[];
      readonly said: Partial<EmbeddingsAnswer>;
    };

export function embeddingsReader(
  request: EmbeddingsRequest,
  say: (body: unknown) => SaidVectors,
): Reader<EmbeddingsAnswer> {
  const readAnswer = (body: unknown) => conclude(say(body), request);
  return {
    readAnswer,
    // Nobody streams vectors; a server that is asked to sends them whole.
    createStreamReader() {
      let text = '';
      return {
        push(piece) {
          text += piece;
        },
        end: () => readAnswer(parseProviderJson(text)),
        partial: () => emptyEmbeddings,
      };
    },
  };
}

function conclude(body: SaidVectors, request: EmbeddingsRequest): ReadResult<EmbeddingsAnswer> {
  if (body.kind === 'failure') return body;
  const { vectors } = body;
  const answer = { ...emptyEmbeddings, ...body.said };
  const refuse = (kind: Failure['kind'], message: string): ReadResult<EmbeddingsAnswer> => ({
    kind: 'failure',
    failure: failure(kind, message, { httpStatus: 200 }),
    partial: answer,
  });
  const count = inputsOf(request).length;
  if (vectors.length !== count)
    return refuse('bad_output', `the answer does not hold one vector for each of ${count} inputs`);
  if (!vectors.every(isVector)) return refuse('bad_output', 'a vector of the answer is empty, or not of numbers');
  const length = vectors[0]?.length ?? 0;
  if (vectors.some((each) => each.length !== length))
    return refuse('bad_output', 'the vectors of the answer differ in length');
  const wanted = request.dimensions ?? length;
  // A model that cannot shorten its vectors may ignore that it was asked to.
  if (wanted !== length) return refuse('unsupported_feature', `the vectors hold ${length} numbers, not ${wanted}`);
  return { kind: 'answer', answer: { ...answer, vectors } };
}

const isVector = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'number');
