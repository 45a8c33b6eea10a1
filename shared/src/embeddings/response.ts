/** Vectors, whichever provider made them, and the output users read: OpenAI's list of embeddings. */
import { toUsageJson, type Usage } from '../domain/usage.ts';

export interface EmbeddingsAnswer {
  /** One per input, in the order of the inputs. */
  readonly vectors: readonly (readonly number[])[];
  readonly model: string | null;
  readonly providerId: string | null;
  readonly usage: Usage | null;
  readonly warnings: readonly string[];
}

export const emptyEmbeddings: EmbeddingsAnswer = {
  vectors: [],
  model: null,
  providerId: null,
  usage: null,
  warnings: [],
};

/** @param format `base64`: little-endian 32-bit floats, as OpenAI's clients ask for by default */
export function toEmbeddingList(answer: EmbeddingsAnswer, context: { model: string; format: 'float' | 'base64' }) {
  const { usage } = answer;
  return {
    object: 'list' as const,
    model: answer.model ?? context.model,
    data: answer.vectors.map((vector, index) => ({
      object: 'embedding' as const,
      index,
      embedding: context.format === 'base64' ? toBase64(vector) : vector,
    })),
    usage: usage === null ? null : { prompt_tokens: usage.inputTokens, total_tokens: toUsageJson(usage).total_tokens },
  };
}

const toBase64 = (vector: readonly number[]): string => {
  const bytes = new DataView(new ArrayBuffer(vector.length * 4));
  for (const [index, value] of vector.entries()) bytes.setFloat32(index * 4, value, true);
  return Buffer.from(bytes.buffer).toString('base64');
};
