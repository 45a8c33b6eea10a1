import { describe, expect, test } from 'vitest';
import type { Answer } from '../../chat/response.ts';
import type { ReadResult } from '../dialect.ts';
import { nowMs } from '../fixture-call.ts';
import type { Asked } from './collect-answer.ts';
import { readAnswer as read } from './read-answer.ts';

const plain: Asked = { firstCallOnly: false, isContinued: false, toOurs: (name) => name, nowMs };
const readAnswer = (answer: unknown, change: Partial<Asked> = {}) => read(answer, { ...plain, ...change });
const usageMetadata = { promptTokenCount: 9, candidatesTokenCount: 20, totalTokenCount: 29 };
const body = (candidate: object, more: object = {}) => ({
  candidates: [{ index: 0, finishReason: 'STOP', ...candidate }],
  usageMetadata,
  modelVersion: 'gemini-3.8-flash',
  responseId: 'resp-1',
  ...more,
});
const parts = (...list: unknown[]) => ({ content: { role: 'model', parts: list } });
const hello = parts({ text: 'Hello' });
const call = (name: string, args?: object, id?: string) => ({ functionCall: { name, args, id } });

function answerOf(result: ReadResult): Answer {
  if (result.kind !== 'answer') throw new Error(result.failure.message);
  return result.answer;
}

test('an answer holds text, model, id and usage', () => {
  expect(answerOf(readAnswer(body(hello)))).toMatchObject({
    text: 'Hello',
    reasoning: '',
    toolCalls: [],
    finishReason: 'stop',
    continuation: null,
    logprobs: null,
    providerId: 'resp-1',
    model: 'gemini-3.8-flash',
    usage: { inputTokens: 9, outputTokens: 20 },
    warnings: [],
  });
});

test('texts are joined, and thoughts stand apart', () => {
  const thought = { text: 'Let me see. ', thought: true };
  expect(answerOf(readAnswer(body(parts(thought, { text: 'He' }, thought, { text: 'llo' }))))).toMatchObject({
    text: 'Hello',
    reasoning: 'Let me see. Let me see. ',
    reasoningDetails: [],
  });
});

