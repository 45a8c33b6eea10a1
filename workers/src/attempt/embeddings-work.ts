/** Embeddings: as many inputs at once as the provider takes, and the vectors of all in the end. */

import { splitTarget } from '@waybill/shared/domain/job.ts';
import { type EmbeddingsRequest, inputsOf } from '@waybill/shared/embeddings/request.ts';
import { type EmbeddingsAnswer, toEmbeddingList } from '@waybill/shared/embeddings/response.ts';
import { type Dialect, failure, type WriteResult } from '@waybill/shared/providers/dialect.ts';
import { type Carried, fits, totalUsage } from './carried.ts';
import { type Delivery, mapReader, type WireInput, type Work, type WorkInput } from './delivery.ts';

export function createEmbeddingsWork(request: EmbeddingsRequest, input: WorkInput): Work {
  const carried = input.carried?.kind === 'vectors' && fits(input.carried, input.target) ? input.carried : null;
  const inputs = inputsOf(request);
  const done = carried?.vectors.length ?? 0;
  return {
    operation: 'embeddings',
    isStreamed: false,
    told: null,
    write(dialect: Dialect, wire: WireInput): WriteResult<Delivery> {
      if (dialect.embeddings === null) return { kind: 'unsupported', feature: 'embeddings' };
      const part = inputs.slice(done, done + dialect.embeddings.maxInputs);
      const written = dialect.embeddings.write({
        ...wire,
        request: { ...request, input: part },
        stream: false,
        continuation: null,
      });
      if (written.kind === 'unsupported') return written;
      const toDelivery = (answer: EmbeddingsAnswer) => deliver(answer, part.length, carried, request, input);
      return { ...written, reader: mapReader(written.reader, toDelivery) };
    },
  };
}

function deliver(
  own: EmbeddingsAnswer,
  asked: number,
  carried: Extract<Carried, { kind: 'vectors' }> | null,
  request: EmbeddingsRequest,
  { target }: WorkInput,
): Delivery {
  const vectors = [...(carried?.vectors ?? []), ...own.vectors];
  const usage = carried === null ? own.usage : totalUsage(carried.usage, own.usage);
  const isWhole = vectors.length >= inputsOf(request).length;
  const all = { ...own, vectors, usage };
  return {
    model: own.model,
    providerId: own.providerId,
    usage: own.usage,
    warnings: own.warnings,
    finishReasons: [],
    fault:
      own.vectors.length === asked
        ? null
        : { failure: failure('bad_output', `the answer holds ${own.vectors.length} vectors for ${asked} inputs`) },
    carried: isWhole
      ? null
      : { kind: 'vectors', target, model: own.model, vectors: vectors.map((each) => [...each]), usage },
    kept: null,
    output: () =>
      JSON.stringify(
        toEmbeddingList(all, { model: splitTarget(target).model, format: request.encoding_format ?? 'float' }),
      ),
  };
}
