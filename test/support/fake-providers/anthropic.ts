/** `POST /messages`: what it answers, whole and as named events. */
import { checkMessages, hearMessages } from './anthropic-request.ts';
import type { Json } from './shape.ts';
import { type Asked, cutText, type FakeProvider, type Said, type Surface, sse } from './wire.ts';

const errorTypes: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  404: 'not_found_error',
  413: 'request_too_large',
};

const usageOf = ({ usage }: Said): Json =>
  usage === null
    ? {}
    : {
        input_tokens: usage.input - (usage.cacheRead ?? 0) - (usage.cacheWrite ?? 0),
        cache_creation_input_tokens: usage.cacheWrite ?? 0,
        cache_read_input_tokens: usage.cacheRead ?? 0,
        cache_creation: { ephemeral_5m_input_tokens: usage.cacheWrite ?? 0, ephemeral_1h_input_tokens: 0 },
        output_tokens: usage.output,
        output_tokens_details: { thinking_tokens: usage.reasoning ?? 0 },
        service_tier: 'standard',
        inference_geo: null,
        server_tool_use: null,
        speed: null,
      };

const blocksOf = (said: Said): Json[] => [
  ...(said.reasoning === ''
    ? []
    : [{ type: 'thinking', thinking: said.reasoning, signature: `sealed:${said.reasoning.length}` }]),
  ...(said.text === '' && said.refusal === null
    ? []
    : [{ type: 'text', text: said.text || said.refusal, citations: null }]),
  ...said.calls.map((call) => ({ type: 'tool_use', id: call.id, name: call.name, input: call.arguments })),
];

function stopReasonOf(said: Said): string {
  if (said.oddFinish) return 'a_reason_of_tomorrow';
  if (said.finish === 'content_filter' || said.refusal !== null) return 'refusal';
  if (said.finish === 'length') return 'max_tokens';
  return said.calls.length > 0 ? 'tool_use' : 'end_turn';
}

const answer = (said: Said, { body }: Asked): Json => ({
  id: 'msg_01',
  type: 'message',
  role: 'assistant',
  model: `${body.model}-20260101`,
  content: blocksOf(said),
  stop_reason: stopReasonOf(said),
  stop_sequence: null,
  usage: usageOf(said),
});

const event = (data: Json): string => sse(data, String(data.type));

function blockEvents(block: Json, index: number): Json[] {
  const delta = (inside: Json): Json => ({ type: 'content_block_delta', index, delta: inside });
  const empty: Json =
    block.type === 'tool_use'
      ? { ...block, input: {} }
      : block.type === 'text'
        ? { ...block, text: '' }
        : { ...block, thinking: '', signature: '' };
  const json = JSON.stringify(block.input);
  const deltas =
    block.type === 'tool_use'
      ? // No arguments: no piece of them either.
        (json === '{}' ? [] : ['', ...cutText(json, 7)]).map((partial_json) =>
          delta({ type: 'input_json_delta', partial_json }),
        )
      : block.type === 'text'
        ? cutText(String(block.text)).map((text) => delta({ type: 'text_delta', text }))
        : [
            ...cutText(String(block.thinking), 9).map((thinking) => delta({ type: 'thinking_delta', thinking })),
            delta({ type: 'signature_delta', signature: block.signature }),
          ];
  return [
    { type: 'content_block_start', index, content_block: empty },
    ...deltas,
    { type: 'content_block_stop', index },
  ];
}

function frames(said: Said, asked: Asked): string[] {
  const message = answer(said, asked);
  const usage = usageOf(said);
  return [
    event({
      type: 'message_start',
      message: {
        ...message,
        content: [],
        stop_reason: null,
        usage: said.usage === null ? {} : { ...usage, output_tokens: 1 },
      },
    }),
    event({ type: 'ping' }),
    ...blocksOf(said).flatMap(blockEvents).map(event),
    event({ type: 'message_delta', delta: { stop_reason: message.stop_reason, stop_sequence: null }, usage }),
    event({ type: 'message_stop' }),
  ];
}

const messages: Surface = {
  path: /^\/messages$/,
  check: checkMessages,
  hear: hearMessages,
  isStreamed: ({ body }) => body.stream === true,
  whole: answer,
  frames,
  streamType: 'text/event-stream; charset=utf-8',
  midStreamError: event({
    type: 'error',
    error: { type: 'overloaded_error', message: 'Overloaded' },
    request_id: 'req_1',
  }),
};

export const anthropicProvider: FakeProvider = {
  root: '/v1',
  surfaces: [messages],
  requestIdHeader: 'request-id',
  error: (status, message) => ({
    type: 'error',
    error: { type: errorTypes[status] ?? 'api_error', message },
    request_id: 'req_1',
  }),
};
