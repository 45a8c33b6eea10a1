/**
 * What we know of models that the price package does not say: windows it lacks or rounds, the most they put out, and
 * what they cannot do.
 *
 * From the providers' pages, model lists and SDKs as of `catalogueDate`. Only what was read stands here: null is not
 * known, and an absent capability in `lacks` means that nobody found it missing.
 */
import type { Capability } from '../../chat/capabilities.ts';

export const catalogueDate = '2026-11-21';

/** Who makes the models: the price table's names, and `local` for weights that anyone may serve. */
export type Maker = 'openai' | 'anthropic' | 'google' | 'cohere' | 'groq' | 'mistral' | 'local';

export interface ModelEntry {
  readonly maker: Maker;
  /** Input and output together, in tokens; null: not known, or what the server gives it. */
  readonly contextWindow: number | null;
  readonly maxOutput: number | null;
  /** Capabilities it lacks beyond those of its dialect and its preset. */
  readonly lacks: readonly Capability[];
}

type Limits = readonly [contextWindow: number | null, maxOutput: number | null];

const entries = (maker: Maker, [contextWindow, maxOutput]: Limits, lacks: readonly Capability[], ids: string) =>
  Object.fromEntries(
    ids.split(' ').map((id): [string, ModelEntry] => [id, { maker, contextWindow, maxOutput, lacks }]),
  );

const million: Limits = [1_050_000, 128_000];
const claude5: Limits = [1_000_000, 128_000];
const gemini: Limits = [1_048_576, 65_536];

export const modelTable: Readonly<Record<string, ModelEntry>> = {
  ...entries('openai', [1_047_576, 32_768], ['audio_input'], 'gpt-4.1 gpt-4.1-mini gpt-4.1-nano'),
  // Logprobs need reasoning to be off, which these two cannot.
  ...entries('openai', million, ['audio_input', 'logprobs'], 'gpt-6-astra gpt-6.1-sol'),
  ...entries('openai', million, ['audio_input'], 'gpt-6.1-terra gpt-6-sol gpt-6-luna gpt-5.6-sol gpt-5.6-terra'),
  ...entries('openai', million, ['audio_input'], 'gpt-5.6-luna gpt-5.5 gpt-5.4'),
  ...entries('openai', [400_000, 128_000], ['audio_input'], 'gpt-5.4-mini gpt-5.4-nano'),

  // `tool_choice` of `any` or of a name answers 400.
  ...entries('anthropic', claude5, ['forced_tool'], 'claude-opus-5-5 claude-sonnet-5-5 claude-fable-5-1'),
  // Its limits and this refusal are those of 5.1, whose successor it is.
  ...entries('anthropic', claude5, ['forced_tool'], 'claude-fable-5-2'),
  ...entries('anthropic', claude5, [], 'claude-haiku-5-5'),
  ...entries('anthropic', [1_000_000, null], [], 'claude-sonnet-4-6 claude-opus-4-6'),
  ...entries('anthropic', [200_000, 64_000], [], 'claude-haiku-4-5'),

  ...entries('google', gemini, [], 'gemini-4-carbon gemini-4-argon gemini-4-hydrogen gemini-3.8-flash'),
  ...entries('google', gemini, [], 'gemini-3.5-flash-lite gemini-3.1-pro-preview'),
  ...entries('google', gemini, [], 'gemini-2.5-pro gemini-2.5-flash gemini-2.5-flash-lite'),

  ...entries('cohere', [128_000, 64_000], [], 'command-a-plus-05-2026'),
  ...entries('cohere', [256_000, 8_000], ['vision'], 'command-a-03-2025'),
  ...entries('cohere', [256_000, 32_000], ['vision'], 'command-a-reasoning-08-2025'),
  ...entries('cohere', [128_000, 4_000], ['vision'], 'command-r7b-12-2024'),

  ...entries('groq', [131_072, 65_536], ['vision'], 'openai/gpt-oss-120b openai/gpt-oss-20b'),
  ...entries('groq', [131_072, 40_960], ['vision'], 'qwen/qwen3-32b'),
  ...entries('groq', [131_072, 40_960], [], 'qwen/qwen3.8-27b'),
  ...entries('groq', [131_072, 32_768], ['vision'], 'llama-3.3-70b-versatile'),
  ...entries('groq', [131_072, 131_072], ['vision'], 'llama-3.1-8b-instant'),

  ...entries('mistral', [262_144, null], [], 'mistral-medium-3-5 mistral-large-2512 mistral-small-2603'),

  // How much context a local server gives a model is the server's choice, and less than the model was trained for.
  ...entries('local', [null, null], ['vision'], 'llama3.2 llama3.1 llama3.3 gpt-oss qwen3'),
};
