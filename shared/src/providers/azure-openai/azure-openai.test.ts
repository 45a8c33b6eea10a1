/** What Azure adds to OpenAI's answers: the verdicts of its filter, in places of their own. */
import { expect, test } from 'vitest';
import type { Answer } from '../../chat/response.ts';
import type { FailureKind } from '../../domain/failure.ts';
import type { StreamPiece } from '../dialect.ts';
import { readingOf } from '../fixture-call.ts';
import { azureOpenaiDialect } from './azure-openai.ts';

const { reader } = readingOf('azure-openai');
const verdict = { hate: { filtered: false, severity: 'safe' }, jailbreak: { filtered: false, detected: false } };
const filters = { prompt_filter_results: [{ prompt_index: 0, content_filter_results: verdict }] };
const usage = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };
const choice = (message: object, finish = 'stop') => ({
  index: 0,
  message: { role: 'assistant', ...message },
  finish_reason: finish,
  content_filter_results: verdict,
});
const whole = {
  id: 'chatcmpl-1',
  model: 'gpt-4.1-2025-04-14',
  usage,
  ...filters,
  choices: [choice({ content: 'Hi.' })],
};

test.for<[string, object, Partial<Answer>]>([
  ['text beside verdicts', {}, { text: 'Hi.', finishReason: 'stop', model: 'gpt-4.1-2025-04-14', warnings: [] }],
  [
    'a text that was cut by the filter',
    { choices: [choice({ content: 'H' }, 'content_filter')] },
    { text: 'H', finishReason: 'content_filter' },
  ],
  [
    'an answer of which the filter left nothing',
    { choices: [choice({}, 'content_filter')] },
    { text: '', finishReason: 'content_filter', usage: expect.objectContaining({ inputTokens: 9, outputTokens: 2 }) },
  ],
])('an answer is read: %s', ([, change, expected]) => {
  expect(reader.readAnswer({ ...whole, ...change })).toMatchObject({ kind: 'answer', answer: expected });
});

function read(chunks: readonly object[]) {
  const pieces: StreamPiece[] = [];
  const stream = reader.createStreamReader((piece) => pieces.push(piece));
  for (const chunk of chunks) stream.push(`data: ${JSON.stringify(chunk)}\n\n`);
  stream.push('data: [DONE]\n\n');
  return { result: stream.end(), pieces };
}
const first = { id: '', model: '', object: '', created: 0, choices: [], ...filters };
const chunk = (delta: object, finish: string | null = null) => ({
  id: 'chatcmpl-1',
  model: 'gpt-4.1-2025-04-14',
  choices: [{ index: 0, delta, finish_reason: finish, content_filter_results: verdict }],
});
const annotation = {
  id: '',
  model: '',
  choices: [
    {
      index: 0,
      finish_reason: null,
      content_filter_offsets: { check_offset: 0, start_offset: 0, end_offset: 3 },
      content_filter_results: { error: { code: 'content_filter_error', message: 'The contents are not filtered' } },
    },
  ],
};
const last = { id: 'chatcmpl-1', choices: [], usage };

test.for<[string, object[], Partial<Answer>]>([
  [
    'verdicts before, between and after the text',
    [first, chunk({ content: 'H' }), annotation, chunk({ content: 'i.' }), chunk({}, 'stop'), annotation, last],
    { text: 'Hi.', finishReason: 'stop', model: 'gpt-4.1-2025-04-14', providerId: 'chatcmpl-1' },
  ],
  [
    'a text that was cut by the filter',
    [first, chunk({ content: 'H' }), chunk({}, 'content_filter'), last],
    { text: 'H', finishReason: 'content_filter' },
  ],
  [
    'a stream of which the filter left nothing',
    [first, chunk({}, 'content_filter'), last],
    { text: '', finishReason: 'content_filter' },
  ],
])('a stream is read: %s', ([, chunks, expected]) => {
  expect(read(chunks).result).toMatchObject({
    kind: 'answer',
    answer: { ...expected, usage: { inputTokens: 9, outputTokens: 2 } },
  });
});

test('the pieces of a stream are told as they come, and verdicts are none', () => {
  const { pieces } = read([first, chunk({ content: 'H' }), annotation, chunk({ content: 'i.' }), chunk({}, 'stop')]);
  expect(pieces).toEqual([
    { kind: 'text', text: 'H' },
    { kind: 'text', text: 'i.' },
  ]);
});

test.for<[string, object, FailureKind]>([
  ['a filter', { code: 'content_filter', message: 'x' }, 'content_filter'],
  ['a limit', { code: '429', message: 'x' }, 'rate_limit'],
])('an error inside HTTP 200 is a failure: %s', ([, error, kind]) => {
  expect(reader.readAnswer({ error })).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
  expect(read([{ error }]).result).toMatchObject({ kind: 'failure', failure: { kind, httpStatus: 200 } });
});

test('an empty answer is of no use', () => {
  const result = reader.readAnswer({ ...whole, choices: [choice({ content: '' })] });
  expect(result).toMatchObject({ kind: 'failure', failure: { kind: 'bad_output' } });
});

test('what its models can do is for its deployments to say', () => {
  expect(azureOpenaiDialect.lacks).toEqual([]);
  expect(azureOpenaiDialect.embeddings?.maxInputs).toBe(2_048);
});
