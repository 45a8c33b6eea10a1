/**
 * The canonical request: OpenAI's Chat Completions, plus the fields a lossless tool loop needs.
 *
 * Strict: a field this version cannot carry to a provider is refused by name, so that what is accepted is obeyed.
 */
import { z } from 'zod';
import { notSupportedYet, strictObject } from '../domain/strict-object.ts';

/**
 * Marks the end of a prefix that the provider should keep; at most four are written per request.
 * @see https://platform.openai.com/docs/guides/prompt-caching
 */
const cacheBreakpoint = strictObject({
  mode: z.literal('explicit'),
  /** How long at least; a provider takes the nearest of its own that is not shorter. */
  ttl: z.enum(['5m', '30m', '1h', '12h']).optional(),
});
const marked = { prompt_cache_breakpoint: cacheBreakpoint.optional() };

// One character class each: a pattern with groups needs memory for every group of a long text.
const base64 = /^[A-Za-z0-9+/]+=*$/;
const dataUri = /^data:[\w.+-]+\/[\w.+-]+;base64,[A-Za-z0-9+/]+=*$/;

const textPart = strictObject({ type: z.literal('text'), text: z.string(), ...marked });
const imagePart = strictObject({
  type: z.literal('image_url'),
  image_url: strictObject({ url: z.string().min(1), detail: z.enum(['auto', 'low', 'high', 'original']).optional() }),
  ...marked,
});
const audioPart = strictObject({
  type: z.literal('input_audio'),
  input_audio: strictObject({ data: z.string().regex(base64, 'expected base64'), format: z.enum(['wav', 'mp3']) }),
  ...marked,
});
const filePart = strictObject({
  type: z.literal('file'),
  file: strictObject({
    /** A data URI: `data:application/pdf;base64,…`. */
    file_data: z.string().regex(dataUri, 'expected a data URI such as "data:application/pdf;base64,…"'),
    filename: z.string().min(1).max(255).optional(),
    file_id: notSupportedYet('file_id'),
  }),
  ...marked,
});
const refusalPart = strictObject({ type: z.literal('refusal'), refusal: z.string() });

const contentPart = z.discriminatedUnion('type', [textPart, imagePart, audioPart, filePart], {
  error: (issue) =>
    `content part of type ${JSON.stringify((issue.input as { type?: unknown })?.type ?? null)} is not supported yet; use "text", "image_url", "input_audio" or "file"`,
});

const name = z.string().min(1).max(64).optional();

const toolCall = strictObject({
  id: z.string().min(1).max(256),
  type: z.literal('function'),
  function: strictObject({ name: z.string().min(1).max(128), arguments: z.string() }),
});

/** @property origin the target that made it @property part as its dialect wrote it; nobody else reads it */
const reasoningDetail = strictObject({ origin: z.string().min(1).max(256), part: z.unknown() });

const message = z.discriminatedUnion('role', [
  strictObject({
    role: z.enum(['system', 'developer']),
    content: z.union([z.string(), z.array(textPart).min(1)]),
    name,
  }),
  strictObject({ role: z.literal('user'), content: z.union([z.string(), z.array(contentPart).min(1)]), name }),
  strictObject({
    role: z.literal('assistant'),
    content: z
      .union([z.string(), z.array(z.discriminatedUnion('type', [textPart, refusalPart])).min(1), z.null()])
      .optional(),
    refusal: z.string().nullish(),
    tool_calls: z.array(toolCall).min(1).optional(),
    /** Extension: the model's reasoning as text. */
    reasoning_content: z.string().nullish(),
    /** Extension: opaque parts of the model's reasoning. They go back only to the target that made them. */
    reasoning_details: z.array(reasoningDetail).max(1_000).nullish(),
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

const allowedTools = strictObject({
  mode: z.enum(['auto', 'required']),
  tools: z
    .array(strictObject({ type: z.literal('function'), function: strictObject({ name: z.string().min(1) }) }))
    .min(1)
    .max(128),
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

const chatFields = {
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
      strictObject({ type: z.literal('allowed_tools'), allowed_tools: allowedTools }),
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
  /** The pieces of the answer are told on the job's stream as they come. */
  stream: z.boolean().nullish(),
  stream_options: strictObject({
    include_usage: z.boolean().nullish(),
    include_obfuscation: notSupportedYet('include_obfuscation', (value) => value === false),
  }).nullish(),
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
};

export const chatRequestSchema = strictObject(chatFields).superRefine((request, context) => {
  for (const { path, message, code } of streamFaults(request))
    context.addIssue({ code: 'custom', path: [path], message, params: { code } });
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

/** Further choices and log probabilities are not put together from streams. */
function streamFaults(request: { [name in 'stream' | 'stream_options' | 'n' | 'logprobs']?: unknown }) {
  const isStreamed = request.stream === true;
  const withStream = { code: 'not_supported_yet', message: 'not supported yet together with "stream"; remove one' };
  return [
    ...(isStreamed && Number(request.n ?? 1) > 1 ? [{ path: 'n', ...withStream }] : []),
    ...(isStreamed && request.logprobs === true ? [{ path: 'logprobs', ...withStream }] : []),
    ...(!isStreamed && request.stream_options
      ? [{ path: 'stream_options', code: 'invalid_value', message: 'only allowed when "stream" is true' }]
      : []),
  ];
}

/** What a model's `defaults` and a target's `params` may set: everything but the conversation itself. */
export const chatParamsSchema = strictObject({
  max_completion_tokens: chatFields.max_completion_tokens,
  max_tokens: chatFields.max_tokens,
  temperature: chatFields.temperature,
  top_p: chatFields.top_p,
  stop: chatFields.stop,
  seed: chatFields.seed,
  frequency_penalty: chatFields.frequency_penalty,
  presence_penalty: chatFields.presence_penalty,
  parallel_tool_calls: chatFields.parallel_tool_calls,
  reasoning_effort: chatFields.reasoning_effort,
  verbosity: chatFields.verbosity,
  prompt_cache_key: chatFields.prompt_cache_key,
});
export type ChatParams = z.infer<typeof chatParamsSchema>;

/** A model's `defaults` fill in what the request leaves open; a target's `params` win over the request. */
export function withParams(request: ChatRequest, defaults: ChatParams, params: ChatParams): ChatRequest {
  // The two names of one bound: a default of one must not stand beside a request's other.
  const hasLimit = outputLimitOf(request) !== null;
  const setsLimit = outputLimitOf(params) !== null;
  const { max_completion_tokens: _long, max_tokens: _short, ...open } = defaults;
  const { max_completion_tokens: _theirLong, max_tokens: _theirShort, ...rest } = request;
  return {
    ...(hasLimit || setsLimit ? open : defaults),
    ...dropUnset(setsLimit ? rest : request),
    ...params,
  } as ChatRequest;
}

const dropUnset = (request: object) =>
  Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined && value !== null));

export type ChatRequest = z.infer<typeof chatRequestSchema>;
export type ChatMessage = ChatRequest['messages'][number];

/** The bound on the answer's length, whichever field the caller used. */
export const outputLimitOf = (request: Pick<ChatRequest, 'max_completion_tokens' | 'max_tokens'>): number | null =>
  request.max_completion_tokens ?? request.max_tokens ?? null;

/** The text of a message's content, parts joined. */
export function textOf(content: ChatMessage['content']): string {
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('');
}
