/** The servers that speak OpenAI's Chat Completions, and how each differs from it. */
import { chatSurface } from './openai-chat.ts';
import type { ChatServer } from './openai-chat-request.ts';
import { embeddingsSurface } from './openai-embeddings.ts';
import { responsesSurface } from './openai-responses.ts';
import { filled, type Json, list, need, oneOf, record, text, whole } from './shape.ts';
import type { FakeProvider } from './wire.ts';

const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];
const overloaded = {
  error: { message: 'The server is overloaded', type: 'server_error', param: null, code: 'overloaded' },
};

export const openaiServer: ChatServer = {
  name: 'openai',
  auth: 'bearer',
  unknown: 'refused',
  formStatus: 400,
  lacks: [],
  fields: {},
  roles: ['system', 'developer', 'user', 'assistant', 'tool'],
  messageNames: true,
  callIds: /^.{1,40}$/,
  efforts,
  isReasoning: (model) => /^(o\d|gpt-([5-9]|\d\d))/.test(model) && !model.includes('-chat'),
  reasoningField: null,
  usageInStream: 'asked',
  callPieces: 'split',
  comment: null,
  before: [],
  after: [],
  more: () => ({ service_tier: 'default', system_fingerprint: 'fp_1' }),
  choiceMore: {},
  checkMore: () => undefined,
  midStreamError: overloaded,
};

const plain: ChatServer = {
  ...openaiServer,
  auth: 'none',
  unknown: 'ignored',
  callIds: /./,
  isReasoning: () => false,
  more: () => ({}),
};

const lacksHints = ['store', 'metadata', 'prompt_cache_key', 'safety_identifier', 'verbosity', 'service_tier'];

const groq: ChatServer = {
  ...openaiServer,
  name: 'groq',
  lacks: [...lacksHints, 'logprobs', 'top_logprobs', 'logit_bias', 'frequency_penalty', 'presence_penalty'],
  messageNames: false,
  callIds: /./,
  isReasoning: () => false,
  reasoningField: 'reasoning',
  usageInStream: 'x_groq',
  callPieces: 'whole',
  more: () => ({ x_groq: { id: 'req_1' } }),
  checkMore({ body }) {
    need(body.n === undefined || body.n === 1, "'n' : number must be at most 1");
    const isOss = String(body.model).includes('gpt-oss');
    const known = isOss ? ['low', 'medium', 'high'] : efforts;
    need(
      body.reasoning_effort === undefined || known.includes(String(body.reasoning_effort)),
      '`reasoning_effort` is not one of the model',
    );
  },
  midStreamError: { ...overloaded, x_groq: { id: 'req_1', error: 'over capacity' } },
};

const mistral: ChatServer = {
  ...openaiServer,
  name: 'mistral',
  formStatus: 422,
  lacks: [
    'max_completion_tokens',
    'seed',
    'logprobs',
    'top_logprobs',
    'logit_bias',
    'stream_options',
    'user',
    'safety_identifier',
    'store',
    'verbosity',
    'service_tier',
  ],
  fields: {
    'random_seed?': whole(-(2 ** 53)),
    'prompt_mode?': oneOf('reasoning'),
    'safe_prompt?': oneOf(true, false),
    'prediction?': record,
  },
  roles: ['system', 'user', 'assistant', 'tool'],
  messageNames: false,
  callIds: /^[A-Za-z0-9]{9}$/,
  efforts: ['none', 'high'],
  isReasoning: () => false,
  reasoningField: 'thinking_parts',
  usageInStream: 'always',
  callPieces: 'whole',
  more: () => ({}),
};

const openrouter: ChatServer = {
  ...plain,
  name: 'openrouter',
  auth: 'bearer',
  fields: {
    'provider?': record,
    'reasoning?': record,
    'models?': list(filled),
    'plugins?': list(record),
    'include?': list(text),
  },
  reasoningField: 'reasoning',
  usageInStream: 'always',
  comment: 'OPENROUTER PROCESSING',
  more: () => ({ provider: 'Somebody' }),
  midStreamError: {
    id: 'gen-1',
    error: { code: 503, message: 'Provider is overloaded', metadata: { error_type: 'provider_overloaded' } },
    choices: [{ index: 0, delta: { content: '' }, finish_reason: 'error' }],
  },
};

const local = (name: string, more: Partial<ChatServer> = {}): ChatServer => ({
  ...plain,
  name,
  lacks: lacksHints,
  ...more,
});

const servers: Readonly<Record<string, { readonly server: ChatServer; readonly root: string }>> = {
  openai: { server: openaiServer, root: '/v1' },
  groq: { server: groq, root: '/openai/v1' },
  mistral: { server: mistral, root: '/v1' },
  openrouter: { server: openrouter, root: '/api/v1' },
  localai: { server: local('localai', { callPieces: 'no_index' }), root: '/v1' },
  'llama-cpp': {
    server: local('llama-cpp', {
      reasoningField: 'reasoning_content',
      comment: '',
      more: () => ({ timings: { prompt_n: 1 } }),
    }),
    root: '/v1',
  },
  lightllm: {
    server: local('lightllm', {
      fields: { 'reasoning_effort?': oneOf('low', 'medium', 'high') },
      reasoningField: 'reasoning_content',
      checkMore: ({ body }) => need(body.logit_bias === undefined, 'logit_bias is not supported'),
    }),
    root: '/v1',
  },
  vllm: { server: local('vllm', { reasoningField: 'reasoning' }), root: '/v1' },
  'lm-studio': {
    server: local('lm-studio', { reasoningField: 'reasoning_content', callPieces: 'repeats_id' }),
    root: '/v1',
  },
  'openai-compatible': { server: { ...plain, name: 'openai-compatible' }, root: '/v1' },
};

/** Each server's own form of an error. */
const errorForms: Readonly<Record<string, FakeProvider['error']>> = {
  openrouter: (status, message) => ({ error: { code: status, message, metadata: { error_type: 'invalid_request' } } }),
  mistral: (status, message, code, param) =>
    status === 422
      ? { detail: [{ type: 'extra_forbidden', loc: ['body', param ?? ''], msg: message }] }
      : { object: 'error', message, type: 'invalid_request_error', param, code, raw_status_code: status },
  lightllm: (status, message) => ({ error: { message, type: 'BadRequestError', code: status } }),
  vllm: (status, message, _code, param) => ({ error: { message, type: 'BadRequestError', param, code: status } }),
  'llama-cpp': (status, message) => ({ error: { code: status, message, type: 'invalid_request_error' } }),
};

export const openaiError: FakeProvider['error'] = (_status, message, code, param): Json => ({
  error: { message, type: 'invalid_request_error', param, code },
});

export const openaiProviders: Readonly<Record<string, FakeProvider>> = Object.fromEntries(
  Object.entries(servers).map(([name, { server, root }]) => [
    name,
    {
      root,
      error: errorForms[name] ?? openaiError,
      requestIdHeader: ['openai', 'groq'].includes(name) ? 'x-request-id' : null,
      surfaces: [
        chatSurface(server),
        ...(name === 'openai' ? [responsesSurface] : []),
        ...(['groq', 'openrouter'].includes(name) ? [] : [embeddingsSurface(name, server)]),
      ],
    },
  ]),
);