describe('tool calls', () => {
  test('keep their ids, and STOP means that their results are waited for', () => {
    const answer = answerOf(
      readAnswer(body(parts(call('weather', { city: 'Rome' }, 'c1'), call('now', undefined, 'c2')))),
    );
    expect(answer).toMatchObject({
      text: '',
      finishReason: 'tool_calls',
      toolCalls: [
        { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
        { id: 'c2', type: 'function', function: { name: 'now', arguments: '{}' } },
      ],
    });
  });

  test('get ids where there are none: always the same, and never twice', () => {
    const idsOf = (more: object = {}) =>
      answerOf(readAnswer(body(parts(call('now'), call('now'), call('time')), more))).toolCalls.map(({ id }) => id);
    const all = [...idsOf(), ...idsOf({ responseId: 'resp-2' })];
    expect(new Set(all).size).toBe(6);
    for (const id of all) expect(id).toMatch(/^call_[0-9a-f]{24}$/);
    expect(idsOf()).toEqual(all.slice(0, 3));
    expect(new Set(idsOf({ responseId: undefined })).size).toBe(3);
  });

  test('beyond the first are left out where one at a time was asked for, and it is told', () => {
    const list = [call('a'), { ...call('b'), thoughtSignature: 's' }, call('c')];
    const answer = answerOf(readAnswer(body(parts(...list)), { firstCallOnly: true }));
    expect(answer.toolCalls.map((each) => each.function.name)).toEqual(['a']);
    expect(answer.reasoningDetails).toEqual([]);
    expect(answer.warnings).toEqual(['left out 2 tool calls: one at a time was asked for']);
  });
});

test('signatures say which part they stood on', () => {
  const signed = (part: object, thoughtSignature: string) => ({ ...part, thoughtSignature });
  const list = [
    signed({ text: 'Hm', thought: true }, 's0'),
    { text: 'Hel' },
    signed({ text: 'lo' }, 's1'),
    { thoughtSignature: 's2' },
    signed(call('a', {}, 'c1'), 's3'),
  ];
  expect(answerOf(readAnswer(body(parts(...list)))).reasoningDetails).toEqual([
    { type: 'thought', text: 'Hm', thought_signature: 's0' },
    { type: 'text', start: 3, end: 5, thought_signature: 's1' },
    { type: 'text', start: 5, end: 5, thought_signature: 's2' },
    { type: 'tool_call', tool_call_id: 'c1', thought_signature: 's3' },
  ]);
});

test('signatures of a text that goes on are left out: their positions are not those of the whole text', () => {
  const list = [
    { text: 'lo', thoughtSignature: 's1' },
    { ...call('a', {}, 'c1'), thoughtSignature: 's2' },
  ];
  expect(answerOf(readAnswer(body(parts(...list)), { isContinued: true })).reasoningDetails).toEqual([
    { type: 'tool_call', tool_call_id: 'c1', thought_signature: 's2' },
  ]);
});

describe('a finish reason', () => {
  test.for([
    ['STOP', 'stop'],
    ['MAX_TOKENS', 'length'],
    ['SAFETY', 'content_filter'],
    ['RECITATION', 'content_filter'],
    ['LANGUAGE', 'content_filter'],
    ['BLOCKLIST', 'content_filter'],
    ['PROHIBITED_CONTENT', 'content_filter'],
    ['SPII', 'content_filter'],
    ['IMAGE_SAFETY', 'content_filter'],
    ['FINISH_REASON_UNSPECIFIED', 'stop'],
  ] as const)('of %s is %s', ([finishReason, expected]) => {
    expect(answerOf(readAnswer(body({ ...hello, finishReason })))).toMatchObject({
      finishReason: expected,
      warnings: [],
    });
  });

  test.for([
    ['BRAND_NEW', 'unknown finish reason "BRAND_NEW" read as "stop"'],
    ['the prompt itself', 'unknown finish reason of another form read as "stop"'],
  ] as const)('nobody knows is stop, and told: %s', ([finishReason, warning]) => {
    expect(answerOf(readAnswer(body({ ...hello, finishReason })))).toMatchObject({
      finishReason: 'stop',
      warnings: [warning],
    });
  });

  test('that cuts an answer stays so with calls, and without content', () => {
    expect(answerOf(readAnswer(body({ ...parts(call('a')), finishReason: 'MAX_TOKENS' }))).finishReason).toBe('length');
    expect(answerOf(readAnswer(body({ finishReason: 'MAX_TOKENS' })))).toMatchObject({
      text: '',
      finishReason: 'length',
    });
  });

  test.for([
    'MALFORMED_FUNCTION_CALL',
    'UNEXPECTED_TOOL_CALL',
    'TOO_MANY_TOOL_CALLS',
    'MALFORMED_RESPONSE',
    'OTHER',
    'NO_IMAGE',
  ])('of %s is a failure that keeps the bill', (finishReason) => {
    expect(readAnswer(body({ finishReason }))).toMatchObject({
      kind: 'failure',
      failure: {
        kind: 'bad_output',
        httpStatus: 200,
        message: `the model's answer is not usable, finish reason "${finishReason}"`,
      },
      partial: { usage: { outputTokens: 20 } },
    });
  });
});

describe('an answer that goes on', () => {
  const open = { ...hello, finishReason: 'CONTINUATION' };
  test.for<[string, object]>([
    ['on the candidate', body({ ...open, continuationToken: 'token-1' })],
    ['at the top', body(open, { continuationToken: 'token-1' })],
  ])('gives what it needs to go on: %s', ([, answer]) => {
    expect(answerOf(readAnswer(answer))).toMatchObject({
      text: 'Hello',
      finishReason: 'length',
      continuation: 'token-1',
      warnings: [],
    });
  });

  test('says so when it gives nothing', () => {
    expect(answerOf(readAnswer(body(open)))).toMatchObject({
      finishReason: 'length',
      continuation: null,
      warnings: ['the answer is cut, and nothing was given to go on with'],
    });
  });

  test('is over when it ended, whatever token came with it', () => {
    expect(answerOf(readAnswer(body({ ...hello, continuationToken: 'checkpoint' }))).continuation).toBeNull();
  });
});

test('log probabilities are told token by token', () => {
  const token = (text: string, logProbability?: number) => ({ token: text, tokenId: 1, logProbability });
  const logprobsResult = {
    chosenCandidates: [token('He', -0.1), token('llo')],
    topCandidates: [{ candidates: [token('He', -0.1), token('Ho', -2)] }],
  };
  const told = (text: string, logprob: number | null) => ({ token: text, logprob, bytes: null });
  expect(answerOf(readAnswer(body({ ...hello, logprobsResult }))).logprobs).toEqual({
    content: [
      { ...told('He', -0.1), top_logprobs: [told('He', -0.1), told('Ho', -2)] },
      { ...told('llo', null), top_logprobs: [] },
    ],
    refusal: null,
  });
});

test('parts of another kind are left out, and told', () => {
  const answer = answerOf(readAnswer(body(parts({ text: 'Hello' }, { executableCode: { code: 'x' } }, 7))));
  expect(answer).toMatchObject({
    text: 'Hello',
    warnings: ['left out 2 parts that are neither text nor a tool call'],
  });
});

describe('in place of an answer', () => {
  test.for<[string, unknown, object, boolean]>([
    [
      'a blocked prompt is a failure of the prompt, and billed',
      { promptFeedback: { blockReason: 'PROHIBITED_CONTENT' }, usageMetadata },
      { kind: 'content_filter', message: 'the prompt was blocked, reason "PROHIBITED_CONTENT"', httpStatus: 200 },
      true,
    ],
    [
      'a block for a reason nobody knows names nothing of it',
      { promptFeedback: { blockReason: 'as you said: …' } },
      { kind: 'content_filter', message: 'the prompt was blocked, reason of another form' },
      false,
    ],
    [
      'an error is that error',
      { error: { code: 503, message: 'secret', status: 'UNAVAILABLE' } },
      { kind: 'overloaded', message: 'HTTP 503 unavailable' },
      false,
    ],
    ['an error in a list too', [{ error: { code: 404, status: 'NOT_FOUND' } }], { kind: 'model_not_found' }, false],
    [
      'no candidate is no answer',
      { usageMetadata },
      { kind: 'bad_output', message: 'the answer holds no candidate' },
      true,
    ],
    ['an empty list of candidates', { candidates: [] }, { kind: 'bad_output' }, false],
    ['JSON of another shape', 'Hello', { kind: 'bad_output' }, false],
    ['null', null, { kind: 'bad_output' }, false],
  ])('%s', ([, answer, expected, isBilled]) => {
    const result = readAnswer(answer);
    expect(result).toMatchObject({ kind: 'failure', failure: expected });
    expect('partial' in result).toBe(isBilled);
  });

  test('a list of chunks is read as the stream it was, and must have ended', () => {
    const chunk = (text: string, more: object = {}) => ({ candidates: [{ ...parts({ text }), ...more }] });
    expect(answerOf(readAnswer([chunk('Hel'), chunk('lo', { finishReason: 'STOP' })])).text).toBe('Hello');
    expect(readAnswer([chunk('Hel'), chunk('lo')])).toMatchObject({ failure: { kind: 'stream_interrupted' } });
  });
});
