/**
 * Model lists in OpenAI's form, which a dozen kinds of servers share and each extends in its own way.
 *
 * Which server it is does not matter: the names of the extensions do not collide, and each is read where it is found.
 */
import { asList, asRecord, asText, type Json } from '../provider-json.ts';
import {
  asFlag,
  asInstantMs,
  asLimit,
  asModelName,
  asNames,
  type ListedModel,
  type ListedStatus,
  listedModel,
  listedStatuses,
  type ModelPage,
  sortCapabilities,
} from './listed-model.ts';

/** null: not a list of models. It has no pages. */
export function readOpenaiList(body: unknown): ModelPage | null {
  const entries = Array.isArray(body) ? body : asRecord(body).data;
  if (!Array.isArray(entries)) return null;
  return { models: entries.flatMap((each) => readEntry(asRecord(each)) ?? []), next: null };
}

function readEntry(entry: Json): ListedModel | null {
  const id = asModelName(entry.id);
  if (id === null) return null;
  const meta = asRecord(entry.meta);
  return listedModel(id, {
    aliases: asNames(entry.aliases),
    contextWindow: firstLimit([
      entry.context_window, // Groq
      entry.context_length, // OpenRouter
      entry.max_context_length, // Mistral
      entry.max_model_len, // vLLM, LightLLM
      meta.n_ctx, // llama.cpp, where it says what it allocated
    ]),
    trainedWindow: asLimit(meta.n_ctx_train),
    maxOutput: firstLimit([entry.max_completion_tokens, asRecord(entry.top_provider).max_completion_tokens]),
    ...capabilitiesOf(entry),
    lifecycle: isGone(entry) ? 'retired' : null,
    endsAtMs: [entry.expiration_date, entry.deprecation, entry.shutdown_date].map(asInstantMs).find(isSaid) ?? null,
    replacement: asModelName(entry.deprecation_replacement_model),
    status: statusOf(asRecord(entry.status)),
    price: priceOf(asRecord(entry.pricing)),
  });
}

const isSaid = (value: number | null): value is number => value !== null;
const firstLimit = (values: readonly unknown[]): number | null => values.map(asLimit).find(isSaid) ?? null;

/** Groq keeps a model it no longer serves in the list; Mistral, a tuned one that was put away. */
const isGone = (entry: Json): boolean => entry.active === false || entry.archived === true;

/** Of llama.cpp that serves several models. A word that is new is not said. */
function statusOf(status: Json): ListedStatus | null {
  if (status.failed === true) return 'failed';
  return listedStatuses.find((each) => each === status.value) ?? null;
}

function capabilitiesOf(entry: Json): Pick<ListedModel, 'has' | 'lacks' | 'isChat'> {
  if (Array.isArray(entry.supported_parameters)) return fromParameters(entry);
  const said = asRecord(entry.capabilities); // Mistral
  return {
    ...sortCapabilities({
      tools: asFlag(said.function_calling),
      vision: asFlag(said.vision),
      audio_input: asFlag(said.audio),
    }),
    isChat: asFlag(said.completion_chat),
  };
}

/** OpenRouter lists what a request may say, and what goes in and comes out. */
function fromParameters(entry: Json): Pick<ListedModel, 'has' | 'lacks' | 'isChat'> {
  const parameters = asList(entry.supported_parameters);
  const architecture = asRecord(entry.architecture);
  const inputs = Array.isArray(architecture.input_modalities) ? architecture.input_modalities : null;
  const outputs = Array.isArray(architecture.output_modalities) ? architecture.output_modalities : null;
  const takes = (modality: string): boolean | null => inputs?.includes(modality) ?? null;
  return {
    ...sortCapabilities({
      tools: parameters.includes('tools'),
      json_object: parameters.includes('response_format'),
      json_schema: parameters.includes('structured_outputs'),
      logprobs: parameters.includes('logprobs'),
      vision: takes('image'),
      audio_input: takes('audio'),
      file_input: takes('file'),
    }),
    isChat: outputs?.includes('text') ?? null,
  };
}

/** Dollars per token, in text. -1 says that the price depends on who serves it. */
function priceOf(pricing: Json): ListedModel['price'] {
  const [input, output] = [pricing.prompt, pricing.completion].map((value) => {
    const perToken = /^\d+(\.\d+)?(e-?\d+)?$/i.test(asText(value)) ? Number(value) : Number.NaN;
    return Number.isFinite(perToken) ? perToken * 1e6 : null;
  });
  return typeof input === 'number' && typeof output === 'number' ? { input, output } : null;
}
