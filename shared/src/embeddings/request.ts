/**
 * The canonical embeddings request: OpenAI's, plus what the text is for, which some models must know.
 *
 * A provider takes only so many inputs at once. A longer list is embedded in parts, each an attempt of its own.
 */
import { z } from 'zod';
import { estimateTextTokens } from '../chat/tokens.ts';
import { notSupportedYet, strictObject } from '../domain/strict-object.ts';

const maxInputs = 10_000;
const expected = { error: 'expected a text, or a list of texts; token ids are not supported yet' };
const text = z.string(expected).min(1, 'an input is empty');

const inputs = z.union([text, z.array(text).min(1).max(maxInputs)], expected);

export const embeddingPurposes = [
  'search_query',
  'search_document',
  'classification',
  'clustering',
  'similarity',
] as const;
export type EmbeddingPurpose = (typeof embeddingPurposes)[number];

export const embeddingsRequestSchema = strictObject({
  model: z.string().min(1).max(256),
  input: inputs,
  /** How many numbers a vector has, for models that can shorten them. */
  dimensions: z.int().min(1).max(65_536).nullish(),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  /** Extension: what the vectors are for. Dropped with a warning where the model does not ask. */
  input_type: z.enum(embeddingPurposes).nullish(),
  user: z.string().max(512).nullish(),
  service_tier: notSupportedYet('service_tier', (value) => value === 'auto' || value === 'default'),
});
export type EmbeddingsRequest = z.infer<typeof embeddingsRequestSchema>;

export const inputsOf = ({ input }: EmbeddingsRequest): readonly string[] =>
  typeof input === 'string' ? [input] : input;

export const estimateEmbeddingTokens = (request: EmbeddingsRequest): number =>
  inputsOf(request).reduce((sum, each) => sum + estimateTextTokens(each), 0);
