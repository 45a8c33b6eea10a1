/** Errors of servers of one's own: LocalAI, llama.cpp, LightLLM, vLLM. */
import type { ErrorRow } from '../../error-body.ts';

export const localaiRows: readonly ErrorRow[] = [
  { code: ['model_loading'], kind: 'model_loading' },
  { type: ['model_loading'], kind: 'model_loading' },
];

export const llamaCppRows: readonly ErrorRow[] = [
  { status: [503], text: /loading model|model is loading/, kind: 'model_loading' },
  { code: ['exceed_context_size_error'], kind: 'context_length' },
  { type: ['exceed_context_size_error'], kind: 'context_length' },
  { code: ['not_supported_error'], kind: 'unsupported_feature' },
  { type: ['not_supported_error'], kind: 'unsupported_feature' },
];

export const lightllmRows: readonly ErrorRow[] = [
  // An internal failure, or an endpoint that its run mode does not serve.
  { status: [417], kind: 'server_error' },
  { type: ['ratelimiterror'], kind: 'rate_limit' },
];

export const vllmRows: readonly ErrorRow[] = [
  { status: [400], text: /maximum context length/, kind: 'context_length' },
  // The server was started without a parser of tool calls.
  { status: [400], text: /--enable-auto-tool-choice|--tool-call-parser/, kind: 'unsupported_feature' },
];
