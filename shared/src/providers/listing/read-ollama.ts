/**
 * What Ollama says of its models, in three answers: which there are, what one was trained for, and what those that are
 * loaded were given.
 */
import { asList, asRecord, asText } from '../provider-json.ts';
import {
  asLimit,
  asModelName,
  type ListedModel,
  listedModel,
  type ModelPage,
  normaliseModel,
  sortCapabilities,
} from './listed-model.ts';

/** `GET /api/tags` */
export function readOllamaTags(body: unknown): ModelPage | null {
  const entries = asRecord(body).models;
  if (!Array.isArray(entries)) return null;
  const models = entries.flatMap((each) => {
    const entry = asRecord(each);
    const id = asModelName(entry.name) ?? asModelName(entry.model);
    return id === null ? [] : [listedModel(id, fromCapabilities(entry.capabilities))];
  });
  return { models, next: null };
}

/** `POST /api/show`: what is known of one model, loaded or not. */
export function readOllamaShow(body: unknown): Partial<ListedModel> {
  const shown = asRecord(body);
  const info = asRecord(shown.model_info);
  const configured = /^num_ctx\s+(\d{1,9})\s*$/m.exec(asText(shown.parameters))?.[1];
  return {
    ...fromCapabilities(shown.capabilities),
    trainedWindow: asLimit(info[`${asText(info['general.architecture'])}.context_length`]),
    contextWindow: configured === undefined ? null : asLimit(Number(configured)),
  };
}

/** `GET /api/ps`: the context that each loaded model was really given, by its normalised name. */
export function readOllamaLoaded(body: unknown): ReadonlyMap<string, number | null> {
  return new Map(
    asList(asRecord(body).models).flatMap((each): [string, number | null][] => {
      const entry = asRecord(each);
      const id = asModelName(entry.name) ?? asModelName(entry.model);
      return id === null ? [] : [[normaliseModel('ollama', id), asLimit(entry.context_length)]];
    }),
  );
}

/** Joins the three; what a loaded model was given is what holds. */
export function withOllamaDetails(
  model: ListedModel,
  shown: Partial<ListedModel>,
  loaded: ReadonlyMap<string, number | null> | null,
): ListedModel {
  const given = loaded?.get(normaliseModel('ollama', model.id));
  return {
    ...model,
    ...shown,
    contextWindow: given ?? shown.contextWindow ?? null,
    status: loaded === null ? null : given === undefined ? 'unloaded' : 'loaded',
  };
}

function fromCapabilities(value: unknown): Partial<ListedModel> {
  if (!Array.isArray(value)) return {};
  return {
    ...sortCapabilities({
      tools: value.includes('tools'),
      vision: value.includes('vision'),
      audio_input: value.includes('audio'),
      embeddings: value.includes('embedding'),
    }),
    isChat: value.includes('completion'),
  };
}
