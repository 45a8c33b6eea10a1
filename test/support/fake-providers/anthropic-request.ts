/** What `POST /messages` takes, by API version and by model. */
import {
  anything,
  between,
  closed,
  either,
  filled,
  flag,
  isRecord,
  type Json,
  list,
  listOf,
  matching,
  need,
  nothing,
  oneOf,
  type Rule,
  record,
  recordOf,
  tagged,
  text,
  whole,
} from './shape.ts';
import { type Asked, type Heard, type HeardPart, heard, num } from './wire.ts';

const cache: Readonly<Record<string, Rule>> = {
  'cache_control?': closed({ type: oneOf('ephemeral'), 'ttl?': oneOf('5m', '1h') }),
};
const textBlock = closed({
  type: anything,
  text: matching(/\S/),
  ...cache,
  'citations?': either(nothing, list(record, 0, 0)),
});
const imageBlock = closed({
  type: anything,
  source: tagged('type', {
    base64: closed({
      type: anything,
      media_type: oneOf('image/jpeg', 'image/png', 'image/gif', 'image/webp'),
      data: matching(/^[A-Za-z0-9+/]+=*$/),
    }),
    url: closed({ type: anything, url: matching(/^https:/) }),
  }),
  ...cache,
});
const documentBlock = closed({
  type: anything,
  source: tagged('type', {
    base64: closed({ type: anything, media_type: oneOf('application/pdf'), data: matching(/^[A-Za-z0-9+/]+=*$/) }),
    text: closed({ type: anything, media_type: oneOf('text/plain'), data: filled }),
    url: closed({ type: anything, url: filled }),
  }),
  'title?': either(nothing, text),
  'context?': text,
  ...cache,
});
const callId = matching(/^[a-zA-Z0-9_-]+$/);
const toolName = matching(/^[a-zA-Z0-9_-]{1,128}$/);

const userBlock = tagged('type', {
  text: textBlock,
  image: imageBlock,
  document: documentBlock,
  tool_result: closed({
    type: anything,
    tool_use_id: callId,
    'content?': either(text, list(tagged('type', { text: textBlock, image: imageBlock }), 1)),
    'is_error?': flag,
    ...cache,
  }),
});
const assistantBlock = tagged('type', {
  text: textBlock,
  tool_use: closed({ type: anything, id: callId, name: toolName, input: record, ...cache }),
  thinking: closed({ type: anything, thinking: text, signature: matching(/^sealed:/) }),
  redacted_thinking: closed({ type: anything, data: matching(/^sealed:/) }),
});

const message: Rule = tagged('role', {
  user: closed({ role: anything, content: either(matching(/\S/), list(userBlock, 1)) }),
  assistant: closed({ role: anything, content: either(matching(/\S/), list(assistantBlock, 1)) }),
  system: closed({ role: anything, content: either(matching(/\S/), list(textBlock, 1)) }),
});

const body: Rule = closed({
  model: filled,
  max_tokens: whole(1),
  messages: list(message, 1, 100_000),
  'system?': either(filled, list(tagged('type', { text: textBlock }), 1)),
  'temperature?': between(0, 1),
  'top_p?': between(0, 1),
  'top_k?': whole(),
  'stop_sequences?': list(matching(/\S/), 1),
  'stream?': flag,
  'tools?': list(
    closed({
      'type?': oneOf('custom'),
      name: toolName,
      'description?': text,
      input_schema: record,
      'strict?': flag,
      ...cache,
    }),
    1,
  ),
  'tool_choice?': tagged('type', {
    auto: closed({ type: anything, 'disable_parallel_tool_use?': flag }),
    any: closed({ type: anything, 'disable_parallel_tool_use?': flag }),
    tool: closed({ type: anything, name: filled, 'disable_parallel_tool_use?': flag }),
    none: closed({ type: anything }),
  }),
  'thinking?': tagged('type', {
    enabled: closed({ type: anything, budget_tokens: whole(1024), 'display?': oneOf('summarized', 'omitted') }),
    adaptive: closed({ type: anything, 'display?': oneOf('summarized', 'omitted') }),
    disabled: closed({ type: anything }),
    between_tools: closed({ type: anything, 'display?': oneOf('summarized', 'omitted') }),
  }),
  'output_config?': closed({
    'effort?': oneOf('low', 'medium', 'high', 'xhigh', 'max'),
    'format?': closed({ type: oneOf('json_schema'), schema: record }),
  }),
  'metadata?': closed({ 'user_id?': text }),
  'service_tier?': oneOf('auto', 'standard_only'),
  'speed?': oneOf('standard', 'fast'),
  ...cache,
});

