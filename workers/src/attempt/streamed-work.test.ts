import { type ChatRequest, chatRequestSchema } from '@waybill/shared/chat/request.ts';
import { emptyAnswer } from '@waybill/shared/chat/response.ts';
import { chainOfTarget } from '@waybill/shared/config/resolve-chain.ts';
import type { CallInput, Dialect } from '@waybill/shared/providers/dialect.ts';
import { expect, test } from 'vitest';
import type { Carried } from './carried.ts';
import { type ChatWorkInput, createChatWork } from './chat-work.ts';

const messages = [{ role: 'user', content: 'hi' }];
const requestOf = (more: object): ChatRequest => chatRequestSchema.parse({ model: 'default', messages, ...more });
const input: ChatWorkInput = {
  target: 'a/one',
  chain: chainOfTarget('a/one'),
  carried: null,
  turns: [],
  windowTokens: null,
  defaults: {},
  uselessAnswers: 0,
};

/** What the dialect is given. */
function written(request: ChatRequest): CallInput {
  const seen: CallInput[] = [];
  const dialect = {
    writeChat(call: CallInput) {
      seen.push(call);
      return { kind: 'unsupported', feature: 'anything' };
    },
  } as unknown as Dialect;
  createChatWork(request, input).write(dialect, {} as never);
  const [call] = seen;
  if (!call) throw new Error('the dialect was not asked');
  return call;
}

test.for<[string, object, { stream: boolean; isTold: boolean }]>([
  ['a streamed job is streamed and told', { stream: true }, { stream: true, isTold: true }],
  ['another is neither', {}, { stream: false, isTold: false }],
  ['one that says no is neither', { stream: false }, { stream: false, isTold: false }],
  ['a long answer is streamed, and told to nobody', { max_tokens: 8_000 }, { stream: true, isTold: false }],
])('%s', ([, more, { stream, isTold }]) => {
  expect(written(requestOf(more)).stream).toBe(stream);
  expect(createChatWork(requestOf(more), input).told !== null).toBe(isTold);
});

test('the dialect learns by the call alone that it is streamed', () => {
  const { request } = written(requestOf({ stream: true, stream_options: { include_usage: true }, temperature: 0 }));
  expect(request).toEqual(requestOf({ temperature: 0 }));
});

const toolCall = { id: 'x', type: 'function' as const, function: { name: 'f', arguments: '{}' } };
const continuation: Carried = {
  kind: 'continuation',
  target: 'a/one',
  state: {},
  text: 'Hel',
  reasoning: 'Hm',
  reasoningDetails: [],
  toolCalls: [toolCall],
  usage: emptyAnswer.usage,
  rounds: 1,
};
const text = { type: 'delta', kind: 'text', text: 'Hel' };

test.for<[string, Carried | null, unknown]>([
  ['nothing', null, null],
  [
    'the text of a broken stream',
    { kind: 'text', text: 'Hel', usage: null, rounds: 1 },
    { text: 'Hel', deltas: [text], toolCalls: 0 },
  ],
  [
    'a part that the provider goes on from',
    continuation,
    {
      text: 'Hel',
      toolCalls: 1,
      deltas: [
        { type: 'delta', kind: 'reasoning', text: 'Hm' },
        text,
        { type: 'delta', kind: 'tool_call', index: 0, id: 'x', name: 'f', arguments: '{}' },
      ],
    },
  ],
  ['nothing of another target', { ...continuation, target: 'b/two' }, null],
])('goes on from %s', ([, carried, expected]) => {
  expect(createChatWork(requestOf({ stream: true }), { ...input, carried }).told).toEqual({ goesOnFrom: expected });
});
