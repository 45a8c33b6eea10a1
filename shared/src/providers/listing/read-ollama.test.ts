import { describe, expect, test } from 'vitest';
import { type ListedModel, listedModel } from './listed-model.ts';
import { readOllamaLoaded, readOllamaShow, readOllamaTags, withOllamaDetails } from './read-ollama.ts';

test('its list names models with their tags, and what they can do', () => {
  const page = readOllamaTags({
    models: [
      { name: 'llama3.2:latest', size: 1, details: { family: 'llama' }, capabilities: ['completion', 'tools'] },
      { model: 'nomic-embed-text:latest', capabilities: ['embedding'] },
      { name: 'old:7b' },
    ],
  });
  expect(page).toEqual({
    models: [
      listedModel('llama3.2:latest', {
        has: ['tools'],
        lacks: ['vision', 'audio_input', 'embeddings'],
        isChat: true,
      }),
      listedModel('nomic-embed-text:latest', {
        has: ['embeddings'],
        lacks: ['tools', 'vision', 'audio_input'],
        isChat: false,
      }),
      listedModel('old:7b', {}),
    ],
    next: null,
  });
});

describe('what it shows of a model', () => {
  const shown = {
    model_info: { 'general.architecture': 'llama', 'llama.context_length': 131_072, 'llama.block_count': 28 },
    parameters: 'stop    "<|eot_id|>"\nnum_ctx                        8192\ntemperature 0.7',
    capabilities: ['completion', 'vision'],
  };
  test.for<[string, object, Partial<ListedModel>]>([
    ['is the window it was trained for, and the configured one', {}, { trainedWindow: 131_072, contextWindow: 8_192 }],
    ['may be without a configured window', { parameters: 'stop "x"' }, { contextWindow: null }],
    ['may be without parameters', { parameters: undefined }, { contextWindow: null }],
    ['may be without an architecture', { model_info: { 'llama.context_length': 1 } }, { trainedWindow: null }],
    ['may be without facts', { model_info: null }, { trainedWindow: null }],
    ['tells what the model can do', {}, { has: ['vision'], isChat: true }],
  ])('%s', ([, more, said]) => {
    expect(readOllamaShow({ ...shown, ...more })).toMatchObject(said);
  });
});

describe('the window of a model', () => {
  const model = listedModel('llama3.2:latest', { has: ['tools'] });
  const shown = { trainedWindow: 131_072, contextWindow: 8_192 };
  const loaded = readOllamaLoaded({ models: [{ name: 'llama3.2:latest', context_length: 4_096 }, { name: 'x' }, 7] });

  test.for<[string, Partial<ListedModel>, ReadonlyMap<string, number | null> | null, Partial<ListedModel>]>([
    ['is what it was given when it was loaded', shown, loaded, { contextWindow: 4_096, status: 'loaded' }],
    ['is the configured one while it is not loaded', shown, new Map(), { contextWindow: 8_192, status: 'unloaded' }],
    ['is the configured one when nobody says what is loaded', shown, null, { contextWindow: 8_192, status: null }],
    ['is not that of its training', { trainedWindow: 131_072 }, new Map(), { contextWindow: null }],
    [
      'is not known when nothing was shown',
      {},
      new Map([['llama3.2', null]]),
      { contextWindow: null, status: 'loaded' },
    ],
  ])('%s', ([, details, given, expected]) => {
    expect(withOllamaDetails(model, details, given)).toMatchObject({ id: model.id, has: ['tools'], ...expected });
  });
});
