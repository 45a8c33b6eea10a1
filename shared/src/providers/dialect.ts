/**
 * The seam to a provider: a dialect is pure. It writes requests and reads answers; `transport` does the I/O.
 *
 * One attempt is one HTTP request: nothing here retries, and nothing here waits. What was written decides how the
 * answer is read (OpenAI has two surfaces, renamed tools must be named back), so that a request comes with its reader.
 */
import type { Capability } from '../chat/capabilities.ts';
import type { ChatRequest } from '../chat/request.ts';
import type { Answer } from '../chat/response.ts';
import type { Failure } from '../domain/failure.ts';
import type { EmbeddingsRequest } from '../embeddings/request.ts';
import type { EmbeddingsAnswer } from '../embeddings/response.ts';
import type { Secret } from '../security/secret.ts';
import type { Quirks } from './quirks.ts';

export const dialectNames = ['openai', 'anthropic', 'gemini', 'azure-openai', 'cohere', 'ollama'] as const;
export type DialectName = (typeof dialectNames)[number];

/** Where a call goes, and how that server differs from others of its dialect. */
export interface Wire {
  /** The name the server knows: a model, or a deployment. */
  readonly model: string;
  readonly endpoint: string;
  readonly credential: Secret | null;
  /** `anthropic-version`, or Azure's `api-version`; null: the dialect's own default. */
  readonly apiVersion: string | null;
  readonly quirks: Quirks;
}

export interface CallInput<Request = ChatRequest> extends Wire {
  readonly request: Request;
  readonly stream: boolean;
  /** `provider/model`. Parts that are bound to an endpoint go back only to the target that made them. */
  readonly target: string;
  /** In tokens, as configured or read from the server; null: unknown. A server that loads on demand is given it. */
  readonly contextWindow: number | null;
  /** What the last answer said it needs to go on (`Answer.continuation`); null: from the beginning. */
  readonly continuation: unknown;
  /** When it is written: an error inside the answer may say how long to wait as an instant. */
  readonly nowMs: number;
}

export interface HttpRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly warnings: readonly string[];
}

/** `unsupported`: this target cannot do what the request asks, known before any byte is sent. */
export type Unsupported = { readonly kind: 'unsupported'; readonly feature: string };
export type HttpWritten = { readonly kind: 'request'; readonly http: HttpRequest };

export type ReadResult<A = Answer> =
  | { readonly kind: 'answer'; readonly answer: A }
  /** `partial`: what it said all the same; its usage is billed. */
  | { readonly kind: 'failure'; readonly failure: Failure; readonly partial?: A };

/** A piece of an answer as it streams in; what `Answer` holds in the end is the sum of them. */
export type StreamPiece =
  | { readonly kind: 'text' | 'reasoning' | 'refusal'; readonly text: string }
  /** `id` and `name` come with the first piece of a call. */
  | {
      readonly kind: 'tool_call';
      readonly index: number;
      readonly id: string | null;
      readonly name: string | null;
      readonly arguments: string;
    };

/** Reads a streamed answer piece by piece; `end` tells whether it was whole. */
export interface StreamReader<A = Answer> {
  push(text: string): void;
  end(): ReadResult<A>;
  /** What is known when the stream breaks: usage so far, for the bill. */
  partial(): A;
}

/** How the answer to one written request is read. */
export interface Reader<A = Answer> {
  readAnswer(body: unknown): ReadResult<A>;
  createStreamReader(onPiece: (piece: StreamPiece) => void): StreamReader<A>;
}

/** A request and the reader of its answer. */
export type WriteResult<A = Answer> =
  | { readonly kind: 'request'; readonly http: HttpRequest; readonly reader: Reader<A> }
  | Unsupported;

export interface ErrorResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Bounded, and never shown: it may echo a prompt or a key. */
  readonly body: string;
}

export interface EmbeddingsDialect {
  /** The most inputs of one request. */
  readonly maxInputs: number;
  write(input: CallInput<EmbeddingsRequest>): WriteResult<EmbeddingsAnswer>;
}

export interface Dialect {
  readonly name: DialectName;
  /** Capabilities no model of this dialect has. */
  readonly lacks: readonly Capability[];
  writeChat(input: CallInput): WriteResult;
  /** null: it has no embeddings. */
  readonly embeddings: EmbeddingsDialect | null;
  readError(response: ErrorResponse, nowMs: number): Failure;
}

/** Joins what was written to the reader of its answer. */
export const withReader = <A>(written: HttpWritten | Unsupported, reader: Reader<A>): WriteResult<A> =>
  written.kind === 'unsupported' ? written : { ...written, reader };

export const failure = (
  kind: Failure['kind'],
  message: string,
  more: Partial<Omit<Failure, 'kind' | 'message'>> = {},
): Failure => ({
  kind,
  message,
  httpStatus: null,
  retryAfterMs: null,
  ...more,
});
