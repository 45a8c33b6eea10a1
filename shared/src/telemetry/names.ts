/** Names of spans and attributes. The GenAI conventions are still in development, so they live in one place. */
export const tracerName = 'waybill';

export const attribute = {
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  requestStream: 'gen_ai.request.stream',
  maxTokens: 'gen_ai.request.max_tokens',
  responseModel: 'gen_ai.response.model',
  responseId: 'gen_ai.response.id',
  finishReasons: 'gen_ai.response.finish_reasons',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  cacheReadTokens: 'gen_ai.usage.cache_read.input_tokens',
  cacheWriteTokens: 'gen_ai.usage.cache_write.input_tokens',
  reasoningTokens: 'gen_ai.usage.reasoning.output_tokens',
  errorType: 'error.type',
  serverAddress: 'server.address',
  httpMethod: 'http.request.method',
  httpRoute: 'http.route',
  httpStatus: 'http.response.status_code',
  messagingSystem: 'messaging.system',
  messagingOperation: 'messaging.operation.name',
  messagingDestination: 'messaging.destination.name',
  messagingId: 'messaging.message.id',
  jobId: 'waybill.job.id',
  attemptNumber: 'waybill.attempt.number',
  attemptOutcome: 'waybill.attempt.outcome',
  nextTarget: 'waybill.next.target',
  tenantId: 'waybill.tenant.id',
  costNanoUsd: 'waybill.cost.nano_usd',
  costBasis: 'waybill.cost.basis',
  webhookType: 'waybill.webhook.type',
} as const;

/** Our presets' ids in the vocabulary of `gen_ai.provider.name`; others are used as they are. */
const providerNames: Readonly<Record<string, string>> = {
  mistral: 'mistral_ai',
  'llama-cpp': 'llama_cpp',
  localai: 'local_ai',
  lightllm: 'light_llm',
  'lm-studio': 'lm_studio',
};
export const providerName = (id: string): string => providerNames[id] ?? id;
