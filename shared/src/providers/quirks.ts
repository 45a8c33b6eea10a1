/**
 * How a server that speaks a dialect differs from its original: data of the presets, and of `quirks` in the
 * configuration for a server no preset knows.
 */
import { z } from 'zod';
import type { Capability } from '../chat/capabilities.ts';
import { strictObject } from '../domain/strict-object.ts';

const quirksSchema = strictObject({
  max_tokens_field: z.enum(['max_tokens', 'max_completion_tokens']),
  /** Under which role the instructions of a request go. */
  system_role: z.enum(['as_is', 'system', 'developer']),
  /** Accepts `stream_options: { include_usage: true }`. */
  stream_usage: z.boolean(),
  /** How structured output is asked for; `none`: it cannot. */
  json_mode: z.enum(['none', 'json_object', 'json_schema']),
  /** Can be made to call a tool (`tool_choice` of `required`, or of a name). */
  forced_tools: z.boolean(),
  parallel_tool_calls: z.boolean(),
  /** `data`: as data URIs alone; `url`: by address too. */
  image_input: z.enum(['none', 'data', 'url']),
  /** Under which part a file goes. `document_url`: Mistral's. */
  file_input: z.enum(['none', 'file', 'document_url']),
  /** How the sound of an `input_audio` part is written: an object with its format, or its base64 alone. */
  audio_input: z.enum(['none', 'object', 'base64']),
  /** `name` of messages. */
  message_names: z.boolean(),
  /** Wants the function's name beside the result of a tool. */
  tool_result_names: z.boolean(),
  seed_field: z.enum(['seed', 'random_seed', 'none']),
  /** How the reasoning effort is said. */
  reasoning_request: z.enum(['reasoning_effort', 'chat_template_kwargs', 'none']),
  /** Efforts it knows; others become the nearest, with a warning. null: any. */
  efforts: z
    .array(z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']))
    .min(1)
    .nullable(),
  /** Which reasoning of earlier turns it takes back. Parts go back to the target that made them, and to no other. */
  reasoning_replay: z.enum(['none', 'reasoning_content', 'reasoning_details']),
  /** How ids of tool calls must look: Mistral takes nine letters or digits and nothing else. */
  tool_call_ids: z.enum(['any', 'nine_alphanumeric']),
  /** How the length of an embedding is asked for. */
  dimensions_field: z.enum(['dimensions', 'output_dimension', 'none']),
  /** Chooses a server by itself, and must be told to choose none that would ignore a field. */
  require_parameters: z.boolean(),
  /** Whose rules for single models hold: what a reasoning model refuses, which of two surfaces it answers on. */
  vendor_rules: z.enum(['openai', 'none']),
  /** Canonical fields this server refuses or ignores: dropped, with a warning on the attempt. */
  drop: z.array(z.string().min(1).max(64)).max(40),
});

type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name;
type QuirksFile = z.infer<typeof quirksSchema>;
export type Quirks = { readonly [Name in keyof QuirksFile as Camel<Name>]: QuirksFile[Name] };

const toCamel = (name: string): string => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** As configured: only what differs. */
export const quirksFileSchema = quirksSchema
  .partial()
  .transform(
    (file): Partial<Quirks> => Object.fromEntries(Object.entries(file).map(([name, value]) => [toCamel(name), value])),
  );

/** A server that does all that OpenAI's Chat Completions describe. */
export const plainQuirks: Quirks = {
  maxTokensField: 'max_tokens',
  systemRole: 'as_is',
  streamUsage: true,
  jsonMode: 'json_schema',
  forcedTools: true,
  parallelToolCalls: true,
  imageInput: 'url',
  fileInput: 'file',
  audioInput: 'object',
  messageNames: true,
  toolResultNames: false,
  seedField: 'seed',
  reasoningRequest: 'reasoning_effort',
  efforts: null,
  reasoningReplay: 'none',
  toolCallIds: 'any',
  dimensionsField: 'dimensions',
  requireParameters: false,
  vendorRules: 'none',
  drop: [],
};

const capabilityOfField: Readonly<Record<string, Capability>> = {
  logprobs: 'logprobs',
  n: 'multiple_choices',
  tools: 'tools',
};

/** Capabilities that a server with these quirks does not have. */
export function lackedBy(quirks: Quirks): Capability[] {
  const json: Readonly<Record<Quirks['jsonMode'], readonly Capability[]>> = {
    none: ['json_object', 'json_schema'],
    json_object: ['json_schema'],
    json_schema: [],
  };
  return [
    ...json[quirks.jsonMode],
    ...quirks.drop.flatMap((field) => capabilityOfField[field] ?? []),
    ...(quirks.forcedTools ? [] : (['forced_tool'] as const)),
    ...(quirks.imageInput === 'none' ? (['vision'] as const) : []),
    ...(quirks.fileInput === 'none' ? (['file_input'] as const) : []),
    ...(quirks.audioInput === 'none' ? (['audio_input'] as const) : []),
  ];
}
