import { describe, expect, test } from 'vitest';
import type { ModelListing } from '../presets.ts';
import { asInstantMs, normaliseModel } from './listed-model.ts';
import { readModelList } from './read-model-list.ts';

/** A list in each form, around the same entries. */
const wrap: Readonly<Record<Exclude<ModelListing, 'none'>, (entries: unknown) => object>> = {
  openai: (data) => ({ object: 'list', data }),
  anthropic: (data) => ({ data, has_more: false }),
  gemini: (models) => ({ models }),
  cohere: (models) => ({ models }),
  ollama: (models) => ({ models }),
};
const listings = Object.keys(wrap) as (keyof typeof wrap)[];
const entry = { id: 'm', name: 'm' };
const hostile = [null, true, 7, 'm', [], [entry], {}, { id: 7, name: 7 }, { id: '', name: '' }];
const long = 'm'.repeat(257);

describe.for(listings)('a list in the form %s', (listing) => {
  test('is read', () => {
    expect(readModelList(listing, wrap[listing]([entry]))).toMatchObject({ models: [{ id: 'm' }], next: null });
  });

  test('may be empty', () => {
    expect(readModelList(listing, wrap[listing]([]))).toEqual({ models: [], next: null });
  });

  test('leaves out entries without a usable name', () => {
    const entries = [...hostile, { id: long, name: long, model: long }, entry];
    expect(readModelList(listing, wrap[listing](entries))?.models.map(({ id }) => id)).toEqual(['m']);
  });

  test.for([null, undefined, 7, 'models', true, { error: 'no' }, { data: {}, models: {} }, { data: 'm', models: 'm' }])(
    'is not %j',
    (body) => {
      expect(readModelList(listing, body)).toBeNull();
    },
  );

  test('takes nothing from fields of the wrong kind', () => {
    const wrong = ['context_length', 'context_window', 'max_input_tokens', 'inputTokenLimit', 'max_tokens', 'aliases']
      .concat(['capabilities', 'supported_parameters', 'endpoints', 'features', 'pricing', 'meta', 'status', 'details'])
      .concat([
        'expiration_date',
        'deprecation',
        'retires_at',
        'lifecycle',
        'supportedGenerationMethods',
        'architecture',
      ]);
    for (const value of [-1, 0.5, 1e300, 'x', { a: 1 }, [[]], false]) {
      const odd = { ...entry, ...Object.fromEntries(wrong.map((name) => [name, value])) };
      const read = readModelList(listing, wrap[listing]([odd]))?.models[0];
      expect(read).toMatchObject({ id: 'm', contextWindow: null, maxOutput: null, price: null, status: null });
      expect(read?.endsAtMs ?? null).toBe(null);
    }
  });
});

test('a provider without a list has none, whatever it answers', () => {
  expect(readModelList('none', { data: [entry] })).toBeNull();
});

test.for([
  ['ollama', 'llama3.2:latest', 'llama3.2'],
  ['ollama', 'llama3.2:3b', 'llama3.2:3b'],
  ['gemini', 'models/gemini-2.5-flash', 'gemini-2.5-flash'],
  ['gemini', 'tunedModels/mine', 'tunedModels/mine'],
  ['openai', 'models/mine:latest', 'models/mine:latest'],
] as const)('of the form %s, %s is compared as %s', ([listing, id, expected]) => {
  expect(normaliseModel(listing, id)).toBe(expected);
});

test.for([
  ['2026-11-30', Date.UTC(2026, 10, 30)],
  ['2026-11-30T12:00:00+02:00', Date.UTC(2026, 10, 30, 10)],
  [1_764_460_800, 1_764_460_800_000],
  ['soon', null],
  ['1', null],
  ['1999-01-01', null],
  [500, null],
  [Number.NaN, null],
  [1e300, null],
  [0, null],
  [null, null],
] as const)('%j is an instant, or none', ([value, expected]) => {
  expect(asInstantMs(value)).toBe(expected);
});
