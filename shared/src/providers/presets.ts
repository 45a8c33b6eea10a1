/**
 * Presets: what is known of a provider before anyone configures it.
 *
 * Order matters: it is the order of the zero-configuration chain, local servers first. The rest of what differs is data
 * too: quirks, how models are listed, where health is asked.
 */
import type { Capability } from '../chat/capabilities.ts';
import type { DialectName } from './dialect.ts';
import { plainQuirks, type Quirks } from './quirks.ts';

/** In which form a server lists its models. */
export type ModelListing = 'openai' | 'anthropic' | 'gemini' | 'cohere' | 'ollama' | 'none';

export interface Preset {
  readonly id: string;
  readonly dialect: DialectName;
  readonly endpoint: string | null;
  /** Environment variables that may hold the credential, first wins. */
  readonly credentialVariables: readonly string[];
  readonly needsCredential: boolean;
  readonly isLocal: boolean;
  /** How many calls at once when the configuration does not say. */
  readonly concurrency: number;
  readonly apiVersion: string | null;
  readonly quirks: Quirks;
  /** Capabilities no model of it has. */
  readonly lacks: readonly Capability[];
  readonly modelListing: ModelListing;
  /** Path from the server's root that answers 200 when it can serve, and bills nothing; null: its list of models is asked. */
  readonly healthPath: string | null;
  /** Its name in the price table; null: local, its tokens cost nothing. */
  readonly pricesAs: string | null;
  /** How a local server is recognised: a GET that only this kind of server answers with 200. */
  readonly probes: readonly { readonly endpoint: string; readonly path: string }[];
}

const hints = ['store', 'metadata', 'prompt_cache_key', 'safety_identifier', 'verbosity'];

/** Templates of open models know `system`, and few know `developer`; files are nobody's there. */
const localQuirks: Quirks = { ...plainQuirks, systemRole: 'system', fileInput: 'none', drop: hints };

/** OpenAI itself, and Azure, which serves its models by its rules. */
const openaiQuirks: Quirks = { ...plainQuirks, maxTokensField: 'max_completion_tokens', vendorRules: 'openai' };

const preset = (id: string, more: Partial<Preset>): Preset => ({
  id,
  dialect: 'openai',
  endpoint: null,
  credentialVariables: [],
  needsCredential: true,
  isLocal: false,
  concurrency: 32,
  apiVersion: null,
  quirks: plainQuirks,
  lacks: [],
  modelListing: 'openai',
  healthPath: null,
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
    quirks: localQuirks,
    probes: [{ endpoint, path }],
    ...more,
  });

const servers: readonly Preset[] = [
  local('ollama', 'http://127.0.0.1:11434', '/api/version', {
    dialect: 'ollama',
    quirks: { ...plainQuirks, drop: hints },
    credentialVariables: ['OLLAMA_API_KEY'],
    modelListing: 'ollama',
    healthPath: '/api/version',
  }),
  local('llama-cpp', 'http://127.0.0.1:9931/v1', '/props', {
    credentialVariables: ['LLAMA_CPP_API_KEY'],
    healthPath: '/health',
    probes: [
      { endpoint: 'http://127.0.0.1:9931/v1', path: '/props' },
      { endpoint: 'http://127.0.0.1:8080/v1', path: '/props' },
    ],
  }),
  local('localai', 'http://127.0.0.1:8080/v1', '/.well-known/localai.json', {
    credentialVariables: ['LOCALAI_API_KEY'],
    healthPath: '/readyz',
  }),
  local('vllm', 'http://127.0.0.1:8000/v1', '/version', {
    credentialVariables: ['VLLM_API_KEY'],
    concurrency: 32,
    healthPath: '/health',
  }),
  local('lightllm', 'http://127.0.0.1:8000/v1', '/token_load', {
    concurrency: 32,
    healthPath: '/health',
    quirks: {
      ...localQuirks,
      audioInput: 'none',
      efforts: ['low', 'medium', 'high'],
      drop: [...hints, 'logit_bias'],
    },
  }),
  local('lm-studio', 'http://127.0.0.1:1234/v1', '/api/v0/models', {
    quirks: { ...localQuirks, imageInput: 'data', audioInput: 'none' },
  }),
];

const hosted: readonly Preset[] = [
  preset('openai', {
    endpoint: 'https://api.openai.com/v1',
    credentialVariables: ['OPENAI_API_KEY'],
    quirks: openaiQuirks,
  }),
  preset('anthropic', {
    dialect: 'anthropic',
    endpoint: 'https://api.anthropic.com/v1',
    credentialVariables: ['ANTHROPIC_API_KEY'],
    modelListing: 'anthropic',
  }),
  preset('gemini', {
    dialect: 'gemini',
    endpoint: 'https://generativelanguage.googleapis.com/v1beta',
    credentialVariables: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
    modelListing: 'gemini',
    pricesAs: 'google',
  }),
  preset('azure-openai', {
    dialect: 'azure-openai',
    credentialVariables: ['AZURE_OPENAI_API_KEY'],
    quirks: openaiQuirks,
    // Its list names models, not the deployments that can be called.
    modelListing: 'none',
    pricesAs: 'azure',
  }),
  preset('cohere', {
    dialect: 'cohere',
    endpoint: 'https://api.cohere.com',
    credentialVariables: ['COHERE_API_KEY', 'CO_API_KEY'],
    modelListing: 'cohere',
  }),
  preset('groq', {
    endpoint: 'https://api.groq.com/openai/v1',
    credentialVariables: ['GROQ_API_KEY'],
    lacks: ['multiple_choices', 'file_input', 'audio_input', 'embeddings'],
    quirks: {
      ...plainQuirks,
      maxTokensField: 'max_completion_tokens',
      messageNames: false,
      fileInput: 'none',
      audioInput: 'none',
      efforts: ['none', 'low', 'medium', 'high'],
      drop: [...hints, 'logprobs', 'top_logprobs', 'logit_bias', 'frequency_penalty', 'presence_penalty'],
    },
  }),
  preset('mistral', {
    endpoint: 'https://api.mistral.ai/v1',
    credentialVariables: ['MISTRAL_API_KEY'],
    quirks: {
      ...plainQuirks,
      systemRole: 'system',
      streamUsage: false,
      fileInput: 'document_url',
      audioInput: 'base64',
      // Every object is closed there: an unknown key is refused, and messages have no name.
      messageNames: false,
      toolResultNames: true,
      seedField: 'random_seed',
      efforts: ['none', 'high'],
      dimensionsField: 'output_dimension',
      toolCallIds: 'nine_alphanumeric',
      drop: ['store', 'safety_identifier', 'verbosity', 'user', 'logprobs', 'top_logprobs', 'logit_bias'],
    },
  }),
  preset('openrouter', {
    endpoint: 'https://openrouter.ai/api/v1',
    credentialVariables: ['OPENROUTER_API_KEY'],
    // The list of models needs no credential and so says nothing of ours.
    healthPath: '/api/v1/key',
    lacks: ['embeddings'],
    quirks: { ...plainQuirks, reasoningReplay: 'reasoning_details', requireParameters: true },
  }),
  preset('openai-compatible', {
    needsCredential: false,
    pricesAs: null,
    quirks: { ...plainQuirks, systemRole: 'system' },
  }),
];

export const presets: readonly Preset[] = [...servers, ...hosted];

const byId = new Map(presets.map((each) => [each.id, each]));

export const presetOf = (id: string): Preset | undefined => byId.get(id);
export const presetIds = presets.map((each) => each.id);
