/** Model lists of Anthropic, Gemini and Cohere, each in its own form. */
import { asList, asRecord, asTextOrNull, type Json } from '../provider-json.ts';
import {
  asFlag,
  asInstantMs,
  asLimit,
  asModelName,
  type ListedModel,
  listedModel,
  type ModelPage,
  normaliseModel,
  sortCapabilities,
} from './listed-model.ts';

function readPage(entries: unknown, next: unknown, readEntry: (entry: Json) => ListedModel | null): ModelPage | null {
  if (!Array.isArray(entries)) return null;
  return { models: entries.flatMap((each) => readEntry(asRecord(each)) ?? []), next: asTextOrNull(next) };
}

export function readAnthropicList(body: unknown): ModelPage | null {
  const page = asRecord(body);
  return readPage(page.data, page.has_more === true ? page.last_id : null, (entry) => {
    const id = asModelName(entry.id);
    if (id === null) return null;
    const can = asRecord(entry.capabilities);
    const isSupported = (name: string) => asFlag(asRecord(can[name]).supported);
    return listedModel(id, {
      contextWindow: asLimit(entry.max_input_tokens),
      maxOutput: asLimit(entry.max_tokens),
      ...sortCapabilities({
        json_schema: isSupported('structured_outputs'),
        vision: isSupported('image_input'),
        file_input: isSupported('pdf_input'),
      }),
      isChat: true,
      lifecycle: (['active', 'deprecated', 'retired'] as const).find((each) => each === entry.lifecycle) ?? null,
      endsAtMs: asInstantMs(entry.retires_at),
    });
  });
}

export function readGeminiList(body: unknown): ModelPage | null {
  const page = asRecord(body);
  // A key that may call nothing gets `{}`.
  const isEmpty = typeof body === 'object' && body !== null && Object.keys(body).length === 0 && !Array.isArray(body);
  const entries = isEmpty ? [] : page.models;
  return readPage(entries, page.nextPageToken, (entry) => {
    const name = asModelName(entry.name);
    if (name === null) return null;
    const methods = Array.isArray(entry.supportedGenerationMethods) ? entry.supportedGenerationMethods : null;
    const embeds = methods === null ? null : methods.some((each) => /embed(Content|Text)$/i.test(String(each)));
    return listedModel(normaliseModel('gemini', name), {
      contextWindow: asLimit(entry.inputTokenLimit),
      maxOutput: asLimit(entry.outputTokenLimit),
      ...sortCapabilities({ embeddings: embeds }),
      isChat: methods === null ? null : methods.includes('generateContent'),
    });
  });
}

export function readCohereList(body: unknown): ModelPage | null {
  const page = asRecord(body);
  return readPage(page.models, page.next_page_token, (entry) => {
    const id = asModelName(entry.name);
    if (id === null) return null;
    const endpoints = Array.isArray(entry.endpoints) ? entry.endpoints : null;
    const features = asList(entry.features);
    // It names what a model can do, and is not known to be complete.
    const named = (feature: string): true | null => (features.includes(feature) ? true : null);
    return listedModel(id, {
      contextWindow: asLimit(entry.context_length),
      ...sortCapabilities({
        tools: named('tools'),
        json_object: named('json_mode'),
        json_schema: named('json_schema'),
        vision: named('vision'),
        logprobs: named('logprobs'),
        embeddings: endpoints?.includes('embed') ?? null,
      }),
      isChat: endpoints?.includes('chat') ?? null,
      lifecycle: entry.is_deprecated === true ? 'deprecated' : null,
    });
  });
}
