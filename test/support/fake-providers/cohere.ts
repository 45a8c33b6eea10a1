/** Cohere's API of version 2: `POST /v2/chat` and `POST /v2/embed`. */
import {
  anything,
  argumentsOf,
  between,
  closed,
  either,
  filled,
  flag,
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
import {
  type Asked,
  base64Image,
  cutText,
  type FakeProvider,
  type Heard,
  type HeardPart,
  heard,
  num,
  type Said,
  type Surface,
  sse,
  vectorOf,
} from './wire.ts';

const toolName = matching(/^[A-Za-z_][A-Za-z0-9_]*$/);
const textPart = closed({ type: anything, text: filled });
const spoken = either(text, list(tagged('type', { text: textPart }), 1));

const message: Rule = tagged('role', {
  system: closed({ role: anything, content: spoken }),
  user: closed({
    role: anything,
    content: either(
      text,
      list(
        tagged('type', {
          text: textPart,
          image_url: closed({
            type: anything,
            image_url: closed({ url: matching(/^(https?:|data:image\/)/), 'detail?': oneOf('auto', 'low', 'high') }),
          }),
        }),
        1,
      ),
    ),
  }),
  assistant: closed({
    role: anything,
    'content?': either(
      filled,
      list(tagged('type', { text: textPart, thinking: closed({ type: anything, thinking: text }) }), 1),
    ),
    'tool_calls?': list(
      closed({ id: filled, type: oneOf('function'), function: closed({ name: toolName, arguments: text }) }),
      1,
    ),
    'tool_plan?': text,
    'citations?': list(record),
  }),
  tool: closed({
    role: anything,
    tool_call_id: filled,
    content: either(
      text,
      list(
        tagged('type', {
          text: textPart,
          document: closed({ type: anything, document: closed({ data: record, 'id?': filled }) }),
        }),
        1,
      ),
    ),
  }),
});

const body: Rule = closed({
  model: filled,
  messages: list(message, 1),
  'stream?': flag,
  'tools?': list(
    closed({ type: oneOf('function'), function: closed({ name: toolName, 'description?': text, parameters: record }) }),
    1,
  ),
  'strict_tools?': flag,
  'tool_choice?': oneOf('REQUIRED', 'NONE'),
  'documents?': list(anything),
  'citation_options?': record,
  'response_format?': tagged('type', {
    text: closed({ type: anything }),
    json_object: closed({ type: anything, 'json_schema?': record }),
  }),
  'safety_mode?': oneOf('CONTEXTUAL', 'STRICT', 'OFF'),
  'max_tokens?': whole(1),
  'stop_sequences?': list(filled, 1, 5),
  'temperature?': between(0, 1),
  'seed?': whole(),
  'frequency_penalty?': between(0, 1),
  'presence_penalty?': between(0, 1),
  'k?': whole(0, 500),
  'p?': between(0.01, 0.99),
  'logprobs?': flag,
  'thinking?': closed({ type: oneOf('enabled', 'disabled'), 'token_budget?': whole(1) }),
  'priority?': whole(0, 999),
});

function checkTurns(messages: readonly Json[]): void {
  let open = new Set<unknown>();
  for (const each of messages) {
    if (each.role === 'tool') {
      need(open.delete(each.tool_call_id), 'invalid request: tool message without its tool call');
      continue;
    }
    need(open.size === 0, 'invalid request: all tool calls must be answered before the next message');
    open = new Set(listOf(each.tool_calls).map(({ id }) => id));
    if (each.role === 'assistant')
      need(
        open.size > 0 || each.content !== undefined,
        'invalid request: an assistant message must have content or tool calls',
      );
  }
  need(open.size === 0, 'invalid request: tool calls without results');
  need(
    ['user', 'tool', 'system'].includes(String(messages.at(-1)?.role)),
    'invalid request: the last message is not of the user',
  );
}

function check({ headers, body: given }: Asked): void {
  need(/^Bearer \S+$/.test(headers.authorization ?? ''), 'no api key supplied', { status: 401 });
  body(given, '');
  checkTurns(listOf(given.messages));
  const tools = listOf(given.tools);
  need(given.tool_choice === undefined || tools.length > 0, 'invalid request: tool_choice needs tools');
  need(given.strict_tools === undefined || tools.length > 0, 'invalid request: strict_tools needs tools');
  const format = recordOf(given.response_format).type;
  need(
    format === undefined || format === 'text' || (tools.length === 0 && given.documents === undefined),
    'invalid request: response_format is not supported with tools or documents',
  );
}

function hearMessage(each: Json): HeardPart[] {
  const parts = typeof each.content === 'string' ? [{ type: 'text', text: each.content }] : listOf(each.content);
  if (each.role === 'tool') {
    const said = parts.map((part) => part.text ?? JSON.stringify(recordOf(part.document).data)).join('');
    return [{ who: 'result', id: String(each.tool_call_id), name: null, text: said }];
  }
  const who = each.role === 'assistant' ? 'model' : each.role === 'user' ? 'user' : 'system';
  return [
    ...parts.map((part): HeardPart => {
      if (part.type === 'image_url') return { who: 'user', image: base64Image(String(recordOf(part.image_url).url)) };
      return part.type === 'thinking' ? { who: 'model', bound: part } : { who, text: String(part.text) };
    }),
    ...listOf(each.tool_calls).map((call): HeardPart => {
      const { name, arguments: given } = recordOf(call.function);
      return { who: 'model', call: { id: String(call.id), name: String(name), arguments: argumentsOf(given) } };
    }),
  ];
}

function hear({ body: given }: Asked): Heard {
  const format = recordOf(given.response_format);
  return heard({
    model: String(given.model),
    parts: listOf(given.messages).flatMap(hearMessage),
    tools: listOf(given.tools).map((each) => {
      const { name, description, parameters } = recordOf(each.function);
      return { name: String(name), description: (description as string | undefined) ?? null, schema: parameters };
    }),
    toolUse: given.tool_choice === 'REQUIRED' ? 'required' : given.tool_choice === 'NONE' ? 'none' : 'auto',
    format:
      format.type !== 'json_object'
        ? 'text'
        : format.json_schema === undefined
          ? 'json_object'
          : { schema: format.json_schema },
    maxTokens: num(given.max_tokens),
    temperature: num(given.temperature),
    topP: num(given.p),
    stop: (given.stop_sequences as string[] | undefined) ?? [],
    seed: num(given.seed),
    effort: given.thinking ?? null,
  });
}

const usageOf = ({ usage }: Said): Json =>
  usage === null
    ? {}
    : {
        usage: {
          billed_units: { input_tokens: usage.input - 4, output_tokens: usage.output },
          tokens: { input_tokens: usage.input, output_tokens: usage.output },
          ...(usage.cacheRead === undefined ? {} : { cached_tokens: usage.cacheRead }),
        },
      };

function finishOf(said: Said): string {
  if (said.oddFinish) return 'A_REASON_OF_TOMORROW';
  if (said.finish === 'length') return 'MAX_TOKENS';
  return said.calls.length > 0 ? 'TOOL_CALL' : 'COMPLETE';
}

const callsOf = (said: Said): Json[] =>
  said.calls.map(({ id, name, arguments: given }) => ({
    id,
    type: 'function',
    function: { name, arguments: JSON.stringify(given) },
  }));

const answer = (said: Said): Json => ({
  id: 'c14c80c3-18eb-4519-9460-6c92edd8cfb4',
  finish_reason: finishOf(said),
  message: {
    role: 'assistant',
    ...(said.calls.length === 0
      ? {}
      : { tool_plan: said.reasoning || 'I will use a tool.', tool_calls: callsOf(said) }),
    ...(said.text === '' && said.reasoning === ''
      ? {}
      : {
          content: [
            ...(said.reasoning === '' ? [] : [{ type: 'thinking', thinking: said.reasoning }]),
            ...(said.text === '' ? [] : [{ type: 'text', text: said.text }]),
          ],
        }),
  },
  ...usageOf(said),
});

const event = (data: Json): string => sse(data, String(data.type));

function contentEvents(kind: 'text' | 'thinking', all: string, index: number): Json[] {
  const inside = (content: Json): Json => ({ delta: { message: { content } } });
  if (all === '') return [];
  return [
    { type: 'content-start', index, ...inside({ type: kind, [kind]: '' }) },
    ...cutText(all).map((piece) => ({ type: 'content-delta', index, ...inside({ [kind]: piece }) })),
    { type: 'content-end', index },
  ];
}

const callEvents = (call: Json, index: number): Json[] => {
  const inside = (tool_calls: Json): Json => ({ index, delta: { message: { tool_calls } } });
  const made = recordOf(call.function);
  return [
    { type: 'tool-call-start', ...inside({ ...call, function: { name: made.name, arguments: '' } }) },
    ...cutText(String(made.arguments), 7).map((piece) => ({
      type: 'tool-call-delta',
      ...inside({ function: { arguments: piece } }),
    })),
    { type: 'tool-call-end', index },
  ];
};

function frames(said: Said): string[] {
  const plan = said.calls.length === 0 ? [] : cutText('I will use a tool.');
  const events: Json[] = [
    {
      type: 'message-start',
      id: 'c14c80c3',
      delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } },
    },
    ...contentEvents('thinking', said.reasoning, 0),
    ...plan.map((tool_plan) => ({ type: 'tool-plan-delta', delta: { message: { tool_plan } } })),
    ...contentEvents('text', said.text, said.reasoning === '' ? 0 : 1),
    ...callsOf(said).flatMap(callEvents),
  ];
  const end = event({
    type: 'message-end',
    id: 'c14c80c3',
    delta: { finish_reason: finishOf(said), ...usageOf(said) },
  });
  return [...events.map(event), `${end}${sse('[DONE]')}`];
}

