/** What `POST /chat/completions` answers, whole and streamed, of OpenAI and of the servers that differ. */
import { type ChatServer, checkChat, hearChat } from './openai-chat-request.ts';
import { type Json, recordOf } from './shape.ts';
import { type Asked, cutText, num, type Said, type Surface, sse } from './wire.ts';

const usageOf = ({ usage }: Said): Json | null =>
  usage && {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: {
      cached_tokens: usage.cacheRead ?? 0,
      cache_write_tokens: usage.cacheWrite ?? 0,
      audio_tokens: 0,
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoning ?? 0, audio_tokens: 0 },
  };

const finishOf = (said: Said): string =>
  said.oddFinish
    ? 'a_reason_of_tomorrow'
    : said.calls.length > 0 && said.finish === 'stop'
      ? 'tool_calls'
      : said.finish;

const reasoningOf = (server: ChatServer, reasoning: string): Json =>
  reasoning === '' || server.reasoningField === null || server.reasoningField === 'thinking_parts'
    ? {}
    : { [server.reasoningField]: reasoning };

const contentOf = (server: ChatServer, said: Said, shown: string): unknown => {
  if (server.reasoningField === 'thinking_parts' && said.reasoning !== '')
    return [
      { type: 'thinking', thinking: [{ type: 'text', text: said.reasoning }] },
      { type: 'text', text: shown },
    ];
  return shown === '' && (said.calls.length > 0 || said.refusal !== null) ? null : shown;
};

const head = (asked: Asked, kind: string): Json => ({
  id: 'chatcmpl-fake-1',
  object: kind,
  created: 1_790_000_000,
  model: `${asked.body.model}-2026-01-01`,
});

const wholeOf = (server: ChatServer) => (said: Said, asked: Asked) => ({
  ...head(asked, 'chat.completion'),
  choices: Array.from({ length: num(asked.body.n) ?? 1 }, (_, index) => ({
    index,
    message: {
      role: 'assistant',
      content: contentOf(server, said, index === 0 ? said.text : `${said.text} (${index + 1})`),
      refusal: said.refusal,
      ...(said.calls.length === 0
        ? {}
        : {
            tool_calls: said.calls.map((call) => ({
              id: call.id,
              type: 'function',
              function: { name: call.name, arguments: JSON.stringify(call.arguments) },
            })),
          }),
      ...reasoningOf(server, said.reasoning),
    },
    logprobs:
      asked.body.logprobs === true
        ? { content: [{ token: 'a', logprob: -0.1, bytes: [97], top_logprobs: [] }], refusal: null }
        : null,
    finish_reason: finishOf(said),
    ...server.choiceMore,
  })),
  ...(said.usage === null ? {} : { usage: usageOf(said) }),
  ...server.more(asked),
});

function callDeltas(server: ChatServer, said: Said): Json[] {
  return said.calls.flatMap((call, index): Json[] => {
    const all = JSON.stringify(call.arguments);
    const first = { ...(server.callPieces === 'no_index' ? {} : { index }), id: call.id, type: 'function' };
    if (server.callPieces === 'whole' || server.callPieces === 'no_index')
      return [{ tool_calls: [{ ...first, function: { name: call.name, arguments: all } }] }];
    const again = server.callPieces === 'repeats_id' ? { id: call.id, type: 'function' } : {};
    return [
      { tool_calls: [{ ...first, function: { name: call.name, arguments: '' } }] },
      ...cutText(all, 7).map((piece) => ({ tool_calls: [{ index, ...again, function: { arguments: piece } }] })),
    ];
  });
}

/** Further choices of a stream, among the pieces of the first. */
const otherChoices = (said: Said, asked: Asked): string[] =>
  Array.from({ length: (num(asked.body.n) ?? 1) - 1 }, (_, other) => other + 1).flatMap((index) =>
    [
      { delta: { role: 'assistant', content: '' }, finish_reason: null },
      ...cutText(`${said.text} (${index + 1})`).map((content) => ({ delta: { content }, finish_reason: null })),
      { delta: {}, finish_reason: finishOf(said) },
    ].map((each) => sse({ ...head(asked, 'chat.completion.chunk'), choices: [{ index, logprobs: null, ...each }] })),
  );

const framesOf = (server: ChatServer) => (said: Said, asked: Asked) => {
  const chunk = (delta: Json, finish: string | null = null, more: Json = {}) =>
    sse({
      ...head(asked, 'chat.completion.chunk'),
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...more,
    });
  const thoughts =
    server.reasoningField === 'thinking_parts'
      ? cutText(said.reasoning, 9).map((each) => ({
          content: [{ type: 'thinking', thinking: [{ type: 'text', text: each }] }],
        }))
      : cutText(said.reasoning, 9).map((each) => reasoningOf(server, each));
  const wantsUsage = recordOf(asked.body.stream_options).include_usage === true;
  const usage = usageOf(said);
  const ownUsage = server.usageInStream === 'always' && usage ? { usage } : {};
  const groq = server.usageInStream === 'x_groq' && usage ? { x_groq: { id: 'req_1', usage } } : {};
  return [
    ...server.before.map((each) => sse(each)),
    ...(server.comment === null ? [] : [`: ${server.comment}\n\n`]),
    chunk({ role: 'assistant', content: '', refusal: null }),
    ...thoughts.map((delta) => chunk(delta)),
    ...cutText(said.text).map((content) => chunk({ content })),
    ...cutText(said.refusal ?? '').map((refusal) => chunk({ refusal })),
    ...callDeltas(server, said).map((delta) => chunk(delta)),
    ...server.after.map((each) => sse(each)),
    ...otherChoices(said, asked),
    chunk({}, finishOf(said), { ...ownUsage, ...groq }),
    ...(server.usageInStream === 'asked' && wantsUsage && usage
      ? [sse({ ...head(asked, 'chat.completion.chunk'), choices: [], usage })]
      : []),
    sse('[DONE]'),
  ];
};

export const chatSurface = (server: ChatServer, path = /^\/chat\/completions$/): Surface => ({
  path,
  check: checkChat(server),
  hear: hearChat,
  isStreamed: ({ body }) => body.stream === true,
  whole: wholeOf(server),
  frames: framesOf(server),
  streamType: 'text/event-stream; charset=utf-8',
  midStreamError: sse(server.midStreamError),
});
