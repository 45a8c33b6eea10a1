/** Where a provider's model list is asked. */
import type { ModelListing } from '../presets.ts';

const perPage = 1_000;

const paths: Readonly<Record<ModelListing, ((endpoint: string, page: string | null) => string) | null>> = {
  openai: (endpoint) => `${endpoint}/models`,
  anthropic: (endpoint, page) => `${endpoint}/models?${query({ limit: perPage, after_id: page })}`,
  gemini: (endpoint, page) => `${endpoint}/models?${query({ pageSize: perPage, pageToken: page })}`,
  // Chats are asked at `/v2`, models at `/v1`.
  cohere: (endpoint, page) =>
    `${endpoint.replace(/\/v\d+$/, '')}/v1/models?${query({ page_size: perPage, page_token: page })}`,
  ollama: (endpoint) => `${endpoint}/api/tags`,
  none: null,
};

/** null: it has no list that says what can be called. */
export const listUrl = (listing: ModelListing, endpoint: string, page: string | null): string | null =>
  paths[listing]?.(endpoint.replace(/\/+$/, ''), page) ?? null;

const query = (fields: Readonly<Record<string, string | number | null>>): string =>
  new URLSearchParams(
    Object.entries(fields).flatMap(([name, value]): [string, string][] => (value === null ? [] : [[name, `${value}`]])),
  ).toString();