const blocksOf = (each: Json): Json[] =>
  typeof each.content === 'string' ? [{ type: 'text', text: each.content }] : listOf(each.content);

/** Messages of one role in a row are one turn for this server. */
function turnsOf(messages: readonly Json[]): { role: string; blocks: Json[] }[] {
  const turns: { role: string; blocks: Json[] }[] = [];
  for (const each of messages) {
    const last = turns.at(-1);
    if (last && last.role === each.role) last.blocks.push(...blocksOf(each));
    else turns.push({ role: String(each.role), blocks: [...blocksOf(each)] });
  }
  return turns;
}

function checkTurns(messages: readonly Json[]): void {
  const turns = turnsOf(messages);
  need(turns[0]?.role === 'user', 'messages: first message must use the "user" role');
  need(turns.at(-1)?.role !== 'assistant', 'messages: this model does not support assistant message prefill');
  const ids = new Set<unknown>();
  for (const [index, { role, blocks }] of turns.entries()) {
    const calls = blocks.filter((each) => each.type === 'tool_use');
    for (const call of calls) need(!ids.has(call.id), `messages.${index}: tool_use ids must be unique`);
    for (const call of calls) ids.add(call.id);
    const next = turns[index + 1]?.blocks ?? [];
    const answers = next.slice(0, calls.length).map((each) => (each.type === 'tool_result' ? each.tool_use_id : null));
    need(
      calls.every((call) => answers.includes(call.id)),
      `messages.${index}: tool_use ids were found without tool_result blocks immediately after`,
    );
    const before = turns[index - 1]?.blocks.filter((each) => each.type === 'tool_use').map((each) => each.id) ?? [];
    for (const each of blocks.filter((block) => block.type === 'tool_result'))
      need(
        role === 'user' && before.includes(each.tool_use_id),
        `messages.${index}: unexpected tool_use_id in tool_result`,
      );
    const firstCall = blocks.findIndex((each) => each.type === 'tool_use');
    const lastThought = blocks.findLastIndex((each) => String(each.type).includes('thinking'));
    need(firstCall < 0 || lastThought < firstCall, `messages.${index}: thinking blocks come before their tool_use`);
    const thought = blocks.find((each) => String(each.type).includes('thinking'));
    need(thought === undefined || thought === blocks[0], `messages.${index}: thinking must come first`);
  }
}

/** `[4, 6]` of `claude-opus-4-6`, `[5, 0]` of `claude-opus-5`. */
export function ageOf(model: string): number {
  const found = /^claude-[a-z]+-(\d+)(?:[-.](\d{1,2}))?(?!\d)/.exec(model);
  return Number(found?.[1] ?? 99) + Number(found?.[2] ?? 0) / 10;
}

const refusedInSchemas = [
  'minimum',
  'maximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'not',
];

function checkSchema(schema: unknown, isName = false): void {
  if (Array.isArray(schema)) for (const each of schema) checkSchema(each);
  if (!isRecord(schema)) return;
  if (!isName) {
    const bad = refusedInSchemas.find((word) => word in schema);
    need(bad === undefined, `output_config.format.schema: '${bad}' is not supported`);
    need(
      schema.minItems === undefined || Number(schema.minItems) <= 1,
      'output_config.format.schema: minItems must be 0 or 1',
    );
    need(
      schema.type !== 'object' || schema.additionalProperties === false,
      'output_config.format.schema: additionalProperties must be false',
    );
  }
  for (const [name, each] of Object.entries(schema))
    checkSchema(each, !isName && (name === 'properties' || name === '$defs'));
}

