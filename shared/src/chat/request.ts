/**
 * The canonical request: OpenAI's Chat Completions, plus the fields a lossless tool loop needs.
 *
 * Strict: a field this version cannot carry to a provider is refused by name, so that what is accepted is obeyed.
 */
import { z } from 'zod';
import { notSupportedYet, strictObject } from '../domain/strict-object.ts';

const textPart = strictObject({ type: z.literal('text'), text: z.string() });
const imagePart = strictObject({
  type: z.literal('image_url'),
  image_url: strictObject({ url: z.string().min(1), detail: z.enum(['auto', 'low', 'high', 'original']).optional() }),
});
/** Parts of the canonical format that no dialect here can carry. */
const laterPart = (type: string) =>
  z.looseObject({ type: z.literal(type) }).transform((_, context) => {
    context.addIssue({
      code: 'custom',
      message: `content part of type "${type}" is not supported yet; use "text" or "image_url"`,
      params: { code: 'not_supported_yet' },
    });
    return z.NEVER;
  });
const contentPart = z.discriminatedUnion('type', [textPart, imagePart, laterPart('input_audio'), laterPart('file')], {
  error: (issue) =>
    `content part of type ${JSON.stringify((issue.input as { type?: unknown })?.type ?? null)} is not supported yet; use "text" or "image_url"`,
});
const name = z.string().min(1).max(64).optional();

const toolCall = strictObject({
  id: z.string().min(1).max(256),
  type: z.literal('function'),
  function: strictObject({ name: z.string().min(1).max(128), arguments: z.string() }),
});

const message = z.discriminatedUnion('role', [
  strictObject({
    role: z.enum(['system', 'developer']),
    content: z.union([z.string(), z.array(textPart).min(1)]),
    name,
  }),
  strictObject({ role: z.literal('user'), content: z.union([z.string(), z.array(contentPart).min(1)]), name }),
  strictObject({
    role: z.literal('assistant'),
    content: z.union([z.string(), z.array(textPart).min(1), z.null()]).optional(),
    refusal: z.string().nullish(),
    tool_calls: z.array(toolCall).min(1).optional(),
    /** Extension: the model's reasoning, and opaque parts bound to the endpoint that made them. */
    reasoning_content: z.string().nullish(),
    reasoning_details: z.array(z.unknown()).nullish(),
    name,
  }),
  strictObject({
    role: z.literal('tool'),
    tool_call_id: z.string().min(1),
    content: z.union([z.string(), z.array(textPart).min(1)]),
  }),
]);

const tool = strictObject({
  type: z.literal('function'),
  function: strictObject({
    name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'a tool name has 1 to 64 of A-Z a-z 0-9 _ -'),
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
    strict: z.boolean().nullish(),
  }),
});

const responseFormat = z.discriminatedUnion('type', [
  strictObject({ type: z.literal('text') }),
  strictObject({ type: z.literal('json_object') }),
  strictObject({
    type: z.literal('json_schema'),
    json_schema: strictObject({
      name: z.string().min(1).max(64),
      description: z.string().optional(),
      schema: z.record(z.string(), z.unknown()),
      strict: z.boolean().nullish(),
    }),
  }),
]);

const isEmptyText = (content: unknown): boolean =>
  content === undefined ||
  content === null ||
  (typeof content === 'string' && content.trim() === '') ||
  (Array.isArray(content) &&
    content.every(
      (part) => (part as { type: string; text?: string }).type === 'text' && !(part as { text: string }).text.trim(),
    ));

export const chatRequestSchema = strictObject({
  model: z.string().min(1).max(256),
  messages: z
    .array(message)
    .max(10_000)
    .refine((messages) => messages.length > 0, {
      message: 'there is nothing to send: messages is empty',
      params: { code: 'empty_input' },
    }),
  max_completion_tokens: z.int().min(1).max(1_000_000).nullish(),
  max_tokens: z.int().min(1).max(1_000_000).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  n: z.int().min(1).max(8).nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(4)]).nullish(),
  seed: z.int().nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  logit_bias: z.record(z.string(), z.number().min(-100).max(100)).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  tools: z.array(tool).max(128).optional(),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      strictObject({ type: z.literal('function'), function: strictObject({ name: z.string().min(1) }) }),
    ])
    .optional(),
  parallel_tool_calls: z.boolean().optional(),
  response_format: responseFormat.optional(),
  reasoning_effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).nullish(),
  verbosity: z.enum(['low', 'medium', 'high']).nullish(),
  user: z.string().max(512).nullish(),
  safety_identifier: z.string().max(128).nullish(),
  prompt_cache_key: z.string().max(512).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  store: z.boolean().nullish(),
  stream: notSupportedYet('stream', (value) => value === false),
  stream_options: notSupportedYet('stream_options'),
  service_tier: notSupportedYet('service_tier', (value) => value === 'auto' || value === 'default'),
  modalities: notSupportedYet(
    'modalities',
    (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text',
  ),
  audio: notSupportedYet('audio'),
  moderation: notSupportedYet('moderation'),
  prompt_cache_options: notSupportedYet('prompt_cache_options'),
  prompt_cache_retention: notSupportedYet('prompt_cache_retention'),
  prediction: notSupportedYet('prediction'),
  web_search_options: notSupportedYet('web_search_options'),
}).superRefine((request, context) => {
  const spoken = request.messages.filter((each) => each.role === 'user' || each.role === 'tool');
  if (spoken.length > 0 && spoken.every((each) => isEmptyText(each.content))) {
    context.addIssue({
      code: 'custom',
      path: ['messages'],
      message: 'there is nothing to send: every message is empty',
      params: { code: 'empty_input' },
    });
  }
});

export type ChatRequest = z.infer<typeof chatRequestSchema>;
export type ChatMessage = ChatRequest['messages'][number];

/** The bound on the answer's length, whichever field the caller used. */
export const outputLimitOf = (request: ChatRequest): number | null =>
  request.max_completion_tokens ?? request.max_tokens ?? null;

/** The text of a message's content, parts joined. */
export function textOf(content: ChatMessage['content']): string {
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('');
}
