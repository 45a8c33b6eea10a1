/** What a request asks of a target, whichever endpoint it is for. */
import { type Capability, requiredCapabilities } from '../chat/capabilities.ts';
import { type ChatRequest, outputLimitOf } from '../chat/request.ts';
import { estimateInputTokens } from '../chat/tokens.ts';
import { type EmbeddingsRequest, estimateEmbeddingTokens } from '../embeddings/request.ts';

/** A job's request with the endpoint it is for. */
export type JobBody =
  | { readonly endpoint: '/v1/chat/completions'; readonly request: ChatRequest }
  | { readonly endpoint: '/v1/embeddings'; readonly request: EmbeddingsRequest };

export interface RequestNeeds {
  readonly capabilities: readonly Capability[];
  /** Input, and the bound of the output where there is one. */
  readonly estimatedTokens: number;
  /** What must fit into a context window at once. */
  readonly windowTokens: number;
}

export function requestNeeds(body: JobBody): RequestNeeds {
  if (body.endpoint === '/v1/embeddings') {
    // Every input has the window for itself.
    return {
      capabilities: ['embeddings'],
      estimatedTokens: Math.ceil(estimateEmbeddingTokens(body.request)),
      windowTokens: 0,
    };
  }
  const estimatedTokens = Math.ceil(estimateInputTokens(body.request)) + (outputLimitOf(body.request) ?? 0);
  return { capabilities: requiredCapabilities(body.request), estimatedTokens, windowTokens: estimatedTokens };
}

/** The request of a stored job; what was stored was valid once. */
export const storedBody = (endpoint: string, request: string): JobBody =>
  ({ endpoint, request: JSON.parse(request) as unknown }) as JobBody;
