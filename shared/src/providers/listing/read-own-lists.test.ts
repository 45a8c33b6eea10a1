import { describe, expect, test } from 'vitest';
import { type ListedModel, listedModel } from './listed-model.ts';
import { readAnthropicList, readCohereList, readGeminiList } from './read-own-lists.ts';

describe('the list of Anthropic', () => {
  const entry = {
    type: 'model',
    id: 'claude-haiku-4-5-20251001',
    display_name: 'Claude Haiku 4.5',
    created_at: '2025-10-01T00:00:00Z',
  };
  const base: Partial<ListedModel> = { isChat: true };

  test.for<[string, object, Partial<ListedModel>]>([
    ['says the name alone in its older form', {}, {}],
    [
      'says the limits',
      { max_input_tokens: 200_000, max_tokens: 64_000 },
      { contextWindow: 200_000, maxOutput: 64_000 },
    ],
    [
      'says what a model can do',
      {
        capabilities: {
          structured_outputs: { supported: true },
          image_input: { supported: true },
          pdf_input: { supported: false },
        },
      },
      { has: ['json_schema', 'vision'], lacks: ['file_input'] },
    ],
    ['may say null', { capabilities: null, lifecycle: null, max_input_tokens: null, retires_at: null }, {}],
    [
      'says when a model ends',
      { lifecycle: 'deprecated', deprecated_at: '2026-10-01T00:00:00Z', retires_at: '2026-11-30T00:00:00Z' },
      { lifecycle: 'deprecated', endsAtMs: Date.UTC(2026, 10, 30) },
    ],
    ['may say a word that is new', { lifecycle: 'embalmed' }, {}],
  ])('%s', ([, more, said]) => {
    expect(readAnthropicList({ data: [{ ...entry, ...more }] })?.models).toEqual([
      listedModel(entry.id, { ...base, ...said }),
    ]);
  });

  test.for([
    ['goes on after its last name', { has_more: true, last_id: 'b' }, 'b'],
    ['ends where it says so', { has_more: false, last_id: 'b' }, null],
    ['ends where it does not say what comes next', { has_more: true }, null],
  ] as const)('%s', ([, page, next]) => {
    expect(readAnthropicList({ data: [], ...page })?.next).toBe(next);
  });
});

describe('the list of Gemini', () => {
  test('names models with their folder, which a call adds itself', () => {
    const flash = {
      name: 'models/gemini-2.5-flash',
      version: '001',
      inputTokenLimit: 1_048_576,
      outputTokenLimit: 65_536,
      supportedGenerationMethods: ['generateContent', 'countTokens', 'batchGenerateContent'],
    };
    expect(readGeminiList({ models: [flash], nextPageToken: 'abc=' })).toEqual({
      models: [
        listedModel('gemini-2.5-flash', {
          contextWindow: 1_048_576,
          maxOutput: 65_536,
          lacks: ['embeddings'],
          isChat: true,
        }),
      ],
      next: 'abc=',
    });
  });

  test.for<[string, object, Partial<ListedModel>]>([
    [
      'tells models that embed',
      { supportedGenerationMethods: ['embedContent'] },
      { has: ['embeddings'], isChat: false },
    ],
    ['may not tell', {}, {}],
    ['may hold what is no method', { supportedGenerationMethods: [1, null] }, { lacks: ['embeddings'], isChat: false }],
  ])('%s', ([, more, said]) => {
    expect(readGeminiList({ models: [{ name: 'models/m', ...more }] })?.models).toEqual([listedModel('m', said)]);
  });

  test.for([
    ['is empty when it is an empty object', {}, []],
    ['is no list when it is an error', { error: { code: 400 } }, undefined],
  ] as const)('%s', ([, body, models]) => {
    expect(readGeminiList(body)?.models).toEqual(models);
  });
});

describe('the list of Cohere', () => {
  test.for<[string, object, Partial<ListedModel>]>([
    [
      'says windows and features',
      { endpoints: ['chat', 'generate'], context_length: 256_000, features: ['tools', 'json_mode', 'json_schema'] },
      { contextWindow: 256_000, has: ['tools', 'json_object', 'json_schema'], lacks: ['embeddings'], isChat: true },
    ],
    ['tells models that embed', { endpoints: ['embed'], features: null }, { has: ['embeddings'], isChat: false }],
    ['says what is going', { is_deprecated: true }, { lifecycle: 'deprecated' }],
    ['may say no window', { context_length: 0 }, {}],
  ])('%s', ([, more, said]) => {
    expect(readCohereList({ models: [{ name: 'command', ...more }] })?.models).toEqual([listedModel('command', said)]);
  });

  test.for([
    ['goes on with its token', 'eyJ', 'eyJ'],
    ['ends with an empty one', '', null],
    ['ends with none', undefined, null],
  ] as const)('%s', ([, token, next]) => {
    expect(readCohereList({ models: [], next_page_token: token })?.next).toBe(next);
  });
});
