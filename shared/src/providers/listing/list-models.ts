/**
 * Asks a provider which models it has. Bounded in pages, models and bytes; how long it may take, the signal decides.
 *
 * A list of which a part is missing is not handed out as if it were whole: a model that is not on it would seem gone.
 */
import { type Dispatcher, request as send } from 'undici';
import type { FailureKind } from '../../domain/failure.ts';
import type { Dialect } from '../dialect.ts';
import { errorReader } from '../error-body.ts';
import type { ModelListing } from '../presets.ts';
import { parseProviderJson } from '../provider-json.ts';
import { listUrl } from './list-url.ts';
import type { ListedModel } from './listed-model.ts';
import { readModelList } from './read-model-list.ts';
import { readOllamaLoaded, readOllamaShow, withOllamaDetails } from './read-ollama.ts';

export const listBounds = { pages: 20, models: 10_000, bytes: 8 * 1024 * 1024, shown: 64 } as const;

export interface ListOptions {
  readonly endpoint: string;
  readonly listing: ModelListing;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** How the provider's refusals read; by their status when left out. */
  readonly readError?: Dialect['readError'];
  readonly dispatcher?: Dispatcher;
}

export type ListFailure =
  /** `code` as the system names it (`ECONNREFUSED`), `aborted` when the signal came first, null: none. */
  | { readonly kind: 'unreachable'; readonly code: string | null }
  | { readonly kind: 'refused'; readonly status: number; readonly failure: FailureKind }
  | { readonly kind: 'unreadable'; readonly reason: 'too_large' | 'not_json' | 'not_a_list' };

export type ListResult =
  | {
      readonly kind: 'models';
      readonly models: readonly ListedModel[];
      /** False: there are more, or the provider has no list. Absence from it says nothing. */
      readonly isComplete: boolean;
    }
  | ListFailure;

type Asked = { readonly kind: 'body'; readonly body: unknown } | ListFailure;

export async function listModels(options: ListOptions): Promise<ListResult> {
  const byId = new Map<string, ListedModel>();
  const asked = new Set<string>();
  let url = listUrl(options.listing, options.endpoint, null);
  if (url === null) return { kind: 'models', models: [], isComplete: false };
  while (url !== null && !asked.has(url) && asked.size < listBounds.pages && byId.size < listBounds.models) {
    asked.add(url);
    const answer = await ask(options, 'GET', url);
    if (answer.kind !== 'body') return answer;
    const page = readModelList(options.listing, answer.body);
    if (page === null) return { kind: 'unreadable', reason: 'not_a_list' };
    for (const model of page.models) byId.set(model.id, model);
    url = page.next === null ? null : listUrl(options.listing, options.endpoint, page.next);
  }
  const models = [...byId.values()].slice(0, listBounds.models);
  return {
    kind: 'models',
    models: options.listing === 'ollama' ? await withDetails(options, models) : models,
    isComplete: url === null && byId.size <= listBounds.models,
  };
}

/** What Ollama says of each model beside the list. A detail that does not come stays unknown. */
async function withDetails(options: ListOptions, models: readonly ListedModel[]): Promise<ListedModel[]> {
  const at = (path: string) => `${options.endpoint.replace(/\/+$/, '')}${path}`;
  const running = await ask(options, 'GET', at('/api/ps'));
  const loaded = running.kind === 'body' ? readOllamaLoaded(running.body) : null;
  const detailed: ListedModel[] = [];
  for (const [index, model] of models.entries()) {
    // One at a time: it is somebody's own machine.
    const shown: Asked | null =
      index < listBounds.shown ? await ask(options, 'POST', at('/api/show'), { model: model.id }) : null;
    detailed.push(withOllamaDetails(model, shown?.kind === 'body' ? readOllamaShow(shown.body) : {}, loaded));
  }
  return detailed;
}

async function ask(options: ListOptions, method: 'GET' | 'POST', url: string, body?: object): Promise<Asked> {
  try {
    const response = await send(url, {
      method,
      headers: {
        accept: 'application/json',
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...options.headers,
      },
      body: body ? JSON.stringify(body) : null,
      signal: options.signal,
      ...(options.dispatcher ? { dispatcher: options.dispatcher } : {}),
    });
    const text = await readBounded(response.body);
    const { statusCode: status } = response;
    if (status < 200 || status > 299) return refused(options, status, response.headers, text ?? '');
    if (text === null) return { kind: 'unreadable', reason: 'too_large' };
    return parseBody(text);
  } catch (error) {
    return { kind: 'unreachable', code: options.signal.aborted ? 'aborted' : codeOf(error) };
  }
}

/** null: larger than the bound; the rest is not read. */
async function readBounded(body: AsyncIterable<Uint8Array>): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > listBounds.bytes) return null; // Leaving the loop destroys the body.
    chunks.push(chunk);
  }
  return new TextDecoder('utf-8').decode(Buffer.concat(chunks));
}

function parseBody(text: string): Asked {
  try {
    return { kind: 'body', body: parseProviderJson(text) };
  } catch {
    return { kind: 'unreadable', reason: 'not_json' };
  }
}

const byStatus = errorReader([]);

function refused(
  options: ListOptions,
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: string,
): ListFailure {
  const flat = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, `${value ?? ''}`]));
  const read = options.readError ?? byStatus;
  return { kind: 'refused', status, failure: read({ status, headers: flat, body }, Date.now()).kind };
}

/** The system's own word for what happened, and nothing that could name an address or a secret. */
function codeOf(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^[A-Z][A-Z0-9_]{2,40}$/.test(code) ? code : null;
}
