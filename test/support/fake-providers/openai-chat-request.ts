/** What `POST /chat/completions` takes: OpenAI's rules, and those of servers that differ, given as data. */
import {
  anything,
  argumentsOf,
  BrokenRequest,
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
  object,
  oneOf,
  type Rule,
  record,
  recordOf,
  refuseUnknown,
  tagged,
  text,
  whole,
} from './shape.ts';
import { type Asked, base64Image, type Heard, type HeardPart, heard, num } from './wire.ts';

/** How a server differs from OpenAI's. */
export interface ChatServer {
  readonly name: string;
  readonly auth: 'bearer' | 'azure' | 'none';
  readonly unknown: 'refused' | 'ignored';
  /** Status of a request whose form is wrong. */
  readonly formStatus: 400 | 422;
  /** Fields it does not know, though OpenAI's does. */
  readonly lacks: readonly string[];
  readonly fields: Readonly<Record<string, Rule>>;
  readonly roles: readonly string[];
  readonly messageNames: boolean;
  readonly callIds: RegExp;
  readonly efforts: readonly string[];
  readonly isReasoning: (model: string) => boolean;
  readonly reasoningField: 'reasoning' | 'reasoning_content' | 'thinking_parts' | null;
  readonly usageInStream: 'asked' | 'always' | 'x_groq';
  readonly callPieces: 'split' | 'whole' | 'repeats_id' | 'no_index';
  readonly comment: string | null;
  /** Chunks before and after those of the answer. */
  readonly before: readonly unknown[];
  readonly after: readonly unknown[];
  readonly more: (asked: Asked) => Json;
  readonly choiceMore: Json;
  readonly checkMore: (asked: Asked) => void;
  readonly midStreamError: unknown;
}

const part: Rule = tagged('type', {
  text: closed({ type: anything, text: filled, 'prompt_cache_breakpoint?': record }),
  image_url: closed({
    type: anything,
    image_url: closed({
      url: matching(/^(https?:\/\/|data:image\/(png|jpeg|gif|webp);base64,)/),
      'detail?': oneOf('auto', 'low', 'high', 'original'),
    }),
    'prompt_cache_breakpoint?': record,
  }),
  input_audio: closed({ type: anything, input_audio: closed({ data: filled, format: oneOf('wav', 'mp3') }) }),
  file: closed({
    type: anything,
    file: closed({ file_data: matching(/^data:[^;]+;base64,/), 'filename?': filled }),
    'prompt_cache_breakpoint?': record,
  }),
});
const textPart: Rule = tagged('type', {
  text: closed({ type: anything, text: filled, 'prompt_cache_breakpoint?': record }),
});
const spoken: Rule = either(text, list(textPart, 1));

const messageRules = (server: ChatServer): Readonly<Record<string, Rule>> => {
  const name: Readonly<Record<string, Rule>> = server.messageNames ? { 'name?': filled } : {};
  const form = (fields: Readonly<Record<string, Rule>>) =>
    object(fields, server.unknown === 'refused' ? refuseUnknown : () => undefined);
  const call = form({
    id: matching(server.callIds),
    type: oneOf('function'),
    function: form({ name: matching(/^[a-zA-Z0-9_-]{1,64}$/), arguments: text }),
  });
  return {
    system: form({ role: anything, content: spoken, ...name }),
    developer: form({ role: anything, content: spoken, ...name }),
    user: form({ role: anything, content: either(text, list(part, 1)), ...name }),
    assistant: form({
      role: anything,
      'content?': either(
        text,
        nothing,
        list(
          tagged('type', {
            text: closed({ type: anything, text: filled }),
            refusal: closed({ type: anything, refusal: filled }),
          }),
          1,
        ),
      ),
      'refusal?': either(text, nothing),
      'tool_calls?': list(call, 1, 128),
      ...(server.reasoningField === 'reasoning' ? { 'reasoning?': text, 'reasoning_details?': list(record) } : {}),
      ...name,
    }),
    tool: form({
      role: anything,
      content: spoken,
      tool_call_id: matching(server.callIds),
      ...(server.name === 'mistral' ? { 'name?': filled } : {}),
    }),
  };
};

const toolRule = (server: ChatServer): Rule =>
  closed({
    type: oneOf('function'),
    function: object(
      {
        name: matching(/^[a-zA-Z0-9_-]{1,64}$/),
        'description?': text,
        'parameters?': record,
        'strict?': flag,
      },
      server.unknown === 'refused' ? refuseUnknown : () => undefined,
    ),
  });

const format: Rule = tagged('type', {
  text: closed({ type: anything }),
  json_object: closed({ type: anything }),
  json_schema: closed({
    type: anything,
    json_schema: closed({
      name: matching(/^[a-zA-Z0-9_-]{1,64}$/),
      'description?': text,
      schema: record,
      'strict?': flag,
    }),
  }),
});

