import { describe, expect, test } from 'vitest';
import { type ListedModel, listedModel } from './listed-model.ts';
import { readOpenaiList } from './read-openai-list.ts';

const first = (entry: object): ListedModel | undefined => readOpenaiList({ object: 'list', data: [entry] })?.models[0];

describe('a list in the form of OpenAI', () => {
  test.for<[string, object, Partial<ListedModel>]>([
    ['OpenAI', { id: 'gpt-4.1-mini', object: 'model', created: 1_744_588_800, owned_by: 'system' }, {}],
    ['OpenAI, of one that ends', { id: 'gpt-4.5', shutdown_date: 1_800_000_000 }, { endsAtMs: 1_800_000_000_000 }],
    [
      'Groq',
      { id: 'llama-3.1-8b-instant', active: true, context_window: 131_072, max_completion_tokens: 8_192 },
      { contextWindow: 131_072, maxOutput: 8_192 },
    ],
    ['Groq, of one that is no longer served', { id: 'gemma2-9b-it', active: false }, { lifecycle: 'retired' }],
    [
      'vLLM',
      { id: 'Qwen/Qwen3-8B', root: '/models/qwen', parent: null, max_model_len: 32_768 },
      { contextWindow: 32_768 },
    ],
    ['LightLLM', { id: 'llama', max_model_len: 16_384 }, { contextWindow: 16_384 }],
    ['LocalAI', { id: 'phi-4', object: 'model' }, {}],
    [
      'llama.cpp',
      { id: 'gemma.gguf', meta: { n_vocab: 1, n_ctx_train: 131_072, n_params: 8e9 } },
      { trainedWindow: 131_072 },
    ],
    [
      'llama.cpp that says what it allocated',
      { id: 'gemma.gguf', meta: { n_ctx: 8_192, n_ctx_train: 131_072 } },
      { contextWindow: 8_192, trainedWindow: 131_072 },
    ],
    ['llama.cpp with many models', { id: 'a', status: { value: 'sleeping' } }, { status: 'sleeping' }],
    [
      'llama.cpp, of one that would not load',
      { id: 'a', status: { value: 'unloaded', failed: true, exit_code: 1 } },
      { status: 'failed' },
    ],
    ['a server with a word that is new', { id: 'a', status: { value: 'hibernating' } }, {}],
  ])('%s', ([, entry, said]) => {
    const { id } = entry as { id: string };
    expect(first(entry)).toEqual(listedModel(id, said));
  });

  test('Mistral says what a model can do, its other names, and when it ends', () => {
    expect(
      first({
        id: 'mistral-medium-2508',
        capabilities: { completion_chat: true, function_calling: true, vision: true, audio: false, ocr: false },
        max_context_length: 131_072,
        aliases: ['mistral-medium', 7, null],
        deprecation: '2026-08-31T12:00:00Z',
        deprecation_replacement_model: 'mistral-medium-3-5',
      }),
    ).toEqual(
      listedModel('mistral-medium-2508', {
        aliases: ['mistral-medium'],
        contextWindow: 131_072,
        has: ['tools', 'vision'],
        lacks: ['audio_input'],
        isChat: true,
        endsAtMs: Date.UTC(2026, 7, 31, 12),
        replacement: 'mistral-medium-3-5',
      }),
    );
  });

  test('OpenRouter says what a request may hold, what it costs, and when it ends', () => {
    expect(
      first({
        id: 'openai/gpt-4.1-mini',
        context_length: 1_047_576,
        architecture: { input_modalities: ['image', 'text', 'file'], output_modalities: ['text'] },
        pricing: { prompt: '0.0000004', completion: '0.0000016', input_cache_read: '0.0000001' },
        top_provider: { context_length: 1_047_576, max_completion_tokens: 32_768, is_moderated: true },
        supported_parameters: ['tools', 'tool_choice', 'response_format', 'structured_outputs', 'seed'],
        expiration_date: '2027-01-31',
      }),
    ).toEqual(
      listedModel('openai/gpt-4.1-mini', {
        contextWindow: 1_047_576,
        maxOutput: 32_768,
        has: ['tools', 'json_object', 'json_schema', 'vision', 'file_input'],
        lacks: ['logprobs', 'audio_input'],
        isChat: true,
        endsAtMs: Date.UTC(2027, 0, 31),
        price: { input: expect.closeTo(0.4, 9) as number, output: expect.closeTo(1.6, 9) as number },
      }),
    );
  });

  test('OpenRouter may leave out what goes in and comes out, and then it is not known', () => {
    const { has, lacks, isChat } = first({ id: 'a/b', supported_parameters: ['tools'] }) ?? {};
    expect([has, lacks?.includes('vision'), isChat]).toEqual([['tools'], false, null]);
  });
});

describe('a price per token', () => {
  test.for<[string, unknown, unknown, ListedModel['price']]>([
    ['is nothing when it says so', '0', '0', { input: 0, output: 0 }],
    ['may be written with an exponent', '1e-6', '2E-6', { input: 1, output: 2 }],
    ['is not known when it depends on who serves', '-1', '-1', null],
    ['is not known when half of it is missing', '0.000001', undefined, null],
    ['is not known when it is no number', 'free', '0x10', null],
    ['is not known when it is not text', 1, 1, null],
  ])('%s', ([, prompt, completion, expected]) => {
    expect(first({ id: 'a/b', pricing: { prompt, completion } })?.price).toEqual(expected);
  });
});

test('a list without its envelope is a list', () => {
  expect(readOpenaiList([{ id: 'a' }, { id: 'b' }])?.models.map(({ id }) => id)).toEqual(['a', 'b']);
});