function checkModel(given: Json, version: string): void {
  const model = String(given.model);
  const age = ageOf(model);
  const isOld = age <= 4.6;
  if (version === '2026-10-21')
    for (const name of ['temperature', 'top_p', 'top_k'])
      need(given[name] === undefined, `${name}: Extra inputs are not permitted`);
  if (!isOld) {
    need(given.temperature === undefined || given.temperature === 1, 'temperature is not supported by this model');
    need(given.top_p === undefined || Number(given.top_p) >= 0.99, 'top_p is not supported by this model');
    need(given.top_k === undefined, 'top_k is not supported by this model');
  }
  const thinking = recordOf(given.thinking);
  if (thinking.type === 'enabled') {
    need(isOld, 'thinking.type "enabled" is not supported by this model, use "adaptive"');
    need(
      Number(thinking.budget_tokens) < Number(given.max_tokens),
      'max_tokens must be greater than thinking.budget_tokens',
    );
    need(
      given.temperature === undefined || given.temperature === 1,
      'temperature may only be 1 when thinking is enabled',
    );
  }
  need(thinking.type !== 'adaptive' || age >= 4.6, 'adaptive thinking is not supported by this model');
  need(thinking.type !== 'disabled' || !/opus-5-5|fable/.test(model), 'thinking cannot be turned off on this model');
  need(recordOf(given.output_config).effort === undefined || age >= 4.6, 'effort is not supported by this model');
  const isForced = ['any', 'tool'].includes(String(recordOf(given.tool_choice).type));
  need(
    !isForced || !/(opus-5-5|sonnet-5-5|fable-5-1)/.test(model),
    'tool_choice: forcing a tool is not supported by this model',
  );
  need(!isForced || thinking.type !== 'enabled', 'Thinking may not be enabled when tool_choice forces tool use');
}

export function checkMessages({ headers, body: given }: Asked): void {
  const hasKey = headers['x-api-key'] !== undefined || /^Bearer \S+$/.test(headers.authorization ?? '');
  need(hasKey, 'x-api-key header is required', { status: 401, code: 'authentication_error' });
  const version = headers['anthropic-version'] ?? '';
  need(['2023-06-01', '2026-10-21'].includes(version), 'anthropic-version: header is required');
  need((headers['content-type'] ?? '').startsWith('application/json'), 'content-type must be application/json');
  body(given, '');
  checkTurns(listOf(given.messages).filter(({ role }) => role !== 'system'));
  checkModel(given, version);
  const tools = listOf(given.tools).map(({ name }) => name);
  need(given.tool_choice === undefined || tools.length > 0, 'tool_choice may only be specified while providing tools');
  const named = recordOf(given.tool_choice).name;
  need(named === undefined || tools.includes(named), `tool_choice: tool '${named}' not found in provided tools`);
  const marks = JSON.stringify(given).split('"cache_control"').length - 1;
  need(marks <= 4, `A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`);
  checkSchema(recordOf(recordOf(given.output_config).format).schema);
}

function hearBlock(who: 'user' | 'model', block: Json): HeardPart[] {
  if (block.type === 'text') return [{ who, text: String(block.text) }];
  if (block.type === 'image') {
    const source = recordOf(block.source);
    return [{ who: 'user', image: String(source.data ?? source.url) }];
  }
  if (block.type === 'tool_use')
    return [{ who: 'model', call: { id: String(block.id), name: String(block.name), arguments: block.input } }];
  if (block.type === 'tool_result') {
    const content =
      typeof block.content === 'string'
        ? block.content
        : listOf(block.content)
            .map((each) => each.text)
            .join('');
    return [{ who: 'result', id: String(block.tool_use_id), name: null, text: content }];
  }
  return block.type === 'document' ? [] : [{ who: 'model', bound: block }];
}

export function hearMessages({ body: given }: Asked): Heard {
  const system = typeof given.system === 'string' ? [{ text: given.system }] : listOf(given.system);
  const choice = recordOf(given.tool_choice);
  const format = recordOf(recordOf(given.output_config).format);
  return heard({
    model: String(given.model),
    parts: [
      ...system.map((each): HeardPart => ({ who: 'system', text: String(each.text) })),
      ...listOf(given.messages).flatMap((each): HeardPart[] => {
        if (each.role === 'system') return blocksOf(each).map((block) => ({ who: 'system', text: String(block.text) }));
        return blocksOf(each).flatMap((block) => hearBlock(each.role === 'user' ? 'user' : 'model', block));
      }),
    ],
    tools: listOf(given.tools).map(({ name, description, input_schema }) => ({
      name: String(name),
      description: (description as string | undefined) ?? null,
      schema: input_schema,
    })),
    toolUse:
      choice.type === 'tool'
        ? { name: String(choice.name) }
        : choice.type === 'any'
          ? 'required'
          : choice.type === 'none'
            ? 'none'
            : 'auto',
    parallel: choice.disable_parallel_tool_use !== true,
    format: format.type === 'json_schema' ? { schema: format.schema } : 'text',
    maxTokens: num(given.max_tokens),
    temperature: num(given.temperature),
    topP: num(given.top_p),
    stop: (given.stop_sequences as string[] | undefined) ?? [],
    effort: recordOf(given.output_config).effort ?? given.thinking ?? null,
  });
}