const choice: Rule = either(
  oneOf('none', 'auto', 'required'),
  tagged('type', {
    function: closed({ type: anything, function: closed({ name: filled }) }),
    allowed_tools: closed({
      type: anything,
      allowed_tools: closed({ mode: oneOf('auto', 'required'), tools: list(record, 1) }),
    }),
  }),
);

const chatFields = (server: ChatServer): Readonly<Record<string, Rule>> => {
  const all: Readonly<Record<string, Rule>> = {
    model: filled,
    messages: list(
      tagged(
        'role',
        Object.fromEntries(Object.entries(messageRules(server)).filter(([role]) => server.roles.includes(role))),
      ),
      1,
    ),
    'max_completion_tokens?': whole(1),
    'max_tokens?': whole(1),
    'temperature?': between(0, 2),
    'top_p?': between(0, 1),
    'n?': whole(1, 8),
    'stop?': either(filled, list(filled, 1, 4)),
    'seed?': whole(-(2 ** 53), 2 ** 53),
    'logprobs?': flag,
    'top_logprobs?': whole(0, 20),
    'logit_bias?': record,
    'frequency_penalty?': between(-2, 2),
    'presence_penalty?': between(-2, 2),
    'tools?': list(toolRule(server), 1, 128),
    'tool_choice?': choice,
    'parallel_tool_calls?': flag,
    'response_format?': format,
    'reasoning_effort?': oneOf(...server.efforts),
    'verbosity?': oneOf('low', 'medium', 'high'),
    'stream?': flag,
    'stream_options?': closed({ 'include_usage?': flag, 'include_obfuscation?': flag }),
    'user?': text,
    'safety_identifier?': text,
    'prompt_cache_key?': text,
    'metadata?': record,
    'store?': flag,
    'service_tier?': oneOf('auto', 'default', 'flex', 'priority'),
    ...server.fields,
  };
  return Object.fromEntries(Object.entries(all).filter(([name]) => !server.lacks.includes(name.replace('?', ''))));
};

/** Each call is answered, in the very next messages, and nothing answers a call that was not made. */
export function checkToolTurns(messages: readonly Json[]): void {
  let open = new Set<unknown>();
  for (const [index, message] of messages.entries()) {
    const at = `messages[${index}]`;
    if (message.role === 'tool') {
      need(open.delete(message.tool_call_id), `${at}: messages with role 'tool' must answer a preceding 'tool_calls'`);
      continue;
    }
    need(
      open.size === 0,
      `${at}: an assistant message with 'tool_calls' must be followed by tool messages for each id`,
    );
    const ids = listOf(message.tool_calls).map((call) => call.id);
    open = new Set(ids);
    need(open.size === ids.length, `${at}: two calls have one id`);
    if (message.role === 'assistant')
      need(
        ids.length > 0 ||
          (message.content !== null && message.content !== undefined) ||
          typeof message.refusal === 'string',
        `${at}: an assistant message needs content or tool_calls`,
      );
  }
  need(open.size === 0, `messages: tool calls without an answer`);
}

/** A strict schema names every property as required and allows no other. */
export function checkStrictSchema(schema: unknown, at: string): void {
  if (!isRecord(schema)) return;
  if (schema.type === 'object') {
    const names = Object.keys(recordOf(schema.properties));
    need(schema.additionalProperties === false, `${at}: 'additionalProperties' must be false`, { param: at });
    const isWhole = names.every((name) => (schema.required as string[] | undefined)?.includes(name));
    need(isWhole, `${at}: 'required' must name every property`, { param: at });
  }
  for (const each of Object.values(schema)) checkStrictSchema(each, at);
}

function checkTools(body: Json): void {
  const tools = listOf(body.tools).map((each) => recordOf(each.function));
  need(body.tool_choice === undefined || tools.length > 0, `'tool_choice' is only allowed when 'tools' are specified`);
  need(
    body.parallel_tool_calls === undefined || tools.length > 0,
    `'parallel_tool_calls' is only allowed when 'tools' are specified`,
  );
  if (isRecord(body.tool_choice) && body.tool_choice.type === 'function') {
    const name = recordOf(body.tool_choice.function).name;
    need(
      tools.some((tool) => tool.name === name),
      `tool_choice: no tool is named '${name}'`,
    );
  }
  for (const tool of tools) if (tool.strict === true) checkStrictSchema(tool.parameters, 'tools');
}

