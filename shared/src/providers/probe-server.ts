/**
 * One question to a provider's address that bills nothing: its health path, or its list of models. The edge; bounded by
 * the signal and in bytes.
 */
import { request as send } from 'undici';
import type { Secret } from '../security/secret.ts';
import type { Dialect } from './dialect.ts';
import { authHeaders } from './listing/auth-headers.ts';
import { listModels } from './listing/list-models.ts';
import type { ListedModel } from './listing/listed-model.ts';
import { readOllamaLoaded, readOllamaTags, withOllamaDetails } from './listing/read-ollama.ts';
import type { Preset } from './presets.ts';
import { parseProviderJson } from './provider-json.ts';

export type ProbeResult =
  /** @property models null: they were not asked for, or did not come */
  | { readonly kind: 'success'; readonly latencyMs: number; readonly models: readonly ListedModel[] | null }
  | { readonly kind: 'loading'; readonly latencyMs: number }
  | { readonly kind: 'failure'; readonly latencyMs: number; readonly failure: string }
  /** The address answers, and refuses the credential or the question: it is there, which is all that is asked here. */
  | { readonly kind: 'refused'; readonly latencyMs: number; readonly failure: string };

export interface ProbeInput {
  readonly preset: Preset;
  readonly dialect: Dialect;
  readonly endpoint: string;
  readonly credential: Secret | null;
  readonly apiVersion: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

const maxHealthBytes = 64 * 1_024;
const maxListBytes = 1_024 * 1_024;

export async function probeServer(input: ProbeInput): Promise<ProbeResult> {
  const startedAt = performance.now();
  const elapsed = () => Math.round(performance.now() - startedAt);
  const headers = { ...authHeaders(input.dialect.name, input.credential, input.apiVersion), ...input.headers };
  if (input.preset.healthPath !== null) {
    const asked = await askHealth(new URL(input.preset.healthPath, input.endpoint).href, headers, input);
    if (asked.kind !== 'success') return { ...asked, latencyMs: elapsed() };
    if (!input.preset.isLocal) return { kind: 'success', latencyMs: elapsed(), models: null };
  }
  const latencyMs = elapsed();
  if (input.preset.modelListing === 'ollama')
    return { kind: 'success', latencyMs, models: await listOllama(headers, input) };
  const listed = await listModels({
    endpoint: input.endpoint,
    listing: input.preset.modelListing,
    headers,
    signal: input.signal,
    readError: input.dialect.readError,
  });
  if (listed.kind === 'models') return { kind: 'success', latencyMs, models: listed.isComplete ? listed.models : null };
  // A health path that answered has said all that matters; a list beside it is a bonus.
  if (input.preset.healthPath !== null) return { kind: 'success', latencyMs, models: null };
  if (listed.kind === 'unreachable')
    return {
      kind: 'failure',
      latencyMs: elapsed(),
      failure: `unreachable${listed.code === null ? '' : ` (${listed.code})`}`,
    };
  if (listed.kind === 'unreadable')
    return { kind: 'failure', latencyMs: elapsed(), failure: `unreadable (${listed.reason})` };
  return judge(listed.status, listed.failure, elapsed());
}

function judge(status: number, failure: string, latencyMs: number): Exclude<ProbeResult, { kind: 'success' }> {
  if (failure === 'model_loading') return { kind: 'loading', latencyMs };
  const kind = status >= 500 ? 'failure' : 'refused';
  return { kind, latencyMs, failure: `HTTP ${status} ${failure}` };
}

type Asked = { kind: 'success' } | { kind: 'loading' } | { kind: 'failure' | 'refused'; failure: string };

async function askHealth(
  url: string,
  headers: Readonly<Record<string, string>>,
  { dialect, signal }: ProbeInput,
): Promise<Asked> {
  try {
    const { status, body } = await get(url, headers, maxHealthBytes, signal);
    if (status >= 200 && status < 300) return { kind: 'success' };
    if (isStarting(body)) return { kind: 'loading' };
    const failure = dialect.readError({ status, headers: {}, body }, Date.now());
    const { latencyMs: _unused, ...asked } = judge(status, failure.kind, 0);
    return asked;
  } catch (error) {
    return { kind: 'failure', failure: `unreachable (${signal.aborted ? 'aborted' : codeOf(error)})` };
  }
}

/**
 * Ollama's models, and the context that those which are loaded were given. What else it knows of a model takes a POST
 * for each: too much for a question that is asked again and again. null: no list came.
 */
async function listOllama(
  headers: Readonly<Record<string, string>>,
  { endpoint, signal }: ProbeInput,
): Promise<readonly ListedModel[] | null> {
  const ask = async (path: string): Promise<unknown> => {
    try {
      const { status, body } = await get(`${endpoint.replace(/\/+$/, '')}${path}`, headers, maxListBytes, signal);
      return status === 200 ? parseProviderJson(body) : null;
    } catch {
      return null; // It has said that it is well: a list beside it is a bonus.
    }
  };
  const page = readOllamaTags(await ask('/api/tags'));
  if (page === null) return null;
  const running = await ask('/api/ps');
  const loaded = running === null ? null : readOllamaLoaded(running);
  return page.models.map((model) => withOllamaDetails(model, {}, loaded));
}

/** What is beyond the bound is not read. */
async function get(
  url: string,
  headers: Readonly<Record<string, string>>,
  maxBytes: number,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: string }> {
  const response = await send(url, { method: 'GET', headers, signal });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBytes) break; // Leaving the loop destroys the body.
    chunks.push(chunk);
  }
  return { status: response.statusCode, body: Buffer.concat(chunks).toString('utf8') };
}

/** The system's own word for what happened, and nothing that could name an address or a secret. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^[A-Z][A-Z0-9_]{2,40}$/.test(code) ? code : 'no answer';
}

/** LocalAI's `/readyz` while it starts. */
function isStarting(body: string): boolean {
  try {
    return (parseProviderJson(body) as { status?: unknown } | null)?.status === 'starting';
  } catch {
    return false;
  }
}
