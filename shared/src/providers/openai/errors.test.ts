/** What holds for errors whoever sent them, and for the table of them all. */
import { describe, expect, test } from 'vitest';
import { errorRows, readError, rowsByProvider } from './errors.ts';

type Headers = Readonly<Record<string, string>>;
const failureOf = (status: number, body: unknown, headers: Headers = {}) =>
  readError({ status, headers, body: typeof body === 'string' ? body : JSON.stringify(body) }, 0);

describe('a page in place of an error', () => {
  const page = '<!DOCTYPE html><html><body>Not Found</body></html>';
  test.for<[string, number, string, Headers, string]>([
    ['of status 404 is a wrong address', 404, page, {}, 'config'],
    [
      'of status 404 is known by its header',
      404,
      'Not Found',
      { 'content-type': 'text/html; charset=utf-8' },
      'config',
    ],
    ['of status 502 is a proxy whose server is down', 502, page, {}, 'server_error'],
    ['that is empty is judged by its status', 503, '', {}, 'overloaded'],
    ['that is plain text is judged by its status', 404, '404 page not found', {}, 'model_not_found'],
  ])('%s', ([, status, body, headers, kind]) => {
    expect(failureOf(status, body, headers)).toMatchObject({ kind, message: `HTTP ${status}` });
  });
});

test('a failure is told by status and code, never by its text', () => {
  const error = { code: 'invalid_api_key', message: 'Incorrect API key provided: sk-secret' };
  expect(failureOf(401, { error }).message).toBe('HTTP 401 invalid_api_key');
});

test('every row is told under its provider, once', () => {
  expect(Object.keys(rowsByProvider).toSorted()).toEqual(
    'groq lightllm llama-cpp localai mistral openai openrouter vllm'.split(' '),
  );
  expect(Object.values(rowsByProvider).flat()).toEqual(errorRows);
  for (const rows of Object.values(rowsByProvider)) {
    const signals = rows.map(({ kind: _kind, scope: _scope, ...signal }) =>
      JSON.stringify({ ...signal, text: String(signal.text) }),
    );
    expect(new Set(signals).size).toBe(signals.length);
  }
});
