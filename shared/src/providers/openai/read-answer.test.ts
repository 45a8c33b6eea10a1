import { expect, test } from 'vitest';
import { type Answer, emptyAnswer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import { nowMs } from '../fixture-call.ts';
import { type Asked, readAnswer as read, toUsage } from './read-answer.ts';

const readAnswer = (body: unknown, toCaller: Asked['toCaller'] = (id) => id) => read(body, { toCaller, nowMs });

const whole = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'gpt-4.1-mini-2025-04-14',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi.', refusal: null }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 },
};
const withMessage = (message: object, finish: unknown = 'stop') => ({
  ...whole,
  choices: [{ index: 0, message: { role: 'assistant', content: null, ...message }, finish_reason: finish }],
});
const usage = {
  inputTokens: 9,
  outputTokens: 2,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
};
const hello: Answer = {
  ...emptyAnswer,
  text: 'Hi.',
  providerId: 'chatcmpl-1',
  model: 'gpt-4.1-mini-2025-04-14',
  usage,
};
const call = { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } };

test.for<[string, unknown, Partial<Answer>]>([
  ['text', whole, {}],
  [
    'text in parts',
    withMessage({
      content: [
        { type: 'text', text: 'H' },
        { type: 'text', text: 'i.' },
      ],
    }),
    {},
  ],
  [
    'tool calls',
    withMessage({ tool_calls: [call] }, 'tool_calls'),
    { text: '', toolCalls: [call as never], finishReason: 'tool_calls' },
  ],
  [
    'a tool call without an id gets one',
    withMessage({ tool_calls: [{ function: { name: 'f', arguments: '{}' } }] }, 'tool_calls'),
    {
      text: '',
      toolCalls: [{ id: 'call_0', type: 'function', function: { name: 'f', arguments: '{}' } }],
      finishReason: 'tool_calls',
    },
  ],
  ['a refusal', withMessage({ refusal: 'No.' }), { text: '', refusal: 'No.' }],
  ['reasoning_content', withMessage({ content: 'Hi.', reasoning_content: 'Hm.' }), { reasoning: 'Hm.' }],
  ['reasoning', withMessage({ content: 'Hi.', reasoning: 'Hm.' }), { reasoning: 'Hm.' }],
  [
    'reasoning parts',
    withMessage({ content: 'Hi.', reasoning_details: [{ signature: 's' }] }),
    { reasoningDetails: [{ signature: 's' }] },
  ],
  [
    'the same reasoning under two names, once',
    withMessage({ content: 'Hi.', reasoning_content: 'Hm.', reasoning: 'Hm.' }),
    { reasoning: 'Hm.' },
  ],
  [
    'reasoning beside an empty field of its other name',
    withMessage({ content: 'Hi.', reasoning_content: '', reasoning: 'Hm.' }),
    { reasoning: 'Hm.' },
  ],
  [
    "reasoning in Mistral's content",
    withMessage({
      content: [
        {
          type: 'thinking',
          thinking: [
            { type: 'text', text: 'H' },
            { type: 'text', text: 'm.' },
          ],
        },
        { type: 'text', text: 'Hi.' },
      ],
    }),
    { reasoning: 'Hm.' },
  ],
  [
    "reasoning in Mistral's content, as text",
    withMessage({
      content: [
        { type: 'thinking', thinking: 'Hm.' },
        { type: 'text', text: 'Hi.' },
      ],
    }),
    { reasoning: 'Hm.' },
  ],
  [
    'reasoning that is in its parts alone',
    withMessage({ content: 'Hi.', reasoning_details: [{ text: 'H' }, { summary: 'm.' }, { data: 'x' }] }),
    { reasoning: 'Hm.', reasoningDetails: [{ text: 'H' }, { summary: 'm.' }, { data: 'x' }] },
  ],
  ['unknown fields are ignored', { ...whole, system_fingerprint: 'fp', service_tier: 'default' }, {}],
  ['an empty text', withMessage({ content: '' }), { text: '' }],
  ['no usage is null', { ...whole, usage: undefined }, { usage: null }],
  ["Groq's own usage", { ...whole, usage: undefined, x_groq: { usage: whole.usage } }, {}],
  [
    'log probabilities',
    { ...whole, choices: [{ ...whole.choices[0], logprobs: { content: [{ token: 'Hi' }] } }] },
    { logprobs: { content: [{ token: 'Hi' }] } },
  ],
  [
    'further choices as they are',
    { ...whole, choices: [...whole.choices, { index: 1, message: { content: 'Ho.' } }] },
    { otherChoices: [{ index: 1, message: { content: 'Ho.' } }] },
  ],
])('an answer is read: %s', ([, body, change]) => {
  expect(readAnswer(body)).toEqual({ kind: 'answer', answer: { ...hello, ...change } });
});

