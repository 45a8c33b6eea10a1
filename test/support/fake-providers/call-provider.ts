/** One call of a preset over the real path: written by its dialect, sent by the transport, read by its reader. */
import { requiredCapabilities } from '@waybill/shared/chat/capabilities.ts';
import { chatRequestSchema } from '@waybill/shared/chat/request.ts';
import type { Answer } from '@waybill/shared/chat/response.ts';
import { embeddingsRequestSchema } from '@waybill/shared/embeddings/request.ts';
import type { EmbeddingsAnswer } from '@waybill/shared/embeddings/response.ts';
import type { CallInput, HttpRequest, StreamPiece, WriteResult } from '@waybill/shared/providers/dialect.ts';
import { dialectOf } from '@waybill/shared/providers/dialects.ts';
import { type Preset, presetOf } from '@waybill/shared/providers/presets.ts';
import { lackedBy } from '@waybill/shared/providers/quirks.ts';
import type { CallResult, Timeouts, Transport } from '@waybill/shared/providers/transport.ts';
import { Secret } from '@waybill/shared/security/secret.ts';

export const models: Readonly<Record<string, string>> = {
  openai: 'gpt-4.1-mini',
  anthropic: 'claude-haiku-4-5',
  gemini: 'gemini-2.5-flash',
  'azure-openai': 'my-deployment',
  cohere: 'command-a-03-2025',
  groq: 'openai/gpt-oss-20b',
  openrouter: 'meta-llama/llama-4-scout',
  mistral: 'mistral-small-latest',
  ollama: 'llama3.2',
};
export const modelOf = (preset: string): string => models[preset] ?? 'local-model';

export const timeouts: Timeouts = { connectMs: 2_000, firstByteMs: 10_000, idleMs: 10_000, totalMs: 20_000 };

export interface CallChange {
  readonly model?: string;
  readonly stream?: boolean;
  readonly apiVersion?: string | null;
  readonly timeouts?: Timeouts;
  readonly target?: string;
  readonly continuation?: unknown;
}

export type Outcome<A = Answer> =
  /** Known before any byte is sent. */
  | { readonly kind: 'cannot'; readonly why: string }
  | {
      readonly kind: 'called';
      readonly result: CallResult<A>;
      readonly http: HttpRequest;
      readonly pieces: readonly StreamPiece[];
      /** Of the request and of the answer. */
      readonly warnings: readonly string[];
    };

export function presetNamed(id: string): Preset {
  const preset = presetOf(id);
  if (!preset) throw new Error(`Cannot call: no preset is named "${id}"`);
  return preset;
}

function inputOf<Request>(id: string, endpoint: string, request: Request, change: CallChange): CallInput<Request> {
  const preset = presetNamed(id);
  const model = change.model ?? modelOf(id);
  return {
    request,
    model,
    endpoint,
    credential: preset.needsCredential ? new Secret('sk-fake-1') : null,
    apiVersion: change.apiVersion === undefined ? preset.apiVersion : change.apiVersion,
    quirks: preset.quirks,
    stream: change.stream ?? false,
    target: change.target ?? `${id}/${model}`,
    contextWindow: null,
    continuation: change.continuation ?? null,
    nowMs: Date.parse('2026-11-21T10:00:00Z'),
  };
}

/** What a chat request becomes, without sending it; or why it never would be. */
export function writeChat(id: string, endpoint: string, request: object, change: CallChange = {}): WriteResult {
  const { lacks, quirks, dialect: name } = presetNamed(id);
  const dialect = dialectOf(name);
  const parsed = chatRequestSchema.parse({ model: 'm', ...request });
  const lacking = [...lacks, ...dialect.lacks, ...lackedBy(quirks)];
  const missing = requiredCapabilities(parsed).filter((each) => lacking.includes(each));
  if (missing.length > 0) return { kind: 'unsupported', feature: missing.join(', ') };
  return dialect.writeChat(inputOf(id, endpoint, parsed, change));
}

export function writeEmbeddings(
  id: string,
  endpoint: string,
  request: object,
  change: CallChange = {},
): WriteResult<EmbeddingsAnswer> {
  const preset = presetNamed(id);
  const dialect = dialectOf(preset.dialect);
  if (preset.lacks.includes('embeddings') || dialect.embeddings === null)
    return { kind: 'unsupported', feature: 'embeddings' };
  return dialect.embeddings.write(
    inputOf(id, endpoint, embeddingsRequestSchema.parse({ model: 'm', ...request }), change),
  );
}

async function send<A extends Answer | EmbeddingsAnswer>(
  transport: Transport,
  id: string,
  written: WriteResult<A>,
  change: CallChange,
): Promise<Outcome<A>> {
  if (written.kind === 'unsupported') return { kind: 'cannot', why: written.feature };
  const pieces: StreamPiece[] = [];
  const result = await transport.call(
    written.http,
    { reader: written.reader, readError: dialectOf(presetNamed(id).dialect).readError },
    {
      stream: change.stream ?? false,
      timeouts: change.timeouts ?? timeouts,
      signal: new AbortController().signal,
      onPiece: (piece) => void pieces.push(piece),
    },
  );
  const answered = result.kind === 'answer' ? result.answer.warnings : [];
  return { kind: 'called', result, http: written.http, pieces, warnings: [...written.http.warnings, ...answered] };
}

export const callChat = (
  transport: Transport,
  id: string,
  endpoint: string,
  request: object,
  change: CallChange = {},
) => send(transport, id, writeChat(id, endpoint, request, change), change);

export const callEmbeddings = (
  transport: Transport,
  id: string,
  endpoint: string,
  request: object,
  change: CallChange = {},
) => send(transport, id, writeEmbeddings(id, endpoint, request, change), change);
