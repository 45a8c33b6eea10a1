import { expect, test } from 'vitest';
import { chatRequestSchema } from './request.ts';
import { type Answer, emptyAnswer, hasContent, toChatCompletion } from './response.ts';

const context = { jobId: 'job_0199', target: 'openrouter/openai/gpt-4.1-mini', createdAtMs: 1_795_000_000_999 };
const toolCall = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{}' } } as const;

test.for<[string, Partial<Answer>, boolean]>([
  ['text is content', { text: 'Hi.' }, true],
  ['a tool call is content', { toolCalls: [toolCall] }, true],
  ['a refusal is content', { refusal: 'No.' }, true],
  ['a filtered answer is content', { finishReason: 'content_filter' }, true],
  ['an answer cut at its limit is content', { finishReason: 'length' }, true],
  ['nothing at all is no content', {}, false],
  ['reasoning alone is no content', { reasoning: 'Hm.' }, false],
])('%s', ([, change, expected]) => {
  expect(hasContent({ ...emptyAnswer, ...change })).toBe(expected);
});

test('a completion is a whole Chat Completions object', () => {
  const usage = {
    inputTokens: 10,
    outputTokens: 5,
    cacheReadTokens: 4,
    cacheWriteTokens: 3,
    cacheWrite1hTokens: 0,
    reasoningTokens: 2,
    audioInputTokens: 0,
    audioOutputTokens: 0,
  };
  expect(toChatCompletion({ ...emptyAnswer, text: 'Hi.', model: 'gpt-4.1-mini-2025', usage }, context)).toEqual({
    id: 'chatcmpl-0199',
    object: 'chat.completion',
    created: 1_795_000_000,
    model: 'gpt-4.1-mini-2025',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'Hi.', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 15,
      prompt_tokens_details: { cached_tokens: 4, cache_write_tokens: 3, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 2, audio_tokens: 0 },
    },
  });
});

test.for<[string, Partial<Answer>, string, unknown]>([
  ['an unnamed model is that of the target, slashes and all', {}, 'model', 'openai/gpt-4.1-mini'],
  ['unknown usage is null, not zero', { text: 'Hi.' }, 'usage', null],
  ['a tool call without text has null content', { toolCalls: [toolCall] }, 'choices.0.message.content', null],
  ['a tool call with text keeps both', { text: 'Hm.', toolCalls: [toolCall] }, 'choices.0.message.content', 'Hm.'],
  ['further choices follow the first', { otherChoices: [{ index: 1 }] }, 'choices.1', { index: 1 }],
  [
    'opaque reasoning says which target made it',
    { text: 'Hi.', reasoningDetails: [{ signature: 's' }, null] },
    'choices.0.message.reasoning_details',
    [
      { origin: 'openrouter/openai/gpt-4.1-mini', part: { signature: 's' } },
      { origin: 'openrouter/openai/gpt-4.1-mini', part: null },
    ],
  ],
  ['log probabilities pass', { logprobs: { content: [] } }, 'choices.0.logprobs', { content: [] }],
])('%s', ([, change, path, expected]) => {
  expect(toChatCompletion({ ...emptyAnswer, ...change }, context)).toHaveProperty(path, expected);
});

test.for<[string, Partial<Answer>]>([
  ['text', { text: 'Hi.' }],
  ['tool calls and reasoning', { toolCalls: [toolCall], reasoning: 'Hm.', reasoningDetails: [{ signature: 's' }] }],
  ['a refusal', { refusal: 'No.' }],
])('the message of an answer with %s can be sent back as the next turn', ([, change]) => {
  const [choice] = toChatCompletion({ ...emptyAnswer, ...change }, context).choices;
  const { message } = choice as { message: object };
  const next = chatRequestSchema.parse({
    model: 'default',
    messages: [{ role: 'user', content: 'Hi' }, message, { role: 'user', content: 'And now?' }],
  });
  expect(JSON.parse(JSON.stringify(next.messages[1]))).toEqual(JSON.parse(JSON.stringify(message)));
});