test.for([
  ['stop', 'stop', 0],
  ['length', 'length', 0],
  ['model_length', 'length', 0],
  ['tool_calls', 'tool_calls', 0],
  ['function_call', 'tool_calls', 0],
  ['content_filter', 'content_filter', 0],
  [null, 'stop', 0],
  ['abort', 'stop', 1],
] as const)('the finish reason %s is %s', ([reason, expected, warnings]) => {
  const result = readAnswer(withMessage({ content: 'Hi.' }, reason));
  if (result.kind !== 'answer') throw new Error(result.failure.message);
  expect(result.answer.finishReason).toBe(expected);
  expect(result.answer.warnings).toHaveLength(warnings);
});

test('an unknown finish reason beside tool calls is read as tool calls', () => {
  expect(readAnswer(withMessage({ tool_calls: [call] }, 'eos'))).toMatchObject({
    answer: { finishReason: 'tool_calls', warnings: ['unknown finish reason "eos" read as "tool_calls"'] },
  });
});

test.for<[string, unknown, FailureKind]>([
  ['an error with its status as code', { error: { message: 'Busy', code: 503 } }, 'overloaded'],
  ['an error of the credential', { error: { message: 'x', code: 'invalid_api_key' } }, 'auth'],
  ['an error of the context', { error: { message: 'x', code: 'context_length_exceeded' } }, 'context_length'],
  ['an error as text', { error: 'it broke' }, 'server_error'],
  ['an error beside empty choices', { choices: [], error: { code: 429, message: 'slow' } }, 'rate_limit'],
  ['an error inside a choice', { choices: [{ error: { code: 502, message: 'x' } }] }, 'server_error'],
  ['a choice that finished with an error', withMessage({ content: 'H' }, 'error'), 'server_error'],
  ['no choices', { id: 'x' }, 'bad_output'],
  ['an empty list of choices', { choices: [] }, 'bad_output'],
  ['a list', [], 'bad_output'],
  ['null', null, 'bad_output'],
  ['a text', 'Hi.', 'bad_output'],
])('inside HTTP 200, %s is a failure', ([, body, kind]) => {
  expect(readAnswer(body)).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

test('the message of a failure holds nothing of the text the provider sent', () => {
  const result = readAnswer({ error: { message: 'my prompt and sk-live-key', code: 400 } });
  expect(JSON.stringify(result)).not.toMatch(/prompt|sk-live/);
});

test.for<[string, unknown, object | null]>([
  [
    'cache and reasoning are parts of the totals',
    {
      prompt_tokens: 100,
      completion_tokens: 50,
      prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 20 },
      completion_tokens_details: { reasoning_tokens: 30 },
    },
    {
      inputTokens: 100,
      outputTokens: 50,
      cacheReadTokens: 60,
      cacheWriteTokens: 20,
      cacheWrite1hTokens: 0,
      reasoningTokens: 30,
      audioInputTokens: 0,
      audioOutputTokens: 0,
    },
  ],
  ['cached tokens under another name', { ...whole.usage, num_cached_tokens: 4 }, { ...usage, cacheReadTokens: 4 }],
  ['more cached than sent is all of it', { ...whole.usage, num_cached_tokens: 400 }, { ...usage, cacheReadTokens: 9 }],
  [
    'audio is a part of the totals',
    {
      ...whole.usage,
      prompt_tokens_details: { audio_tokens: 4 },
      completion_tokens_details: { audio_tokens: 1 },
    },
    { ...usage, audioInputTokens: 4, audioOutputTokens: 1 },
  ],
  ['details may be null', { ...whole.usage, prompt_tokens_details: null, completion_tokens_details: null }, usage],
  ['zero is known', { prompt_tokens: 0, completion_tokens: 0 }, { ...usage, inputTokens: 0, outputTokens: 0 }],
  ['half of it is unknown', { prompt_tokens: 9 }, null],
  ['a fraction is unknown', { prompt_tokens: 9.5, completion_tokens: 1 }, null],
  ['a negative number is unknown', { prompt_tokens: -1, completion_tokens: 1 }, null],
  ['a text is unknown', { prompt_tokens: '9', completion_tokens: 1 }, null],
  ['null is unknown', null, null],
])('usage: %s', ([, value, expected]) => {
  expect(toUsage(value)).toEqual(expected);
});

test.for<[string, unknown]>([
  ['beside an error of its choice', { ...whole, choices: [{ ...whole.choices[0], error: { code: 502 } }] }],
  ['that finished with an error', withMessage({ content: 'Hi.' }, 'error')],
  ['beside an error', { ...whole, error: { code: 502 } }],
])('what was said %s is kept for the bill', ([, body]) => {
  expect(readAnswer(body)).toMatchObject({ kind: 'failure', partial: { text: 'Hi.', usage: { inputTokens: 9 } } });
});

test('an unknown finish reason is told only when it is a word', () => {
  expect(readAnswer(withMessage({ content: 'Hi.' }, 'the prompt said: x'))).toMatchObject({
    answer: { warnings: ['unknown finish reason of another form read as "stop"'] },
  });
});

test('ids that were substituted are named back', () => {
  const toCaller = (id: string) => (id === 'c1' ? 'toolu_1' : id);
  expect(readAnswer(withMessage({ tool_calls: [call] }, 'tool_calls'), toCaller)).toMatchObject({
    answer: { toolCalls: [{ id: 'toolu_1' }] },
  });
});
