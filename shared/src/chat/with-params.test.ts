import { describe, expect, test } from 'vitest';
import { type ChatParams, chatParamsSchema, chatRequestSchema, outputLimitOf, withParams } from './request.ts';

const messages = [{ role: 'user', content: 'Hi' }];
const requestOf = (change: object) => chatRequestSchema.parse({ model: 'default', messages, ...change });
const without = { model: 'default', messages };

describe("a model's defaults and a target's params", () => {
  test.for<[string, object, ChatParams, ChatParams, object]>([
    ['nothing is added', { temperature: 1 }, {}, {}, { temperature: 1 }],
    ['defaults fill in what is open', { top_p: 0.5 }, { temperature: 0.2 }, {}, { top_p: 0.5, temperature: 0.2 }],
    ['defaults give way to the request', { temperature: 1 }, { temperature: 0.2 }, {}, { temperature: 1 }],
    ['defaults give way to a request that says zero', { temperature: 0 }, { temperature: 0.2 }, {}, { temperature: 0 }],
    [
      'defaults fill in what the request leaves null',
      { temperature: null },
      { temperature: 0.2 },
      {},
      { temperature: 0.2 },
    ],
    ['params win over the request', { temperature: 1 }, {}, { temperature: 0.2 }, { temperature: 0.2 }],
    ['params win over defaults', {}, { seed: 1 }, { seed: 2 }, { seed: 2 }],
    ['each has its say', { top_p: 0.5 }, { seed: 1 }, { temperature: 0 }, { top_p: 0.5, seed: 1, temperature: 0 }],
  ])('%s', ([, request, defaults, params, expected]) => {
    expect(withParams(requestOf(request), defaults, params)).toEqual({ ...without, ...expected });
  });

  test('leave the request itself as it was', () => {
    const request = requestOf({ temperature: 1 });
    withParams(request, { seed: 1 }, { temperature: 0 });
    expect(request).toEqual({ ...without, temperature: 1 });
  });
});

describe('the bound of the output has two names, and one value', () => {
  test.for<[string, object, ChatParams, ChatParams, object]>([
    [
      'a default under the other name gives way',
      { max_tokens: 5 },
      { max_completion_tokens: 9 },
      {},
      { max_tokens: 5 },
    ],
    ['a default fills in a bound that is open', {}, { max_tokens: 9 }, {}, { max_tokens: 9 }],
    [
      'a default fills in one that is null',
      { max_tokens: null },
      { max_completion_tokens: 9 },
      {},
      { max_completion_tokens: 9 },
    ],
    ['params take the place of the other name', { max_completion_tokens: 5 }, {}, { max_tokens: 9 }, { max_tokens: 9 }],
    [
      'params take the place of a default of the other name',
      {},
      { max_completion_tokens: 5 },
      { max_tokens: 9 },
      { max_tokens: 9 },
    ],
    ['params that set none leave the request its own', { max_tokens: 5 }, {}, { seed: 1 }, { max_tokens: 5, seed: 1 }],
    [
      'the other defaults of such a model stay',
      { max_tokens: 5 },
      { max_completion_tokens: 9, seed: 1 },
      {},
      { max_tokens: 5, seed: 1 },
    ],
    [
      'the rest of such a request stays',
      { max_tokens: 5, top_p: 1 },
      {},
      { max_completion_tokens: 9 },
      { top_p: 1, max_completion_tokens: 9 },
    ],
  ])('%s', ([, request, defaults, params, expected]) => {
    expect(withParams(requestOf(request), defaults, params)).toEqual({ ...without, ...expected });
  });

  test.for([
    [{}, null],
    [{ max_tokens: 5 }, 5],
    [{ max_completion_tokens: 7 }, 7],
    [{ max_tokens: 5, max_completion_tokens: 7 }, 7],
    [{ max_tokens: 5, max_completion_tokens: null }, 5],
  ] as const)('of %j it is %j', ([limits, expected]) => {
    expect(outputLimitOf(requestOf(limits))).toBe(expected);
  });
});

test('what is configured for a model may change everything but the conversation', () => {
  const params = { temperature: 0, top_p: 1, seed: 1, stop: ['END'], reasoning_effort: 'low', verbosity: 'low' };
  expect(chatParamsSchema.parse(params)).toEqual(params);
  for (const field of ['model', 'messages', 'tools', 'n', 'user', 'response_format', 'logprobs'])
    expect(chatParamsSchema.safeParse({ [field]: 1 }).success, field).toBe(false);
});
