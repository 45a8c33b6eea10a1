import { expect, test } from 'vitest';
import { faultsOf } from '../domain/strict-object.ts';
import { chatRequestSchema } from './request.ts';

const request = { model: 'default', messages: [{ role: 'user', content: 'hi' }] };

test.for<[string, object]>([
  ['a stream', { stream: true }],
  ['no stream', { stream: false }],
  ['a stream left open', { stream: null, stream_options: null }],
  ['a stream with its usage', { stream: true, stream_options: { include_usage: true } }],
  ['a stream with options that say nothing', { stream: true, stream_options: {} }],
  ['a stream of one choice', { stream: true, n: 1, logprobs: false }],
])('takes %s', ([, change]) => {
  expect(chatRequestSchema.safeParse({ ...request, ...change }).success).toBe(true);
});

test.for<[string, object, [path: string, code: string]]>([
  ['a stream of several choices', { stream: true, n: 2 }, ['n', 'not_supported_yet']],
  ['a stream with log probabilities', { stream: true, logprobs: true }, ['logprobs', 'not_supported_yet']],
  ['options of no stream', { stream_options: { include_usage: true } }, ['stream_options', 'invalid_value']],
  ['a word for a stream', { stream: 'yes' }, ['stream', 'invalid_type']],
  ['unknown options', { stream: true, stream_options: { usage: true } }, ['stream_options', 'unknown_field']],
  [
    'padding of pieces',
    { stream: true, stream_options: { include_obfuscation: true } },
    ['stream_options.include_obfuscation', 'not_supported_yet'],
  ],
])('refuses %s, by name', ([, change, [path, code]]) => {
  const parsed = chatRequestSchema.safeParse({ ...request, ...change });
  expect(parsed.success ? [] : faultsOf(parsed.error)).toEqual([expect.objectContaining({ path, code })]);
});
