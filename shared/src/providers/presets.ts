/**
 * Presets: what is known of a provider before anyone configures it.
 *
 * Order matters: it is the order of the zero-configuration chain, local servers first. A preset without a dialect
 * in this version is named at start and left out.
 */
import type { DialectName, Quirks } from './dialect.ts';

export interface Preset {
  readonly id: string;
  /** null: this version cannot speak to it yet. */
  readonly dialect: DialectName | null;
  readonly endpoint: string | null;
  /** Environment variables that may hold the credential, first wins. */
  readonly credentialVariables: readonly string[];
  readonly needsCredential: boolean;
  readonly isLocal: boolean;
  /** How many calls at once when the configuration does not say. */
  readonly concurrency: number;
  readonly quirks: Quirks;
  /** Its name in the price table; null: local, its tokens cost nothing. */
  readonly pricesAs: string | null;
  /** How a local server is recognised: a GET that only this kind of server answers with 200. */
  readonly probes: readonly { readonly endpoint: string; readonly path: string }[];
}

const plain: Quirks = { maxTokensField: 'max_tokens', drop: [], streamUsage: true };
const hints = ['store', 'metadata', 'prompt_cache_key', 'safety_identifier', 'verbosity'];

const preset = (id: string, more: Partial<Preset>): Preset => ({
  id,
  dialect: 'openai',
  endpoint: null,
  credentialVariables: [],
  needsCredential: true,
  isLocal: false,
  concurrency: 32,
  quirks: plain,
  pricesAs: id,
  probes: [],
  ...more,
});

const local = (id: string, endpoint: string, path: string, more: Partial<Preset> = {}): Preset =>
  preset(id, {
    endpoint,
    needsCredential: false,
    isLocal: true,
    concurrency: 1,
    pricesAs: null,
    quirks: { ...plain, drop: hints },
    probes: [{ endpoint, path }],
    ...more,
  });

export const presets: readonly Preset[] = [
  local('ollama', 'http://127.0.0.1:11434', '/api/version', {
    dialect: 'ollama',
    credentialVariables: ['OLLAMA_API_KEY'],
  }),
  local('llama-cpp', 'http://127.0.0.1:9931/v1', '/props', {
    credentialVariables: ['LLAMA_CPP_API_KEY'],
    probes: [
      { endpoint: 'http://127.0.0.1:9931/v1', path: '/props' },
      { endpoint: 'http://127.0.0.1:8080/v1', path: '/props' },
    ],
  }),
  local('localai', 'http://127.0.0.1:8080/v1', '/.well-known/localai.json', {
    credentialVariables: ['LOCALAI_API_KEY'],
  }),
  local('vllm', 'http://127.0.0.1:8000/v1', '/version', { credentialVariables: ['VLLM_API_KEY'], concurrency: 32 }),
  local('lightllm', 'http://127.0.0.1:8000/v1', '/token_load', {
    concurrency: 32,
    quirks: { ...plain, drop: [...hints, 'logit_bias'] },
  }),
  local('lm-studio', 'http://127.0.0.1:1234/v1', '/api/v0/models'),
  preset('openai', {
    endpoint: 'https://api.openai.com/v1',
    credentialVariables: ['OPENAI_API_KEY'],
    quirks: { ...plain, maxTokensField: 'max_completion_tokens' },
  }),
  preset('anthropic', {
    dialect: 'anthropic',
    endpoint: 'https://api.anthropic.com/v1',
    credentialVariables: ['ANTHROPIC_API_KEY'],
  }),
  preset('gemini', {
    dialect: null,
    endpoint: 'https://generativelanguage.googleapis.com/v1beta',
    credentialVariables: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
    pricesAs: 'google',
  }),
  preset('azure-openai', { dialect: null, credentialVariables: ['AZURE_OPENAI_API_KEY'], pricesAs: 'azure' }),
  preset('cohere', {
    dialect: null,
    endpoint: 'https://api.cohere.com',
    credentialVariables: ['COHERE_API_KEY', 'CO_API_KEY'],
  }),
  preset('groq', {
    endpoint: 'https://api.groq.com/openai/v1',
    credentialVariables: ['GROQ_API_KEY'],
    quirks: {
      ...plain,
      maxTokensField: 'max_completion_tokens',
      drop: [...hints, 'logprobs', 'top_logprobs', 'logit_bias', 'frequency_penalty', 'presence_penalty'],
    },
  }),
  preset('mistral', {
    endpoint: 'https://api.mistral.ai/v1',
    credentialVariables: ['MISTRAL_API_KEY'],
    quirks: {
      ...plain,
      streamUsage: false,
      drop: ['store', 'safety_identifier', 'verbosity', 'user', 'seed', 'logprobs', 'top_logprobs', 'logit_bias'],
    },
  }),
  preset('openrouter', { endpoint: 'https://openrouter.ai/api/v1', credentialVariables: ['OPENROUTER_API_KEY'] }),
  preset('openai-compatible', { needsCredential: false, pricesAs: null }),
];

const byId = new Map(presets.map((each) => [each.id, each]));
export const presetOf = (id: string): Preset | undefined => byId.get(id);
export const presetIds = presets.map((each) => each.id);
