import { describe, expect, test } from 'vitest';
import { embeddingsRequestSchema } from '../../embeddings/request.ts';
import { emptyEmbeddings } from '../../embeddings/response.ts';
import type { CallInput } from '../dialect.ts';
import { plainQuirks, type Quirks } from '../quirks.ts';
import { ollamaEmbeddings } from './embeddings.ts';

function write(request: object = {}, more: Partial<CallInput> = {}, quirks: Partial<Quirks> = {}) {
  const result = ollamaEmbeddings.write({
    request: embeddingsRequestSchema.parse({ model: 'default', input: ['a', 'b'], ...request }),
    model: 'nomic-embed-text',
    endpoint: 'http://127.0.0.1:11434',
    credential: null,
    apiVersion: null,
    quirks: { ...plainQuirks, ...quirks },
    stream: false,
    target: 'ollama/nomic-embed-text',
    contextWindow: more.contextWindow ?? null,
    continuation: null,
    nowMs: 0,
  });
  if (result.kind !== 'request') throw new Error(`unsupported: ${result.feature}`);
  return { ...result.http, body: JSON.parse(result.http.body) as unknown, reader: result.reader };
}

const fixed = { model: 'nomic-embed-text', input: ['a', 'b'], truncate: false };

test('texts go to the native embeddings, and are never cut', () => {
  const { reader: _, ...http } = write();
  expect(http).toEqual({
    url: 'http://127.0.0.1:11434/api/embed',
    headers: { 'content-type': 'application/json' },
    body: fixed,
    warnings: [],
  });
  expect(ollamaEmbeddings.maxInputs).toBe(512);
});

test.for<[string, object, Partial<CallInput>, Partial<Quirks>, object, string[]]>([
  ['one text', { input: 'a' }, {}, {}, { input: ['a'] }, []],
  ['a length', { dimensions: 64 }, {}, {}, { dimensions: 64 }, []],
  ['the window that chats have', {}, { contextWindow: 8_192 }, {}, { options: { num_ctx: 8_192 } }, []],
  [
    'no hints',
    { input_type: 'search_query', user: 'u', encoding_format: 'base64' },
    {},
    {},
    {},
    ['dropped "input_type": Ollama has no equivalent', 'dropped "user": Ollama has no equivalent'],
  ],
])('%s: written in their words', ([, request, more, quirks, expected, warnings]) => {
  const { body, warnings: told } = write(request, more, quirks);
  expect(body).toEqual({ ...fixed, ...expected });
  expect(told).toEqual(warnings);
});

const whole = {
  model: 'nomic-embed-text',
  embeddings: [
    [0.5, -1],
    [0, 2],
  ],
  total_duration: 1,
  prompt_eval_count: 7,
};

describe('an answer', () => {
  const { reader } = write();

  test('holds one vector for each text, and what was used', () => {
    expect(reader.readAnswer(whole)).toEqual({
      kind: 'answer',
      answer: {
        ...emptyEmbeddings,
        vectors: [
          [0.5, -1],
          [0, 2],
        ],
        model: 'nomic-embed-text',
        usage: expect.objectContaining({ inputTokens: 7, outputTokens: 0 }),
      },
    });
  });

  test('that counts nothing has no usage', () => {
    expect(reader.readAnswer({ ...whole, prompt_eval_count: undefined })).toMatchObject({ answer: { usage: null } });
  });

  test.for<[string, unknown, string]>([
    ['with a vector missing', { ...whole, embeddings: [[1]] }, 'bad_output'],
    ['with an empty vector', { ...whole, embeddings: [[1], []] }, 'bad_output'],
    ['with something else in a vector', { ...whole, embeddings: [[1], ['2']] }, 'bad_output'],
    ['with something else than vectors', { ...whole, embeddings: 'x' }, 'bad_output'],
    ['that is null', null, 'bad_output'],
    ['that is an error', { error: 'the input length exceeds the context length' }, 'context_length'],
  ])('%s is a failure', ([, body, kind]) => {
    expect(reader.readAnswer(body)).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
  });

  test('that is a failure is billed for what it says it used', () => {
    const result = reader.readAnswer({ ...whole, embeddings: [] });
    expect(result).toMatchObject({ partial: { vectors: [], usage: { inputTokens: 7 } } });
  });

  test('that comes in pieces is read at its end', () => {
    const stream = reader.createStreamReader(() => undefined);
    const text = JSON.stringify(whole);
    stream.push(text.slice(0, 9));
    expect(stream.partial()).toEqual(emptyEmbeddings);
    stream.push(text.slice(9));
    expect(stream.end()).toEqual(reader.readAnswer(whole));
  });
});

test.for<[string, Partial<Quirks>]>([
  ['has no field for it', { dimensionsField: 'none' }],
  ['is known to ignore it', { drop: ['dimensions'] }],
])('a length is not asked for of a server that %s', ([, quirks]) => {
  expect(() => write({ dimensions: 64 }, {}, quirks)).toThrow('unsupported: a length of embeddings');
});