function checkReasoningModel(body: Json): void {
  for (const name of ['max_tokens', 'frequency_penalty', 'presence_penalty', 'logit_bias', 'top_logprobs'])
    need(body[name] === undefined, `Unsupported parameter: '${name}'`, { code: 'unsupported_parameter', param: name });
  if (body.reasoning_effort !== 'none')
    for (const name of ['temperature', 'top_p', 'logprobs'])
      need(body[name] === undefined || body[name] === 1, `Unsupported value: '${name}'`, {
        code: 'unsupported_value',
        param: name,
      });
  const age = Number(/^gpt-(\d+(?:\.\d+)?)/.exec(String(body.model))?.[1] ?? 0);
  if (age >= 5.4 && listOf(body.tools).length > 0)
    need(
      body.reasoning_effort === 'none',
      'Function tools with reasoning_effort are not supported; use /v1/responses',
      {
        param: 'reasoning_effort',
      },
    );
}

export const checkChat = (server: ChatServer) => (asked: Asked) => {
  const { headers, body } = asked;
  if (server.auth === 'bearer')
    need(/^Bearer \S+$/.test(headers.authorization ?? ''), 'Incorrect API key provided', {
      status: 401,
      code: 'invalid_api_key',
    });
  need((headers['content-type'] ?? '').startsWith('application/json'), 'The body must be JSON', { status: 415 });
  const onUnknown = server.unknown === 'refused' ? refuseUnknown : (name: string) => void asked.ignored.push(name);
  try {
    object(chatFields(server), onUnknown)(body, '');
  } catch (error) {
    const isForm = error instanceof BrokenRequest && server.formStatus === 422;
    throw isForm ? new BrokenRequest(error.message, { status: 422 }) : error;
  }
  checkToolTurns(listOf(body.messages));
  checkTools(body);
  need(body.top_logprobs === undefined || body.logprobs === true, `'top_logprobs' needs 'logprobs'`);
  need(body.stream_options === undefined || body.stream === true, `'stream_options' is only allowed with 'stream'`);
  need(
    body.max_tokens === undefined || body.max_completion_tokens === undefined,
    'only one of the two limits may be set',
  );
  const asksJson = recordOf(body.response_format).type === 'json_object';
  need(!asksJson || /json/i.test(JSON.stringify(body.messages)), `'messages' must contain the word 'json'`);
  const { schema, strict } = recordOf(recordOf(body.response_format).json_schema);
  if (strict === true) checkStrictSchema(schema, 'response_format');
  if (server.isReasoning(String(body.model))) checkReasoningModel(body);
  server.checkMore(asked);
};

export function hearChatMessages(messages: readonly Json[]): HeardPart[] {
  return messages.flatMap((message): HeardPart[] => {
    const who = message.role === 'assistant' ? 'model' : message.role === 'user' ? 'user' : 'system';
    const parts =
      typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : listOf(message.content);
    const texts = parts.map((each) => String(each.text ?? each.refusal ?? ''));
    if (message.role === 'tool')
      return [{ who: 'result', id: String(message.tool_call_id), name: null, text: texts.join('') }];
    const content = parts.flatMap((each): HeardPart[] => {
      if (each.type === 'image_url') return [{ who: 'user', image: base64Image(String(recordOf(each.image_url).url)) }];
      const said = String(each.text ?? each.refusal ?? '');
      return said === '' ? [] : [{ who, text: said }];
    });
    const calls = listOf(message.tool_calls).map((each): HeardPart => {
      const made = recordOf(each.function);
      return {
        who: 'model',
        call: { id: String(each.id), name: String(made.name), arguments: argumentsOf(made.arguments) },
      };
    });
    const details = listOf(message.reasoning_details).map((bound): HeardPart => ({ who: 'model', bound }));
    return [...details, ...content, ...calls];
  });
}

export function hearChat({ body }: Asked): Heard {
  const asksFor = recordOf(body.response_format);
  const chosen = body.tool_choice;
  const schema = recordOf(asksFor.json_schema).schema;
  return heard({
    model: String(body.model ?? ''),
    parts: hearChatMessages(listOf(body.messages)),
    tools: listOf(body.tools).map((each) => {
      const { name, description, parameters } = recordOf(each.function);
      return { name: String(name), description: (description as string | undefined) ?? null, schema: parameters };
    }),
    toolUse: isRecord(chosen)
      ? { name: String(recordOf(chosen.function).name) }
      : ((chosen as 'auto' | undefined) ?? 'auto'),
    parallel: body.parallel_tool_calls !== false,
    format: asksFor.type === 'json_schema' ? { schema } : asksFor.type === 'json_object' ? 'json_object' : 'text',
    maxTokens: num(body.max_completion_tokens ?? body.max_tokens),
    temperature: num(body.temperature),
    topP: num(body.top_p),
    stop: typeof body.stop === 'string' ? [body.stop] : ((body.stop as string[] | undefined) ?? []),
    seed: num(body.seed ?? body.random_seed),
    effort: body.reasoning_effort ?? null,
  });
}
