/**
 * What is known of models, dated.
 *
 * A small table on purpose: context windows and prices come from the price package, and configuration overrides
 * both. What nobody knows stays unknown: an unknown window or capability passes, an unknown price is `null`.
 */
import type { Capability } from '../chat/capabilities.ts';

export const catalogueDate = '2026-11-21';

/** The model a preset uses when neither configuration nor `<PROVIDER>_MODEL` names one; null: ask the server. */
export const defaultModels: Readonly<Record<string, string | null>> = {
  openai: 'gpt-4.1-mini',
  anthropic: 'claude-haiku-4-5',
  groq: 'llama-3.3-70b-versatile',
  mistral: 'mistral-small-2603',
  openrouter: 'openai/gpt-4.1-mini',
  ollama: 'llama3.2',
  'llama-cpp': null,
  localai: null,
  vllm: null,
  lightllm: null,
  'lm-studio': null,
};

export interface KnownModel {
  readonly contextWindow: number;
  /** Capabilities it lacks; those of its dialect are known there. */
  readonly lacks: readonly Capability[];
}

/** Context windows in tokens, input and output together. */
export const knownModels: Readonly<Record<string, KnownModel>> = {
  'gpt-4.1': { contextWindow: 1_047_576, lacks: [] },
  'gpt-4.1-mini': { contextWindow: 1_047_576, lacks: [] },
  'gpt-4.1-nano': { contextWindow: 1_047_576, lacks: [] },
  'claude-haiku-4-5': { contextWindow: 200_000, lacks: [] },
  'claude-haiku-5-5': { contextWindow: 1_000_000, lacks: [] },
  'claude-sonnet-5-5': { contextWindow: 1_000_000, lacks: ['forced_tool'] },
  'claude-opus-5-5': { contextWindow: 1_000_000, lacks: ['forced_tool'] },
  'llama-3.3-70b-versatile': { contextWindow: 131_072, lacks: ['vision'] },
  'mistral-small-2603': { contextWindow: 262_144, lacks: [] },
};
