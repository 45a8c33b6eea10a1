/** `POST /responses`: a flat list of items in, a list of items out, and events that carry their own names. */
import { checkStrictSchema } from './openai-chat-request.ts';
import {
  anything,
  argumentsOf,
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
import { type Asked, base64Image, cutText, type HeardPart, heard, num, type Said, type Surface, sse } from './wire.ts';

const inputPart: Rule = tagged('type', {
  input_text: closed({ type: anything, text: filled, 'prompt_cache_breakpoint?': record }),
  input_image: closed({
    type: anything,
    image_url: matching(/^(https?:\/\/|data:image\/)/),
    'detail?': oneOf('auto', 'low', 'high', 'original'),
    'prompt_cache_breakpoint?': record,
  }),
  input_file: closed({
    type: anything,
    'file_data?': matching(/^data:/),
    'filename?': filled,
    'prompt_cache_breakpoint?': record,
  }),
});
const outputPart: Rule = tagged('type', {
  output_text: closed({ type: anything, text: filled, 'annotations?': list(record) }),
  refusal: closed({ type: anything, refusal: filled }),
});

const message: Rule = (value, at) => {
  const { role } = recordOf(value);
  const part = role === 'assistant' ? outputPart : inputPart;
  closed({
    'type?': oneOf('message'),
    role: oneOf('user', 'system', 'developer', 'assistant'),
    content: either(text, list(part, 1)),
    'id?': filled,
    'status?': oneOf('completed', 'incomplete'),
    'phase?': filled,
  })(value, at);
};

const item: Rule = (value, at) => {
  if (recordOf(value).type === undefined || recordOf(value).type === 'message') return message(value, at);
  tagged('type', {
    function_call: closed({
      type: anything,
      call_id: filled,
      name: matching(/^[a-zA-Z0-9_-]{1,64}$/),
      arguments: text,
      'id?': matching(/^fc_/),
      'status?': oneOf('completed'),
    }),
    function_call_output: closed({
      type: anything,
      call_id: filled,
      output: either(text, list(inputPart, 1)),
      'id?': filled,
      'status?': filled,
    }),
    reasoning: closed({
      type: anything,
      id: matching(/^rs_/),
      summary: list(closed({ type: oneOf('summary_text'), text })),
      'content?': either(nothing, list(record)),
      'encrypted_content?': either(nothing, filled),
      'status?': either(nothing, filled),
    }),
  })(value, at);
};

const body: Rule = closed({
  model: filled,
  input: either(filled, list(item, 1)),
  'instructions?': text,
  'max_output_tokens?': whole(16),
  'temperature?': between(0, 2),
  'top_p?': between(0, 1),
  'tools?': list(
    closed({
      type: oneOf('function'),
      name: matching(/^[a-zA-Z0-9_-]{1,64}$/),
      'description?': text,
      parameters: either(nothing, record),
      strict: either(nothing, flag),
    }),
    1,
    128,
  ),
  'tool_choice?': either(
    oneOf('none', 'auto', 'required'),
    tagged('type', {
      function: closed({ type: anything, name: filled }),
      allowed_tools: closed({ type: anything, mode: oneOf('auto', 'required'), tools: list(record, 1) }),
    }),
  ),
  'parallel_tool_calls?': flag,
  'text?': closed({
    'format?': tagged('type', {
      text: closed({ type: anything }),
      json_object: closed({ type: anything }),
      json_schema: closed({
        type: anything,
        name: filled,
        schema: record,
        'description?': text,
        'strict?': either(nothing, flag),
      }),
    }),
    'verbosity?': oneOf('low', 'medium', 'high'),
  }),
  'reasoning?': closed({
    'effort?': oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'),
    'summary?': oneOf('auto', 'concise', 'detailed'),
  }),
  'include?': list(oneOf('reasoning.encrypted_content', 'message.output_text.logprobs')),
  'store?': flag,
  'stream?': flag,
  'stream_options?': closed({ 'include_obfuscation?': flag }),
  'metadata?': record,
  'user?': text,
  'safety_identifier?': text,
  'prompt_cache_key?': text,
  'top_logprobs?': whole(0, 20),
  'service_tier?': oneOf('auto', 'default', 'flex', 'priority'),
});

function check({ headers, body: given }: Asked): void {
  need(/^Bearer \S+$/.test(headers.authorization ?? ''), 'Incorrect API key provided', {
    status: 401,
    code: 'invalid_api_key',
  });
  body(given, '');
  const items = listOf(given.input);
  const called = new Set<unknown>();
  const open = new Set<unknown>();
  for (const [index, each] of items.entries()) {
    if (each.type === 'function_call') {
      called.add(each.call_id);
      open.add(each.call_id);
    }
    if (each.type === 'function_call_output') {
      need(called.has(each.call_id), `No tool call found for function call output with call_id ${each.call_id}.`);
      open.delete(each.call_id);
    }
    if (each.type === 'reasoning') {
      need(given.store !== false || typeof each.encrypted_content === 'string', `Item '${each.id}' was not stored`, {
        status: 404,
      });
      need(String(each.encrypted_content).startsWith('sealed:'), 'The encrypted content could not be verified.', {
        code: 'invalid_encrypted_content',
      });
      const next = items[index + 1];
      need(
        next !== undefined && next.role !== 'user',
        `Item '${each.id}' of type 'reasoning' was provided without its required following item.`,
      );
    }
  }
  need(open.size === 0, 'No tool output found for function call.');
  need(given.tool_choice === undefined || listOf(given.tools).length > 0, `'tool_choice' is only allowed with 'tools'`);
  for (const tool of listOf(given.tools)) if (tool.strict === true) checkStrictSchema(tool.parameters, 'tools');
  const format = recordOf(recordOf(given.text).format);
  if (format.strict === true) checkStrictSchema(format.schema, 'text.format.schema');
  if (format.type === 'json_object')
    need(/json/i.test(JSON.stringify(given.input) + given.instructions), `input must contain the word 'json'`);
  const isReasoning = /^(o\d|gpt-([5-9]|\d\d))/.test(String(given.model));
  if (isReasoning && recordOf(given.reasoning).effort !== 'none')
    for (const name of ['temperature', 'top_p', 'top_logprobs'])
      need(given[name] === undefined, `Unsupported parameter: '${name}'`, {
        code: 'unsupported_parameter',
        param: name,
      });
}

function hearItem(each: Json): HeardPart[] {
  if (each.type === 'function_call')
    return [
      {
        who: 'model',
        call: { id: String(each.call_id), name: String(each.name), arguments: argumentsOf(each.arguments) },
      },
    ];
  if (each.type === 'function_call_output') {
    const output =
      typeof each.output === 'string'
        ? each.output
        : listOf(each.output)
            .map((part) => part.text)
            .join('');
    return [{ who: 'result', id: String(each.call_id), name: null, text: output }];
  }
  if (each.type === 'reasoning') return [{ who: 'model', bound: each }];
  const who = each.role === 'assistant' ? 'model' : each.role === 'user' ? 'user' : 'system';
  const parts = typeof each.content === 'string' ? [{ text: each.content }] : listOf(each.content);
  return parts.map(
    (part): HeardPart =>
      part.type === 'input_image'
        ? { who: 'user', image: base64Image(String(part.image_url)) }
        : { who, text: String(part.text ?? part.refusal) },
  );
}

function hear({ body: given }: Asked) {
  const format = recordOf(recordOf(given.text).format);
  const instructions: HeardPart[] =
    typeof given.instructions === 'string' ? [{ who: 'system', text: given.instructions }] : [];
  const input: HeardPart[] =
    typeof given.input === 'string' ? [{ who: 'user', text: given.input }] : listOf(given.input).flatMap(hearItem);
  return heard({
    model: String(given.model),
    parts: [...instructions, ...input],
    tools: listOf(given.tools).map(({ name, description, parameters }) => ({
      name: String(name),
      description: (description as string | undefined) ?? null,
      schema: parameters,
    })),
    toolUse: isRecord(given.tool_choice)
      ? { name: String(given.tool_choice.name) }
      : ((given.tool_choice as 'auto') ?? 'auto'),
    parallel: given.parallel_tool_calls !== false,
    format:
      format.type === 'json_schema'
        ? { schema: format.schema }
        : format.type === 'json_object'
          ? 'json_object'
          : 'text',
    maxTokens: num(given.max_output_tokens),
    temperature: num(given.temperature),
    topP: num(given.top_p),
    effort: recordOf(given.reasoning).effort ?? null,
  });
}

function outputOf(said: Said): Json[] {
  const content =
    said.refusal !== null
      ? [{ type: 'refusal', refusal: said.refusal }]
      : said.text === ''
        ? []
        : [{ type: 'output_text', text: said.text, annotations: [], logprobs: [] }];
  return [
    ...(said.reasoning === ''
      ? []
      : [
          {
            id: 'rs_1',
            type: 'reasoning',
            summary: [{ type: 'summary_text', text: said.reasoning }],
            encrypted_content: `sealed:${said.reasoning}`,
          },
        ]),
    ...(content.length === 0
      ? []
      : [{ id: 'msg_1', type: 'message', status: 'completed', role: 'assistant', content }]),
    ...said.calls.map((call, index) => ({
      id: `fc_${index}`,
      type: 'function_call',
      status: 'completed',
      call_id: call.id,
      name: call.name,
      arguments: JSON.stringify(call.arguments),
    })),
  ];
}

const reasons = { length: 'max_output_tokens', content_filter: 'content_filter' } as const;

const answer = (said: Said, { body: given }: Asked): Json => ({
  id: 'resp_1',
  object: 'response',
  created_at: 1_790_000_000,
  status: said.finish === 'stop' ? 'completed' : 'incomplete',
  error: null,
  incomplete_details: said.finish === 'stop' ? null : { reason: reasons[said.finish] },
  model: `${given.model}-2026-01-01`,
  output: outputOf(said),
  usage: said.usage && {
    input_tokens: said.usage.input,
    input_tokens_details: { cached_tokens: said.usage.cacheRead ?? 0 },
    output_tokens: said.usage.output,
    output_tokens_details: { reasoning_tokens: said.usage.reasoning ?? 0 },
    total_tokens: said.usage.input + said.usage.output,
  },
});

/** The parts of an item: each begins, comes in pieces, and is told once more whole. */
function itemEvents(each: Json, output_index: number): Json[] {
  const base = { output_index, item_id: each.id };
  const events: Json[] = [];
  if (each.type === 'reasoning') {
    const part = listOf(each.summary)[0] ?? {};
    const at = { ...base, summary_index: 0 };
    const name = 'response.reasoning_summary';
    events.push({ type: `${name}_part.added`, ...at, part: { ...part, text: '' } });
    for (const delta of cutText(String(part.text), 9)) events.push({ type: `${name}_text.delta`, ...at, delta });
    events.push({ type: `${name}_text.done`, ...at, text: part.text }, { type: `${name}_part.done`, ...at, part });
  }
  if (each.type === 'message') {
    const part = listOf(each.content)[0] ?? {};
    const at = { ...base, content_index: 0 };
    const [kind, field] = part.type === 'refusal' ? ['refusal', 'refusal'] : ['output_text', 'text'];
    const all = String(part[field]);
    events.push({ type: 'response.content_part.added', ...at, part: { ...part, [field]: '' } });
    for (const delta of cutText(all)) events.push({ type: `response.${kind}.delta`, ...at, delta, logprobs: [] });
    events.push({ type: `response.${kind}.done`, ...at, [field]: all, logprobs: [] });
    events.push({ type: 'response.content_part.done', ...at, part });
  }
  if (each.type === 'function_call') {
    const name = 'response.function_call_arguments';
    for (const delta of cutText(String(each.arguments), 7)) events.push({ type: `${name}.delta`, ...base, delta });
    events.push({ type: `${name}.done`, ...base, arguments: each.arguments, name: each.name });
  }
  const empty: Json =
    each.type === 'function_call' ? { arguments: '' } : each.type === 'message' ? { content: [] } : { summary: [] };
  return [
    { type: 'response.output_item.added', output_index, item: { ...each, ...empty, status: 'in_progress' } },
    ...events,
    { type: 'response.output_item.done', output_index, item: each },
  ];
}

function frames(said: Said, asked: Asked): string[] {
  const response = answer(said, asked);
  const begun = { ...response, status: 'in_progress', output: [], usage: null, incomplete_details: null };
  const events: Json[] = [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
    ...(response.output as Json[]).flatMap(itemEvents),
    { type: said.finish === 'stop' ? 'response.completed' : 'response.incomplete', response },
  ];
  return events.map((event, sequence_number) => sse({ ...event, sequence_number }, String(event.type)));
}

export const responsesSurface: Surface = {
  path: /^\/responses$/,
  check,
  hear,
  isStreamed: ({ body: given }) => given.stream === true,
  whole: answer,
  frames,
  streamType: 'text/event-stream; charset=utf-8',
  midStreamError: sse(
    { type: 'error', code: 'server_error', message: 'The server had an error', param: null, sequence_number: 9 },
    'error',
  ),
};
