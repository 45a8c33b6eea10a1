/**
 * The seam to a provider: a dialect is pure. It writes requests and reads answers; `transport` does the I/O.
 *
 * One attempt is one HTTP request: nothing here retries, and nothing here waits.
 */
import type { Capability } from '../chat/capabilities.ts';
import type { ChatRequest } from '../chat/request.ts';
import type { Answer } from '../chat/response.ts';
import type { Failure } from '../domain/failure.ts';
import type { Secret } from '../security/secret.ts';

export type DialectName = 'openai' | 'anthropic' | 'ollama';

/** How a server that speaks a dialect differs from its original; data of the presets. */
export interface Quirks {
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens';
  /** Canonical fields this server refuses or ignores: dropped, with a warning on the attempt. */
  readonly drop: readonly string[];
  /** Accepts `stream_options: { include_usage: true }`. */
  readonly streamUsage: boolean;
}

export interface CallInput {
  readonly request: ChatRequest;
  readonly model: string;
  readonly endpoint: string;
  readonly credential: Secret | null;
  readonly quirks: Quirks;
  readonly stream: boolean;
}

export interface HttpRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly warnings: readonly string[];
}

/** `unsupported`: this target cannot do what the request asks, known before any byte is sent. */
export type WriteResult =
  | { readonly kind: 'request'; readonly http: HttpRequest }
  | { readonly kind: 'unsupported'; readonly feature: string };

export type ReadResult =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'failure'; readonly failure: Failure };

/** Reads a streamed answer piece by piece; `end` tells whether it was whole. */
export interface StreamReader {
  push(text: string): void;
  end(): ReadResult;
  /** What is known when the stream breaks: usage so far, for the bill. */
  partial(): Answer;
}

export interface ErrorResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Bounded, and never shown: it may echo a prompt or a key. */
  readonly body: string;
}

export interface Dialect {
  readonly name: DialectName;
  /** Capabilities no model of this dialect has. */
  readonly lacks: readonly Capability[];
  writeRequest(input: CallInput): WriteResult;
  readAnswer(body: unknown): ReadResult;
  createStreamReader(): StreamReader;
  readError(response: ErrorResponse, nowMs: number): Failure;
}

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
