/** Ollama's own API: `POST /api/chat`, which streams lines of JSON, and `POST /api/embed`. */
import {
  anything,
  closed,
  either,
  filled,
  flag,
  type Json,
  list,
  listOf,
  matching,
  need,
  object,
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
  cutText,
  type FakeProvider,
  type Heard,
  type HeardPart,
  heard,
  num,
  type Said,
  type Surface,
  vectorOf,
} from './wire.ts';

/** Raw base64: a `data:` prefix is illegal base64 for this server. */
const images: Readonly<Record<string, Rule>> = { 'images?': list(matching(/^[A-Za-z0-9+/]+=*$/), 1) };

const message: Rule = tagged('role', {
  system: closed({ role: anything, content: text }),
  user: closed({ role: anything, content: text, ...images }),
  assistant: closed({
    role: anything,
    'content?': text,
    'thinking?': text,
    'tool_calls?': list(
      closed({
        'id?': filled,
        'type?': oneOf('function'),
        function: closed({ 'index?': whole(), name: filled, arguments: record }),
      }),
      1,
    ),
  }),
  tool: closed({ role: anything, content: text, tool_name: filled, 'tool_call_id?': filled }),
});

const number: Rule = (value, at) => need(typeof value === 'number', `option "${at}" must be of type float32`);
const options: Rule = closed({
  'num_predict?': whole(-2),
  'temperature?': number,
  'top_p?': number,
  'top_k?': whole(),
  'min_p?': number,
  'stop?': list(filled, 1),
  'seed?': whole(-(2 ** 53)),
  'frequency_penalty?': number,
  'presence_penalty?': number,
  'repeat_penalty?': number,
  'num_ctx?': whole(1),
});

/** The server takes any other field in silence; here it is noted. */
const open = (fields: Readonly<Record<string, Rule>>, { ignored, body }: Asked): void =>
  object(fields, (name) => void ignored.push(name))(body, '');

function check(asked: Asked): void {
  open(
    {
      model: filled,
      messages: list(message, 1),
      'stream?': flag,
      'format?': either(oneOf('json'), record),
      'keep_alive?': either(text, whole(-1)),
      'tools?': list(
        closed({
          type: oneOf('function'),
          function: closed({ name: filled, 'description?': text, 'parameters?': record }),
        }),
        1,
      ),
      'think?': either(flag, oneOf('low', 'medium', 'high', 'max')),
      'logprobs?': flag,
      'top_logprobs?': whole(0, 20),
      'truncate?': flag,
      'shift?': flag,
      'options?': options,
    },
    asked,
  );
  const messages = listOf(asked.body.messages);
  const called = new Set<unknown>();
  for (const each of messages) {
    for (const call of listOf(each.tool_calls)) called.add(recordOf(call.function).name);
    if (each.role === 'tool') need(called.has(each.tool_name), 'the tool was never called');
  }
  need(asked.body.truncate === false, 'without "truncate": false the oldest messages are dropped in silence');
}

function hearMessage(each: Json): HeardPart[] {
  if (each.role === 'tool')
    return [
      {
        who: 'result',
        id: (each.tool_call_id as string | undefined) ?? null,
        name: String(each.tool_name),
        text: String(each.content),
      },
    ];
  const who = each.role === 'assistant' ? 'model' : each.role === 'user' ? 'user' : 'system';
  const said = String(each.content ?? '');
  return [
    ...(typeof each.thinking === 'string' && each.thinking !== ''
      ? [{ who: 'model', bound: each.thinking } as const]
      : []),
    ...(said === '' ? [] : [{ who, text: said } as const]),
    ...((each.images as string[] | undefined) ?? []).map((image) => ({ who: 'user', image }) as const),
    ...listOf(each.tool_calls).map((call): HeardPart => {
      const { name, arguments: given } = recordOf(call.function);
      return {
        who: 'model',
        call: { id: (call.id as string | undefined) ?? null, name: String(name), arguments: given },
      };
    }),
  ];
}

