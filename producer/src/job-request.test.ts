import { faultsOf } from '@waybill/shared/domain/strict-object.ts';
import { expect, test } from 'vitest';
import { parseJobRequest } from './job-request.ts';

const messages = [{ role: 'user', content: 'hi' }];
const embeddings = { endpoint: '/v1/embeddings', body: { model: 'm', input: 'hi' } };
const faults = (value: unknown) => {
  const parsed = parseJobRequest(value);
  return parsed.kind === 'ok' ? [] : faultsOf(parsed.error, '').map(({ path, code }) => `${path} ${code}`);
};

test.for<[string, object, string]>([
  ['a prompt', { model: 'm', prompt: 'hi' }, '/v1/chat/completions'],
  ['a body', { body: { model: 'm', messages } }, '/v1/chat/completions'],
  ['a line of a batch', { method: 'POST', url: '/v1/embeddings', body: embeddings.body }, '/v1/embeddings'],
  ['an endpoint', embeddings, '/v1/embeddings'],
])('%s says which endpoint it is for', ([, value, endpoint]) => {
  expect(parseJobRequest(value)).toMatchObject({ kind: 'ok', job: { body: { endpoint, request: { model: 'm' } } } });
});

test.for<[string, object, string[]]>([
  ['a chat for embeddings', { ...embeddings, body: { model: 'm', messages } }, ['body.input', 'body unknown_field']],
  ['inputs for a chat', { body: embeddings.body }, ['body.messages', 'body unknown_field']],
  ['an empty list', { ...embeddings, body: { model: 'm', input: [] } }, ['body.input']],
  ['an empty text', { ...embeddings, body: { model: 'm', input: ['a', ''] } }, ['body.input[1]']],
  [
    'more inputs than are taken',
    { ...embeddings, body: { model: 'm', input: Array(10_001).fill('a') } },
    ['body.input'],
  ],
  ['token ids', { ...embeddings, body: { model: 'm', input: [1, 2] } }, ['body.input']],
  ['a length of zero', { ...embeddings, body: { ...embeddings.body, dimensions: 0 } }, ['body.dimensions']],
  ['no body', { endpoint: '/v1/embeddings' }, ['body']],
  ['an endpoint that is not built', { ...embeddings, endpoint: '/v1/audio' }, ['endpoint unsupported_endpoint']],
  ['two endpoints', { ...embeddings, url: '/v1/chat/completions' }, [' invalid_value']],
  ['faults in line and body', { ...embeddings, priority: 'high', body: { model: 'm' } }, ['priority', 'body.input']],
])('%s is refused, and every fault is named', ([, value, expected]) => {
  const found = faults(value);
  for (const each of expected)
    expect(
      found.some((fault) => fault.startsWith(each)),
      `${found}`,
    ).toBe(true);
});

test('an embeddings request is kept with all its fields', () => {
  const body = { model: 'm', input: ['a', 'b'], dimensions: 8, encoding_format: 'base64', input_type: 'search_query' };
  expect(parseJobRequest({ ...embeddings, body })).toMatchObject({ job: { body: { request: body } } });
});