const chat: Surface = {
  path: /^\/v2\/chat$/,
  check,
  hear,
  isStreamed: ({ body: given }) => given.stream === true,
  whole: answer,
  frames,
  streamType: 'text/event-stream',
  midStreamError: event({
    type: 'message-end',
    delta: { finish_reason: 'ERROR', error: 'the server is overloaded', usage: null },
  }),
};

const embedBody: Rule = closed({
  model: filled,
  'texts?': list(filled, 1, 96),
  'inputs?': list(record, 1, 96),
  input_type: oneOf('search_document', 'search_query', 'classification', 'clustering', 'image'),
  'embedding_types?': list(oneOf('float', 'int8', 'base64')),
  'output_dimension?': oneOf(256, 512, 1024, 1536),
  'max_tokens?': whole(1),
  'truncate?': oneOf('NONE', 'START', 'END'),
  'priority?': either(nothing, whole(0, 999)),
});

const embed: Surface = {
  path: /^\/v2\/embed$/,
  check({ headers, body: given }) {
    need(/^Bearer \S+$/.test(headers.authorization ?? ''), 'no api key supplied', { status: 401 });
    embedBody(given, '');
    need(given.texts !== undefined, 'invalid request: at least one of texts, images or inputs must be provided');
  },
  hear: ({ body: given }) =>
    heard({
      model: String(given.model),
      parts: (given.texts as string[]).map((each) => ({ who: 'user', text: each })),
    }),
  isStreamed: () => false,
  whole: (_said, { body: given }) => {
    const texts = given.texts as string[];
    const vectors = texts.map((each) => vectorOf(each, num(given.output_dimension) ?? 3));
    return {
      id: 'da6e531f',
      response_type: 'embeddings_by_type',
      embeddings: { float: vectors },
      texts,
      meta: { api_version: { version: '2' }, billed_units: { input_tokens: texts.length * 3 } },
    };
  },
  frames: () => [],
  streamType: 'application/json',
  midStreamError: '',
};

export const cohereProvider: FakeProvider = {
  root: '',
  surfaces: [chat, embed],
  requestIdHeader: null,
  error: (status, message) => ({ id: 'da6e531f', message: `${message} (${status})` }),
};