function hear({ body }: Asked): Heard {
  const given = recordOf(body.options);
  return heard({
    model: String(body.model),
    parts: listOf(body.messages).flatMap(hearMessage),
    tools: listOf(body.tools).map((each) => {
      const { name, description, parameters } = recordOf(each.function);
      return { name: String(name), description: (description as string | undefined) ?? null, schema: parameters };
    }),
    format: body.format === undefined ? 'text' : body.format === 'json' ? 'json_object' : { schema: body.format },
    maxTokens: num(given.num_predict),
    temperature: num(given.temperature),
    topP: num(given.top_p),
    stop: (given.stop as string[] | undefined) ?? [],
    seed: num(given.seed),
    effort: body.think ?? null,
  });
}

const calls = (said: Said): Json[] =>
  said.calls.map(({ id, name, arguments: given }, index) => ({
    ...(id === null ? {} : { id }),
    function: { index, name, arguments: given },
  }));

const begin = ({ body }: Asked): Json => ({ model: body.model, created_at: '2026-11-21T10:00:00.123456789Z' });

const end = (said: Said): Json => ({
  done: true,
  done_reason: said.oddFinish ? 'a_reason_of_tomorrow' : said.finish === 'length' ? 'length' : 'stop',
  total_duration: 5_000_000_000,
  load_duration: 1_000_000,
  ...(said.usage === null
    ? {}
    : {
        prompt_eval_count: said.usage.input,
        prompt_eval_duration: 1_000_000,
        eval_count: said.usage.output,
        eval_duration: 2_000_000,
      }),
});

const messageOf = (more: Json): Json => ({ message: { role: 'assistant', content: '', ...more } });

const answer = (said: Said, asked: Asked): Json => ({
  ...begin(asked),
  ...messageOf({
    content: said.text || (said.refusal ?? ''),
    ...(said.reasoning === '' ? {} : { thinking: said.reasoning }),
    ...(said.calls.length === 0 ? {} : { tool_calls: calls(said) }),
  }),
  ...end(said),
});

function frames(said: Said, asked: Asked): string[] {
  const line = (more: Json) => `${JSON.stringify({ ...begin(asked), ...more })}\n`;
  return [
    ...cutText(said.reasoning, 9).map((thinking) => line({ ...messageOf({ thinking }), done: false })),
    ...cutText(said.text || (said.refusal ?? '')).map((content) => line({ ...messageOf({ content }), done: false })),
    ...calls(said).map((call) => line({ ...messageOf({ tool_calls: [call] }), done: false })),
    line({ ...messageOf({}), ...end(said) }),
  ];
}

const chat: Surface = {
  path: /^\/api\/chat$/,
  check,
  hear,
  // This server streams unless it is told not to.
  isStreamed: ({ body }) => body.stream !== false,
  whole: answer,
  frames,
  streamType: 'application/x-ndjson',
  midStreamError: '{"error":"server busy, please try again.  maximum pending requests exceeded"}\n',
};

const embed: Surface = {
  path: /^\/api\/embed$/,
  check: (asked) =>
    open(
      {
        model: filled,
        input: either(filled, list(filled, 1)),
        'truncate?': flag,
        'dimensions?': whole(1),
        'keep_alive?': either(text, whole(-1)),
        'options?': options,
      },
      asked,
    ),
  hear: ({ body }) =>
    heard({
      model: String(body.model),
      parts: [body.input].flat().map((each) => ({ who: 'user', text: String(each) })),
    }),
  isStreamed: () => false,
  whole: (_said, { body }) => {
    const inputs = [body.input].flat() as string[];
    return {
      model: body.model,
      embeddings: inputs.map((each) => vectorOf(each, num(body.dimensions) ?? 3)),
      total_duration: 14_143_917,
      load_duration: 1_019_500,
      prompt_eval_count: inputs.length * 3,
    };
  },
  frames: () => [],
  streamType: 'application/json',
  midStreamError: '',
};

export const ollamaProvider: FakeProvider = {
  root: '',
  surfaces: [chat, embed],
  requestIdHeader: null,
  error: (_status, message) => ({ error: message }),
};
